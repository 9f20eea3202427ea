#!/usr/bin/env bash
# Files that nobody trusts are decoded in processes of their own: one that ends its process, never comes to an end or wants all
# memory is one record of the quarantine, and everything else is imported as if it were not there.
#
#   worker_test.sh XBENCH
set -uo pipefail
xbench=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $1"; failures=$((failures + 1)); }

png='\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0aIDAT\x78\x9c\x63\xc8\x00\x00\x00\x6a\x00\x69\x39\x46\x4a\x8a\x00\x00\x00\x00IEND\xae\x42\x60\x82'
mkdir -p src/a src/b
for i in $(seq 100); do printf "$png" > "src/a/$i.png"; printf "$png" > "src/b/$i.png"; done
export XBENCH_TEST_WORKER=1
"$xbench" data import src --out good.h5 --size 16 --quiet > good.txt 2>&1 || fail "good files: $(tail -1 good.txt)"

for i in 17 18 55; do printf 'XBENCH-CRASH' > "src/a/$i.crash"; done
printf 'XBENCH-SPIN\n' > src/b/1.spin
printf 'XBENCH-BOMB\n' > src/b/2.bomb
"$xbench" data import src --out good.h5 --size 16 --threads 2 --quiet > bad.txt 2>&1 || fail "bad files among good ones: $(tail -1 bad.txt)"
grep -q '205 files below src: 200 imported, 5 quarantined' bad.txt || fail "the account: $(cat bad.txt)"
[ "$(grep -c '\.crash,decoding it ended with signal 11' good.h5.quarantine.csv)" = 3 ] || fail "crashes: $(cat good.h5.quarantine.csv)"
grep -q '1.spin,decoding it takes more than 5 s' good.h5.quarantine.csv || fail "an endless file: $(cat good.h5.quarantine.csv)"
if ! nm "$xbench" 2> /dev/null | grep -q __asan_init; then
    grep -q '2.bomb,not enough memory to decode it' good.h5.quarantine.csv || fail "a bomb: $(cat good.h5.quarantine.csv)"
fi
"$xbench" data info good.h5 --json > with_bad.json
rm src/*/*.crash src/*/*.spin src/*/*.bomb
"$xbench" data import src --out good.h5 --size 16 --quiet > again.txt 2>&1
"$xbench" data info good.h5 --json > without.json
cmp with_bad.json without.json || fail "bad files change the good ones"

"$xbench" decode-worker < /dev/null > alone.txt 2>&1
[ $? = 2 ] || fail "a worker that nobody speaks to: $(cat alone.txt)"

[ "$failures" = 0 ] && echo "all well"
exit $((failures > 0))
