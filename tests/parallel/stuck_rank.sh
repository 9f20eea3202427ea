#!/bin/bash
# A rank that hangs (it is stopped by a signal) must not hang the job: within the limit of a collective and a few seconds it
# ends with an exit code that is not 0, and says which rank waited how long in what, of how many bytes and at which step.
#
#   stuck_rank.sh XBENCH LAUNCHER...     a command that starts several ranks
set -u
[ -e /proc/self/environ ] || { echo "no /proc here, by which the ranks are found: skipped" && exit 77; }
xbench=$1
shift
limit=2 patience=6
folder=$(mktemp -d)
trap 'ranks | xargs -r kill -9; rm -rf "$folder"' EXIT
trap 'exit 1' TERM INT
cat >"$folder/run.json" <<'JSON'
{"name": "stuck", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 400, "size": 24}},
 "train": {"batch_size": 16, "epochs": 100000, "checkpoint_steps": 1}}
JSON
ranks() { pgrep -f -- "^$xbench train --config $folder/run.json" || true; }
fail() {
    echo "FAILED: $1"
    tail -n 20 "$folder/log"
    exit 1
}

setsid "$@" "$xbench" train --config "$folder/run.json" --trainer cpu_ddp --out "$folder/out" --quiet \
    --set train.collective_timeout_seconds=$limit >"$folder/log" 2>&1 &
job=$!
for ((wait = 0; wait < 300; ++wait)); do
    compgen -G "$folder/out/checkpoints/step-*/manifest.json" >/dev/null && break
    kill -0 $job 2>/dev/null || fail "the job ended before anything happened to it"
    sleep 0.1
done
stopped=0
for rank in $(ranks); do
    tr '\0' '\n' <"/proc/$rank/environ" | grep -qx 'OMPI_COMM_WORLD_RANK=1' && kill -STOP "$rank" && stopped=$((stopped + 1))
done
[ $stopped = 1 ] || fail "$stopped ranks were stopped, not one"
stopped_at=$SECONDS
wait $job
code=$?
took=$((SECONDS - stopped_at))
[ $code -ne 0 ] || fail "exit code 0"
[ $took -le $((limit + patience)) ] || fail "the job went on for $took s"
[ -z "$(ranks)" ] || fail "a rank is left"
line=$(grep -m 1 -E "rank [0-9]+ waited $limit s .*in [a-z_]+ of [0-9]+ (bytes|KiB|MiB) at step [0-9]+" "$folder/log") ||
    fail "no line that names rank, operation, bytes and step"
echo "exit code $code after $took s: $line"
