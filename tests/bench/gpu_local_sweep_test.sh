#!/bin/bash
# A sweep on GPUs where there is no mpirun and no Slurm: xbench starts the ranks itself, one a GPU, on the emulated one. The weights
# are those of one GPU; a rank that fails fails its row in time and the sweep goes on; and no rank outlives the sweep, whether it is
# interrupted or killed.
# gpu_local_sweep_test.sh XBENCH EMULATOR
set -u
xbench=$1 emulator=$2
folder=$(mktemp -d)
sweep=
trap '[ -z "$sweep" ] || kill -9 "$sweep" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder" || exit 1
unset SLURM_JOB_ID XBENCH_JOB XBENCH_RENDEZVOUS
export LD_LIBRARY_PATH=$emulator XBENCH_EMULATED_GPUS=3
mkdir nothing
fail() {
    echo "FAILED: $*"
    tail -n 5 ./*.txt ./*/scaling.csv ./*/points/*/*.log 2>/dev/null
    exit 1
}
# job EPOCHS ROWS LAUNCHER
job() {
    cat >job.json <<JSON
{"name": "job", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 96, "size": 24}},
 "train": {"batch_size": 16, "epochs": $1}, "sweep": [$2],
 "scaling": {"repeats": 1, "oversubscribe": true, "timeout_seconds": 120, "launcher": "$3"}}
JSON
}
# The sweep and its ranks, as far as they still run; the pattern does not match its own process.
ranks_left() { grep -lzs "${folder%?}[${folder: -1}]" /proc/[0-9]*/cmdline | wc -l; }
gone() {
    local tries
    for ((tries = 0; tries < 100; ++tries)); do
        [ "$(ranks_left)" -gt 0 ] || return 0
        sleep 0.1
    done
    fail "$1: $(ranks_left) processes outlive the sweep"
}
cells() { awk -F , 'NR == 1 { for (i = 1; i <= NF; ++i) c[$i] = i; next } { print $c["trainer"], $c["ranks"], $c["status"] }' "$1/scaling.csv"; }

all='{"trainer": "serial", "device": "cuda"}, {"trainer": "gpu_ddp", "ranks": [1, 2, 3]}, {"trainer": "cpu_ddp", "ranks": 2},
     {"trainer": "sharded", "device": "cuda", "ranks": 3, "stage": 3}'
for launcher in local auto; do
    job 1 "$all" $launcher
    PATH=$folder/nothing "$xbench" --quiet --config job.json --out "$folder/$launcher" >$launcher.txt 2>&1 || fail "launcher $launcher"
    [ "$(cells $launcher | grep -Ec '^(serial|gpu_ddp|sharded) [123] (ok|oversubscribed)$')" = 5 ] || fail "launcher $launcher: rows"
    [ "$(cells $launcher | grep -c '^cpu_ddp 2 not_run$')" = 1 ] || fail "launcher $launcher: cpu_ddp"
    [ "$(grep ',cuda,' $launcher/scaling.csv | grep -oE '[0-9a-f]{32}' | sort -u | wc -l)" = 1 ] || fail "launcher $launcher: the weights differ"
    grep -q '^for r in 0 1 2; do RANK=' $launcher/points/gpu_ddp-r3-t1-cuda/command.txt || fail "launcher $launcher: no command to repeat"
    [ -z "$(find . -name '.xbench-ranks-*')" ] || fail "launcher $launcher: a file of the meeting stays behind"
done

# GPU 1 is lost: the row of two fails and says so, the row of one is made.
job 40 '{"trainer": "gpu_ddp", "ranks": [2, 1]}' local
since=$SECONDS
XBENCH_EMULATED_GPU_LOST=1:200:214 "$xbench" --quiet --config job.json --set train.epochs=1 --out "$folder/lost" >lost.txt 2>&1
[ $? = 1 ] || fail "a lost GPU: exit code"
[ $((SECONDS - since)) -le 60 ] || fail "a lost GPU holds up the sweep"
[ "$(cells lost | tr '\n' ';')" = "gpu_ddp 2 failed;gpu_ddp 1 ok;" ] || [ "$(cells lost | tr '\n' ';')" = "gpu_ddp 2 failed;gpu_ddp 1 oversubscribed;" ] ||
    fail "a lost GPU: rows"
grep -q 'rank 1: GPU 1 (xbench emulated GPU)' lost/scaling.csv || fail "a lost GPU: no reason in the table"
gone "a lost GPU"

# begin OUT: a sweep in the background whose two ranks train
begin() {
    job 100000 '{"trainer": "gpu_ddp", "ranks": 2}' local
    "$xbench" --quiet --config job.json --set train.checkpoint_steps=1 --out "$folder/$1" >"$1.txt" 2>&1 &
    sweep=$!
    for ((tries = 0; tries < 300; ++tries)); do
        compgen -G "$1/points/*/rep1/checkpoints/step-*/manifest.json" >/dev/null && return 0
        sleep 0.1
    done
    fail "$1: no step within 30 s"
}
begin interrupted
[ "$(ranks_left)" = 3 ] || fail "the test does not see the ranks"
kill -INT $sweep
wait $sweep
[ $? = 75 ] || fail "interrupted: exit code"
gone "interrupted"
begin killed
kill -9 $sweep
wait $sweep 2>/dev/null
gone "killed"
sweep=
echo "ranks of GPUs without a launcher, and none left behind"
