#!/bin/sh
# Stands for mpirun in the tests of the sweep: runs the program once and tells it the number of ranks.
FAKE_RANKS=$2
export FAKE_RANKS
shift 2
while :; do
    case $1 in
        --bind-to) shift 2 ;;
        --*) shift ;;
        *) break ;;
    esac
done
exec "$@"
