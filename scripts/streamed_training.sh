#!/usr/bin/env bash
# Trains on a set that is four times as large as the page cache it may use, and once more from memory: the weights have to be the
# same, and the share of time that steps waited for the loader is shown. Needs root and control groups (version 1 or 2) for memory.
#
#   scripts/streamed_training.sh XBENCH SET OUT [OPTIONS OF xbench train...]
#
# The first run is confined to a group whose limit follows what the program itself holds: that much and a quarter of the set's
# bytes. The set's pages are dropped first, so that the group pays for each that is read. data.memory_mib is half of that quarter.
# Exit code 1: other weights, or more than 2% waiting; 77: this cannot work here, with the reason.
set -euo pipefail

usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2; }
impossible() { echo "streamed_training: $1" && exit 77; }

[ $# -ge 3 ] || usage
xbench=$1 set=$2 out=$3
shift 3
bytes=$(stat -c %s "$set")
cache=$((bytes / 4))
[ "$(id -u)" = 0 ] || impossible "only root can make control groups"

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    group=/sys/fs/cgroup/xbench-streamed.$$ limit=memory.high own=anon cached=file
    grep -qw memory /sys/fs/cgroup/cgroup.subtree_control || impossible "the memory controller is not handed to groups below the root"
elif [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/xbench-streamed.$$ limit=memory.limit_in_bytes own=rss cached=cache
else
    impossible "no control groups for memory are mounted here"
fi
mkdir "$group" 2>/dev/null || impossible "no group can be made at $group"
# Who needs more memory of its own than the limit allows waits until the limit follows, and is not killed.
[ ! -f "$group/memory.oom_control" ] || echo 1 > "$group/memory.oom_control"
trap 'rmdir "$group" 2>/dev/null || true' EXIT

figure() { sed -n "s/^$1 //p" "$group/memory.stat"; }

# Becomes the training, inside the group.
confined() { sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group" "$@"; }

# Keeps the group's limit at what the process holds and the quarter; prints the most page cache and own memory that were seen.
follow() {
    local held seen most_cache=0 most_held=0
    while kill -0 "$1" 2>/dev/null; do
        held=$(figure $own) seen=$(figure $cached)
        echo $((held + cache)) > "$group/$limit" 2>/dev/null || true
        [ "$seen" -le "$most_cache" ] || most_cache=$seen
        [ "$held" -le "$most_held" ] || most_held=$held
        sleep 0.05
    done
    echo "$most_cache $most_held"
}

mkdir -p "$out"
echo $((cache + (256 << 20))) > "$group/$limit"  # until its own memory is known
dd of="$set" oflag=nocache conv=notrunc,fdatasync count=0 status=none
confined "$xbench" train "$@" --data "$set" --set data.memory_mib=$((cache >> 21)) --out "$out/streamed" --overwrite --quiet &
training=$!
read -r most_cache most_held < <(follow $training)
wait $training
"$xbench" train "$@" --data "$set" --set data.memory_mib=1000000 --out "$out/memory" --overwrite --quiet

python3 - "$out" "$bytes" "$most_cache" "$most_held" <<'PYTHON'
import json
import sys

out, size, cache, held = sys.argv[1], *map(int, sys.argv[2:])


def counters(run):
    with open(f"{out}/{run}/records.jsonl", encoding="utf-8") as lines:
        return json.loads(lines.readlines()[-1])["counters"]


streamed, memory = counters("streamed"), counters("memory")
same = streamed["final_weights_hash"] == memory["final_weights_hash"]
mib = 1 / 2**20
print("| set, MiB | page cache, at most | own memory, at most | steps | ms a step | waited for the loader | from memory, ms | waited | weights |")
print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
print(f"| {size * mib:.0f} | {cache * mib:.0f} | {held * mib:.0f} | {streamed['steps']} | {streamed['step_ms']:.2f} "
      f"| {streamed['load_wait_share']:.2%} | {memory['step_ms']:.2f} | {memory['load_wait_share']:.2%} "
      f"| {streamed['final_weights_hash'][:8]}, {'the same' if same else 'from memory ' + memory['final_weights_hash'][:8]} |")
sys.exit(0 if same and streamed["load_wait_share"] <= 0.02 else 1)
PYTHON
