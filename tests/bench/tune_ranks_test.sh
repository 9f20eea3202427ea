#!/usr/bin/env bash
# `xbench tune` by independent workers that mpirun starts: the same trials, winner and weights at any number of workers, failed
# trials as records, and a search that a signal ended goes on under another number of workers without doing anything twice.
#
#   tune_ranks_test.sh XBENCH MPIRUN
set -uo pipefail
xbench=$1 mpirun=$2
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $1"; failures=$((failures + 1)); }

cat > grid.json <<'JSON'
{"name": "grid", "model": {"name": "pneumonia_cnn", "widths": [4]}, "data": {"synthetic": {"count": 80, "size": 24}},
 "train": {"batch_size": 16, "epochs": 3},
 "tune": {"method": "grid", "search": ["train.learning_rate=0.001,0.01,1e30", "train.seed=1,2"], "repeats": 2}}
JSON
sed 's/"grid", "search": \[.*\], "repeats": 2/"halving", "search": ["train.learning_rate=log 1e-4..1e-1"], "trials": 5, "eta": 2/' grid.json > halving.json
sed 's/"epochs": 3/"epochs": 150/; s/"repeats": 2/"repeats": 0/' grid.json > long.json

# Everything that a search finds but its times and places.
essence() {
    python3 - "$1/tune.json" <<'PY'
import json, sys
found = json.load(open(sys.argv[1]))
for record in [found["winner"], *found["trials"]]:
    del record["seconds"]
del found["weights"]
print(json.dumps(found, sort_keys=True))
PY
}
workers() {
    local count=$1
    shift
    timeout 120 "$mpirun" --oversubscribe --bind-to none -n "$count" "$xbench" tune "$@"
}

for search in grid halving; do
    "$xbench" tune --config $search.json --out $search.alone --quiet 2> said.txt || fail "$search, no launcher: $(tail -2 said.txt)"
    for count in 1 2 3; do
        workers $count --config $search.json --out $search.$count > said.txt 2>&1 || fail "$search, $count workers: $(tail -3 said.txt)"
        [ "$(essence $search.$count)" = "$(essence $search.alone)" ] || fail "$search: $count workers find something else"
        [ "$(grep -c '^winner: trial' said.txt)" = 1 ] || fail "$search: $count workers speak at once"
    done
done
[ "$(grep -c '"status": "failed"' grid.3/tune.json)" = 2 ] || fail "failed trials are not kept"
grep -q '"status": "failed"' grid.3/trials/0004/record-0.json || fail "a failed trial has no record"
[ "$(ls -d grid.3/repeats/* | wc -l)" = 2 ] || fail "not two repeats"

# A signal, while trials are under way.
"$xbench" tune --config long.json --out long.alone --quiet 2> said.txt || fail "long, no launcher: $(tail -2 said.txt)"
workers 2 --config long.json --out long > killed.txt 2>&1 &
job=$!
for _ in $(seq 500); do
    compgen -G 'long/trials/*/record-0.json' > /dev/null && break
    sleep 0.02
done
ranks=$(pgrep -f -- "^$xbench tune --config long.json --out long\$")
[ -n "$ranks" ] || fail "no rank is found: $(cat killed.txt)"
[ -z "$ranks" ] || kill -USR1 $ranks
wait $job
code=$?
[ $code = 75 ] || fail "exit code $code, not 75: $(tail -3 killed.txt)"
[ "$(grep -c 'stopped because of signal' killed.txt)" = 1 ] || fail "the stop is not said once: $(cat killed.txt)"
kept=$(ls long/trials/*/record-0.json | wc -l)
[ "$kept" -lt 6 ] || fail "it was over before the signal"
stamps=$(stat -c '%n %Y.%y' long/trials/*/record-0.json)
workers 3 --config long.json --out long --resume > resumed.txt 2>&1 || fail "resumed: $(tail -3 resumed.txt)"
# shellcheck disable=SC2046
[ "$(stat -c '%n %Y.%y' $(cut -d' ' -f1 <<< "$stamps"))" = "$stamps" ] || fail "finished trials were done again"
[ "$(essence long)" = "$(essence long.alone)" ] || fail "a search that was interrupted finds something else"
workers 2 --config grid.json --out long --resume > other.txt 2>&1 && fail "another search goes on in the same folder"
grep -q 'train/epochs: 150 then, 3 now' other.txt || fail "the difference is not named: $(cat other.txt)"

# What the first worker refuses ends all of them.
timeout 60 "$mpirun" --oversubscribe --bind-to none -n 2 "$xbench" tune --config grid.json --out grid.1 > taken.txt 2>&1
code=$?
[ $code = 2 ] || fail "a folder that is taken: exit code $code: $(tail -3 taken.txt)"

[ "$failures" = 0 ] && echo "one winner by 1, 2 and 3 workers"
exit $((failures > 0))
