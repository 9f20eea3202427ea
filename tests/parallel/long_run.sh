#!/bin/bash
# A long run takes no more memory and no more open files at its end than after its first eighth: some thousand steps, with
# validation every 17 and a checkpoint every 10, looked at from outside.
#
#   long_run.sh XBENCH [LAUNCHER...]     without a launcher: one process
set -u
[ -e /proc/self/environ ] || { echo "no /proc here, by which the ranks are found: skipped" && exit 77; }
xbench=$1
shift
# So many that twenty looks fit into the last quarter: in one that ends during them, all may fall into a save.
steps=8160 growth_kib=1024
folder=$(mktemp -d)
trap 'ranks | xargs -r kill -9; rm -rf "$folder"' EXIT
trap 'exit 1' TERM INT
trainer=serial
[ $# = 0 ] || trainer=cpu_ddp
cat >"$folder/run.json" <<JSON
{"name": "long", "model": {"name": "pneumonia_cnn", "widths": [2, 4, 4]}, "data": {"synthetic": {"count": 190, "size": 16}},
 "train": {"batch_size": 8, "epochs": $((steps / 17)), "checkpoint_steps": 10}}
JSON
ranks() { pgrep -f -- "^$xbench train --config $folder/run.json" || true; }
fail() {
    echo "FAILED: $1"
    tail -n 5 "$folder/log"
    exit 1
}
# The step of the newest checkpoint.
step() { find "$folder/out/checkpoints" -name 'step-*' 2>/dev/null | sed 's/.*step-0*//' | sort -n | tail -n 1; }
# look: the least of twenty looks at all ranks, as a checkpoint that is being written takes memory and files for a moment.
# Sets rss_kib and files.
look() {
    rss_kib=999999999 files=999999
    local i pid sum count
    for ((i = 0; i < 20; ++i)); do
        sum=0 count=0
        for pid in $(ranks); do
            sum=$((sum + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
            count=$((count + $(find "/proc/$pid/fd" -mindepth 1 | wc -l)))
        done
        [ $sum -gt 0 ] || break
        [ $sum -ge $rss_kib ] || rss_kib=$sum
        [ $count -ge $files ] || files=$count
        sleep 0.02
    done
    [ $files -lt 999999 ] || fail "the run was over before it was looked at"
}
wait_for_step() {
    until [ "$(step)" ] && [ "$(step)" -ge "$1" ]; do
        kill -0 $job 2>/dev/null || fail "the job ended before step $1"
        sleep 0.02
    done
}

setsid "$@" "$xbench" train --config "$folder/run.json" --trainer $trainer --out "$folder/out" --quiet >"$folder/log" 2>&1 &
job=$!
wait_for_step $((steps / 8))
look
first_rss_kib=$rss_kib first_files=$files first_step=$(step)
wait_for_step $((steps * 3 / 4))
look
last_step=$(step)
wait $job || fail "the run failed"
echo "steps $first_step to $last_step: $first_rss_kib to $rss_kib KiB, $first_files to $files open files"
[ $files -le $first_files ] || fail "open files"
[ $((rss_kib - first_rss_kib)) -le $growth_kib ] || fail "memory grew by more than $growth_kib KiB"
