#!/usr/bin/env bash
# What happens when ranks cannot connect: processes of a launcher that MPI does not know, shared memory that is too small,
# read-only or another one for each rank, a rank that is killed. Each ends soon, with one line, or goes on by MPI alone.
#
#   connecting_test.sh XBENCH MPIRUN...        exit code 77: no mount namespaces here (what needs none has been tried)
set -u
xbench=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/run.json" <<'JSON'
{"name": "connecting", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]},
 "data": {"synthetic": {"count": 64, "size": 24}},
 "train": {"batch_size": 16, "epochs": 1, "collective_timeout_seconds": 10}}
JSON
failed=0
fail() {
    echo "FAILED: $1"
    [ ! -f "$dir/log" ] || tail -n 5 "$dir/log"
    failed=1
}
train=("$xbench" train --config "$dir/run.json" --trainer cpu_ddp --quiet)

for i in 0 1; do
    SLURM_PROCID=$i SLURM_STEP_NUM_TASKS=2 timeout 60 "${train[@]}" --out "$dir/slurm" >"$dir/log$i" 2>&1
    [ $? = 2 ] || fail "process $i of a launcher that MPI does not know was not refused"
done
[ "$(cat "$dir"/log[01] | grep -c 'srun started 2 processes')" = 1 ] || fail "not one line for both processes"
[ ! -e "$dir/slurm" ] || fail "a refused process has made the run folder"
PMI_SIZE=3 PMI_RANK=0 "${train[@]}" --out "$dir/pmi" 2>&1 | grep -q 'started 3 processes (PMI_SIZE), but MPI sees 1' ||
    fail "MPICH's variables"
"${train[@]}" --out "$dir/alone" 2>&1 | grep -q -- '--trainer cpu_ddp: no launcher started it' || fail "no launcher"

[ $failed = 0 ] || exit 1
unshare -m true 2>/dev/null || { echo "no mount namespaces here; the launchers' part passed" && exit 77; }
# with_shm WHAT MOUNT_OPTIONS: the run must end well by MPI alone, and say why
with_shm() {
    timeout 60 unshare -m bash -c "mount -t tmpfs -o $2 tmpfs /dev/shm && exec \"\$@\"" _ "$mpirun" "${options[@]}" "${train[@]}" \
        --out "$dir/$1" >"$dir/log" 2>&1 || fail "$1: ended with $?"
    [ "$(grep -c '^note: the ranks of a node share no memory' "$dir/log")" = 1 ] || fail "$1: not one note"
}
mpirun=$1
shift
options=("$@")
with_shm small size=1m
with_shm read-only ro
cat >"$dir/own_shm" <<'S'
#!/bin/bash
exec unshare -m bash -c 'mount -t tmpfs tmpfs /dev/shm; exec "$@"' _ "$@"
S
chmod +x "$dir/own_shm"
timeout 60 "$mpirun" "${options[@]}" "$dir/own_shm" "${train[@]}" --out "$dir/own" >"$dir/log" 2>&1 || fail "own /dev/shm each: $?"
grep -q '^note: the ranks of a node share no memory' "$dir/log" || fail "own /dev/shm each: no note"
[ $failed = 0 ] && echo "ranks that cannot connect end, or talk by MPI alone"
exit $failed
