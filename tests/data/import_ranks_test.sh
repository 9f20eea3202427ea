#!/usr/bin/env bash
# Ranks share the work of an import: the set and the lists beside it have the same bytes at any number of ranks, one rank
# speaks, and a failure of the first lets none of the others wait.
#
#   import_ranks_test.sh XBENCH MPIRUN
set -uo pipefail
xbench=$1 mpirun=$2
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $1"; failures=$((failures + 1)); }

png='\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0aIDAT\x78\x9c\x63\xc8\x00\x00\x00\x6a\x00\x69\x39\x46\x4a\x8a\x00\x00\x00\x00IEND\xae\x42\x60\x82'
mkdir -p src/a src/b
for i in $(seq 150); do printf "$png" > "src/a/$i.png"; printf "$png" > "src/b/$i.png"; done
echo "no image" > src/a/broken.png

"$xbench" data import src --out set.h5 --size 16 --quiet > one.txt || fail "one process: $(tail -1 one.txt)"
mv set.h5 one.h5 && mv set.h5.quarantine.csv one.csv && mv set.h5.import.json one.json
for ranks in 2 3; do
    timeout 60 "$mpirun" --oversubscribe --bind-to none -n $ranks "$xbench" data import src --out set.h5 --size 16 --threads 1 --quiet > many.txt 2>&1 ||
        fail "$ranks ranks: $(tail -3 many.txt)"
    cmp one.h5 set.h5 && cmp one.csv set.h5.quarantine.csv && cmp one.json set.h5.import.json || fail "$ranks ranks make another set"
    [ "$(grep -c 'files below src' many.txt)" = 1 ] || fail "$ranks ranks speak at once: $(cat many.txt)"
done
# Killed in the middle, and gone on with by another number of ranks.
"$xbench" data import src --out large.h5 --size 256 --quiet > large.txt || fail "one process: $(tail -1 large.txt)"
mv large.h5 whole.h5
"$mpirun" --oversubscribe --bind-to none -n 2 "$xbench" data import src --out large.h5 --size 256 --threads 1 --resume --quiet > killed.txt 2>&1 &
job=$!
for _ in $(seq 200); do
    [ "$(stat -c %s large.h5.import-journal 2> /dev/null || echo 0)" -gt 1000000 ] && break
    sleep 0.02
done
ranks_of_job=$(pgrep -P $job)
[ -z "$ranks_of_job" ] || kill -9 $ranks_of_job 2> /dev/null
wait $job 2> /dev/null
kept=$([ -e large.h5.import-journal ] && echo yes)
timeout 60 "$mpirun" --oversubscribe --bind-to none -n 3 "$xbench" data import src --out large.h5 --size 256 --threads 1 --resume --quiet > resumed.txt 2>&1 ||
    fail "after a kill: $(tail -3 resumed.txt)"
cmp large.h5 whole.h5 || fail "an import that was killed makes another set"
[ -z "$kept" ] || grep -q 'had been decoded by an import that was interrupted' resumed.txt || fail "all was decoded again: $(cat resumed.txt)"
[ ! -e large.h5.import-journal ] || fail "the journal is left behind"

timeout 60 "$mpirun" --oversubscribe --bind-to none -n 2 "$xbench" data import nowhere --out no.h5 --quiet > failed.txt 2>&1
[ $? = 2 ] || fail "a folder that is not there: $(cat failed.txt)"
[ "$(grep -c 'no such folder' failed.txt)" = 1 ] || fail "the reason is not said once: $(cat failed.txt)"
[ -z "$(ls | grep '^no')" ] || fail "left behind: $(ls | grep '^no')"

[ "$failures" = 0 ] && echo "all well"
exit $((failures > 0))
