#!/usr/bin/env bash
# A rank that is killed (for memory, by hand): the job ends at once with one line that names the rank, the step and what the others
# waited for it in; and xbench comm, killed in the middle or short of shared memory, leaves no segment in /dev/shm.
#
#   killed_rank.sh XBENCH LAUNCHER...     a command that starts two ranks
set -u
xbench=$1
shift
folder=$(mktemp -d)
trap 'ranks | xargs -r kill -9; rm -rf "$folder"' EXIT
trap 'exit 1' TERM INT
cat >"$folder/run.json" <<'JSON'
{"name": "killed", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 400, "size": 24}},
 "train": {"batch_size": 16, "epochs": 100000, "checkpoint_steps": 1}}
JSON
ranks() { pgrep -f -- "^$xbench (train --config $folder/run.json|comm -b 16K)" || true; }
fail() {
    echo "FAILED: $1"
    [ ! -f "$folder/log" ] || tail -n 20 "$folder/log"
    exit 1
}
rank_of() { tr '\0' '\n' <"/proc/$1/environ" 2>/dev/null | sed -n 's/^OMPI_COMM_WORLD_RANK=//p'; }
segments() { find /dev/shm -maxdepth 1 -name 'xbench*' -printf '%f\n' 2>/dev/null | sort; }
before=$(segments)

for killed in 0 1; do
    setsid "$@" "$xbench" train --config "$folder/run.json" --trainer cpu_ddp --out "$folder/out$killed" --quiet >"$folder/log" 2>&1 &
    job=$!
    for ((wait = 0; wait < 300; ++wait)); do
        compgen -G "$folder/out$killed/checkpoints/step-*/manifest.json" >/dev/null && break
        kill -0 $job 2>/dev/null || fail "the job ended before anything happened to it"
        sleep 0.1
    done
    for rank in $(ranks); do [ "$(rank_of "$rank")" != $killed ] || kill -9 "$rank"; done
    wait $job
    [ $? -ne 0 ] || fail "a job of which a rank was killed ends with 0"
    other=$((1 - killed))
    line=$(grep -m 1 -E "^xbench train, rank $other: .*rank $killed \(process [0-9]+\) is dead; rank $other waited for it in [a-z_]+ of [0-9]+ (bytes|KiB|MiB) at step [0-9]+" \
        "$folder/log") || fail "no line that names rank $killed, the operation and the step"
    echo "$line"
    [ "$(grep -c '^xbench train' "$folder/log")" = 1 ] || fail "not one line"
    [ -z "$(ranks)" ] || fail "a rank is left"
done
[ "$(segments)" = "$before" ] || fail "a killed rank left $(segments) in /dev/shm"

# Ranks that talk by MPI alone learn of it from the launcher, which ends them; what they waited in is said all the same.
XBENCH_NODE_OF_RANK=0,1 setsid "$@" "$xbench" train --config "$folder/run.json" --trainer cpu_ddp --out "$folder/mpi" --quiet >"$folder/log" 2>&1 &
job=$!
for ((wait = 0; wait < 300; ++wait)); do
    compgen -G "$folder/mpi/checkpoints/step-*/manifest.json" >/dev/null && break
    sleep 0.1
done
for rank in $(ranks); do [ "$(rank_of "$rank")" != 1 ] || kill -9 "$rank"; done
wait $job
[ $? -ne 0 ] || fail "a job of which a rank was killed ends with 0"
grep -m 1 -E "^xbench train, rank 0: signal [0-9]+ while rank 0 waited in [a-z_]+ of [0-9]+ (bytes|KiB|MiB) at step [0-9]+: has another rank died" \
    "$folder/log" || fail "no line that names the operation and the step"

# The launcher, a rank, or all of them are killed while collectives are timed.
for victim in launcher rank all; do
    setsid "$@" "$xbench" comm -b 16K -e 16K --op all_reduce --rounds 100000 >"$folder/log" 2>&1 &
    job=$!
    for ((wait = 0; wait < 200; ++wait)); do
        grep -q '^ *16384' "$folder/log" && break
        kill -0 $job 2>/dev/null || fail "comm ended by itself"
        sleep 0.05
    done
    case $victim in
        launcher) kill -9 $job ;;
        rank) ranks | tail -n 1 | xargs -r kill -9 ;;
        all) kill -9 -$job ;;
    esac
    wait $job
    for ((wait = 0; wait < 200; ++wait)); do
        [ -n "$(ranks)" ] || break
        sleep 0.05
    done
    [ -z "$(ranks)" ] || fail "comm: a rank outlives the killed $victim"
    [ "$(segments)" = "$before" ] || fail "comm: a killed $victim left $(segments) in /dev/shm"
done

unshare --mount true 2>/dev/null || { echo "skipped: comm in a small /dev/shm, as there are no mount namespaces here" && exit 0; }
in_shm_of() { unshare --mount bash -c 'mount -t tmpfs -o size=$1 tmpfs /dev/shm && shift && "$@"; code=$?; ls /dev/shm | grep xbench; exit $code' _ "$@"; }
in_shm_of 64m "$@" "$xbench" comm -b 64K -e 64M -f 1024 --op all_reduce --rounds 1 >"$folder/log" 2>&1 || fail "comm in 64 MiB of shared memory: $?"
grep -q '^note: /dev/shm has .* sizes end at' "$folder/log" || fail "comm in 64 MiB does not say where its sizes end"
in_shm_of 1m "$@" "$xbench" comm -b 1M -e 64M --op all_reduce --rounds 1 >"$folder/log" 2>&1
code=$?
grep -qE "note: the ranks of a node share no memory|needs .* MiB" "$folder/log" || fail "comm in 1 MiB of shared memory says nothing of it"
[ $code = 0 ] || [ "$(grep -c '^xbench comm' "$folder/log")" -ge 1 ] || fail "comm in 1 MiB: $code"
grep -q '^xbench-' "$folder/log" && fail "comm left a segment in a small /dev/shm"
echo "a killed rank is named, and nothing is left in /dev/shm"
