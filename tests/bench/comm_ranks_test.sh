#!/usr/bin/env bash
# xbench comm without mpirun starts its ranks itself, and the end of one is the end of all: comm_ranks_test.sh XBENCH
set -uo pipefail
xbench=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
alone() { env -u OMPI_COMM_WORLD_SIZE -u SLURM_JOB_ID PATH="$scratch" "$xbench" comm "$@"; }  # no mpirun on PATH

alone -b 4K -e 4K --op all_reduce --ranks 3 --rounds 2 >table.txt 2>notes.txt || fail "three ranks of its own: $(tail -n 2 notes.txt)"
grep -q "all_reduce, 3 ranks, float, sum" table.txt && grep -q "shm" table.txt || fail "no table of shared memory: $(cat table.txt)"
grep -q "note: without MPI, as mpirun was not found" notes.txt || fail "nothing says why there is no MPI: $(cat notes.txt)"

children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null; }
# One of three dies in the middle, whichever it is: the others would wait for it.
for victim in 1 2 3; do
    env PATH="$scratch" "$xbench" comm -b 4K -e 4K --op all_reduce --ranks 3 --rounds 10000000 >long.txt 2>said.txt &
    parent=$!
    children="" tries=0
    while [ "$(echo $children | wc -w)" -lt 3 ] && [ $((tries += 1)) -lt 200 ]; do sleep 0.05; children=$(children_of "$parent"); done
    [ "$(echo $children | wc -w)" = 3 ] || { fail "three ranks were to run, not: $children"; kill "$parent"; wait "$parent"; continue; }
    tries=0
    while ! [ -s long.txt ] && [ $((tries += 1)) -lt 20 ]; do sleep 0.05; done
    kill -9 "$(echo $children | cut -d ' ' -f "$victim")"
    tries=0
    while kill -0 "$parent" 2>/dev/null && [ $((tries += 1)) -lt 600 ]; do sleep 0.05; done
    if kill -0 "$parent" 2>/dev/null; then
        fail "without rank $victim of 3 the others wait for ever"
        kill "$parent"
    fi
    wait "$parent"
    code=$?
    [ "$code" = 1 ] || fail "the end of a rank gives exit code $code"
    grep -q "xbench comm: a rank was killed by signal 9" said.txt || fail "nothing says that a rank is gone: $(cat said.txt)"
    for child in $children; do
        kill -0 "$child" 2>/dev/null && fail "rank $child goes on"
    done
done
[ "$failures" = 0 ]
