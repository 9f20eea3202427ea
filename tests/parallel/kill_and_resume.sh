#!/bin/bash
# Kills training runs at random moments, half of them under a rank and half whole, and resumes them: the job must end within
# 10 seconds of the kill with an exit code that is not 0, and the resumed run with the weights of one that was never killed.
#
#   kill_and_resume.sh XBENCH KILLS EVERY [mpirun command ...]     without a command: one process
#
# After every EVERY-th kill the run is resumed to its end and compared; after the others the next kill hits the resumed run.
set -u
[ -e /proc/self/environ ] || { echo "no /proc here, by which the ranks are found: skipped" && exit 77; }
xbench=$1 kills=$2 every=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
RANDOM=20
trainer=serial
[ $# = 0 ] || trainer=cpu_ddp
cat > "$folder/run.json" <<'EOF'
{"name": "killed", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 400, "size": 24}},
 "train": {"batch_size": 16, "epochs": 30, "checkpoint_steps": 1}}
EOF

fail() {
    echo "FAILED: $1"
    tail -n 5 "$folder/log"
    exit 1
}
# The bits of the last epoch's weights: safetensors headers are the same for equal runs.
weights() { sha256sum < "$1/checkpoints/last.safetensors"; }
start() { setsid "$@" "$xbench" train --config "$folder/run.json" --trainer $trainer --out "$folder/out" --resume --quiet > "$folder/log" 2>&1; }
running_ranks() { pgrep -f -- "^$xbench train --config $folder/run.json" || true; }

"$xbench" train --config "$folder/run.json" --out "$folder/whole" --set train.checkpoint_steps=0 --quiet > "$folder/log" 2>&1 || fail "the run that is not killed"

survived=0 in_a_save=0 compared=0 longest_ms=0
for ((i = 1; i <= kills + survived && survived < kills; ++i)); do
    start "$@" &
    job=$!
    # Half of them in the middle of a save: as soon as a temporary file is seen. A run may be over before one is: then the
    # next kill is aimed as well.
    until [ -n "$(running_ranks)" ] || ! kill -0 $job 2> /dev/null; do sleep 0.02; done
    sleep "0.$((RANDOM % 8))"
    ranks=($(running_ranks)) saving=0
    if ((2 * in_a_save < i - survived)); then
        for ((wait = 0; wait < 10000; ++wait)); do
            compgen -G "$folder/out/checkpoints/step-*/*.tmp.*" > /dev/null && saving=1 && break
            kill -0 $job 2> /dev/null || break
        done
    fi
    [ ${#ranks[@]} = 0 ] || kill -0 "${ranks[0]}" 2> /dev/null || ranks=()
    if [ ${#ranks[@]} = 0 ]; then  # over before it could be killed
        wait $job || fail "run $i ended by itself, with an error"
        survived=$((survived + 1))
        rm -rf "$folder/out"
        continue
    fi
    victim=${ranks[RANDOM % ${#ranks[@]}]}
    kill -9 "$victim" 2> /dev/null
    killed_at=${EPOCHREALTIME/./}
    wait $job
    code=$?
    took_ms=$(((${EPOCHREALTIME/./} - killed_at) / 1000))
    ((took_ms <= 10000)) || fail "the job went on for more than 10 s after kill $i"
    ((took_ms <= longest_ms)) || longest_ms=$took_ms
    in_a_save=$((in_a_save + saving))
    [ $code -ne 0 ] || { [ -f "$folder/out/checkpoints/last.safetensors" ] || fail "exit code 0 after kill $i"; }
    [ -z "$(running_ranks)" ] || fail "a rank is left after kill $i"
    if (((i - survived) % every == 0 || i - survived == kills)); then
        start "$@" || fail "resuming after kill $i"
        [ "$(weights "$folder/out")" = "$(weights "$folder/whole")" ] || fail "other weights after kill $i"
        compared=$((compared + 1))
        rm -rf "$folder/out"
    fi
done
[ $survived -lt "$kills" ] || fail "too many runs were over before they could be killed"

# A signal asks for a checkpoint: exit code 75, and the next run goes on from there.
rm -rf "$folder/out"
start "$@" &
job=$!
for ((wait = 0; wait < 100; ++wait)); do
    [ -n "$(running_ranks)" ] && [ -d "$folder/out/checkpoints" ] && break
    sleep 0.1
done
sleep 0.3
for rank in $(running_ranks); do kill -USR1 "$rank"; done
wait $job
code=$?
[ $code = 75 ] || [ -f "$folder/out/checkpoints/last.safetensors" ] || fail "exit code $code after SIGUSR1"
start "$@" || fail "resuming after SIGUSR1"
[ "$(weights "$folder/out")" = "$(weights "$folder/whole")" ] || fail "other weights after SIGUSR1"
echo "$kills kills, $in_a_save of them inside a save; every job ended within $longest_ms ms; exit code $code after SIGUSR1"
echo "$compared runs resumed to their end, each with the weights of the one that was never killed"
