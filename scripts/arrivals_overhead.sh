#!/usr/bin/env bash
# What logging the ranks' arrivals costs a training of two ranks with steps of about a millisecond: one run that logs one step of
# two, at random (train.arrivals alternate), which compares its own steps. For a quiet machine with two cores.
#
#   scripts/arrivals_overhead.sh XBENCH [STEPS [LIMIT]]     default 40000 steps; exit code 1 where the cost is above LIMIT (0.001)
#                                                           of a step with its whole interval
set -euo pipefail
xbench=$1 steps=${2:-40000} limit=${3:-0.001}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
batch=64 count=4096
epochs=$(((steps * batch + count - 1) / count))
# The set is small and stays in memory, so that a step is computing and communication.
cat >"$work/job.json" <<JSON
{"name": "overhead", "model": "pneumonia_cnn", "data": {"synthetic": {"count": $((count * 10 / 7)), "size": 32}},
 "train": {"batch_size": $batch, "epochs": $epochs, "arrivals": "alternate", "check_steps": 0}}
JSON
mpirun -n 2 --bind-to none --oversubscribe "$xbench" train --config "$work/job.json" --trainer cpu_ddp --out "$work/run" >"$work/log" 2>&1 ||
    { tail -n 5 "$work/log"; exit 1; }
grep "logging arrivals costs" "$work/log"
low=$(sed -n 's/.*"arrivals_cost":{"us":[^,]*,"low_us":\([^,]*\),.*/\1/p' "$work/run/records.jsonl")
step_ms=$(sed -n 's/.*"step_ms":\([0-9.e+-]*\),.*/\1/p' "$work/run/records.jsonl")
echo "a step takes $step_ms ms"
awk -v low="$low" -v step="$step_ms" -v limit="$limit" 'BEGIN { exit !(low / 1000 / step <= limit) }' ||
    { echo "that is more than $limit of a step"; exit 1; }
