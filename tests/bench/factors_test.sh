#!/bin/bash
# A sweep's factors with real ranks: their product is the efficiency of the table to 1e-12, their probes are no results, and a run
# for its times alone leaves a record and nothing else.
# factors_test.sh XBENCH
set -eu
xbench=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > job.json <<'JSON'
{"name": "job", "model": {"name": "pneumonia_cnn", "widths": [4, 8, 8]}, "data": {"synthetic": {"count": 300, "size": 32}},
 "train": {"batch_size": 16, "epochs": 2},
 "sweep": [{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": 2}, {"trainer": "sharded", "ranks": 2, "stage": 3}],
 "scaling": {"repeats": 2, "timeout_seconds": 60}}
JSON
export CUDA_VISIBLE_DEVICES= XBENCH_PLANT=

fail() {
    echo "FAILED: $*"
    cat run/scaling.md run/efficiency.csv 2>/dev/null || true
    exit 1
}

# A run for its times alone.
"$xbench" train --config job.json --out alone --quiet --set train.probe=preloaded > alone.txt 2>&1 || { cat alone.txt; fail "a probe"; }
[ "$(ls alone)" = records.jsonl ] || fail "a probe left $(ls alone | tr '\n' ' ')"
grep -q '"kind":"probe"' alone/records.jsonl && grep -q '"weights_hash":""' alone/records.jsonl || fail "the record of a probe"
! grep -qE 'accuracy|final_weights_hash' alone/records.jsonl || fail "a probe has scores"
grep -qE '"cycles":(null,.*"processor_counters_why":"[^"]+|[0-9])' alone/records.jsonl || fail "neither counters nor why not"
for wrong in "train --config job.json --out alone --resume --set train.probe=steps" "--config job.json --out never --set train.probe=steps" \
    "tune --config job.json --search train.seed=1,2 --out never --set train.probe=steps"; do
    code=0
    # shellcheck disable=SC2086
    "$xbench" $wrong > wrong.txt 2>&1 || code=$?
    [ "$code" = 2 ] && grep -q /train/probe wrong.txt || { cat wrong.txt; fail "$wrong ended with $code"; }
done
code=0
XBENCH_PLANT=nonsense=1 "$xbench" train --config job.json --out planted --quiet > wrong.txt 2>&1 || code=$?
[ "$code" = 2 ] && grep -q XBENCH_PLANT wrong.txt || { cat wrong.txt; fail "planted nonsense ended with $code"; }

if [ "$(nproc)" -lt 2 ]; then
    echo "one core: no rows with two ranks to split"
    exit 0
fi
"$xbench" --config job.json --dry-run > dry.txt
[ "$(grep '^block 1:' dry.txt | grep -o 'probe ' | wc -l)" = 6 ] && grep -q serial-t1-b8-v4-e1-x2 dry.txt || { cat dry.txt; fail "--dry-run does not list 6 probes"; }
"$xbench" --config job.json --dry-run --set scaling.factors=false | grep -q "probe " && fail "probes without factors"
"$xbench" --quiet --config job.json --out run > out.txt 2>&1 || { cat out.txt; fail "the sweep"; }
[ "$(grep -c '"kind":"rep"' run/records.jsonl)" = 6 ] || fail "not 6 repeats"
[ "$(grep -c '"kind":"probe"' run/records.jsonl)" = 14 ] || fail "not 14 records of probes"  # 6 runs, one of them two copies, twice
[ "$(wc -l < run/scaling.csv)" = 4 ] || fail "a probe became a row"
if grep -q oversubscribed run/scaling.csv; then
    echo "its cores are not its own: rows have no factors"
    exit 0
fi
[ "$(wc -l < run/efficiency.csv)" = 19 ] || fail "not nine factors of two rows"
for row in cpu_ddp-r2-t1 sharded-r2-t1-s3; do
    efficiency=$(grep '"kind":"summary"' run/records.jsonl | grep "\"point\":\"$row\"" | grep -oE '"efficiency":[0-9.e+-]+' | cut -d: -f2)
    awk -F, -v row=$row -v efficiency="$efficiency" '$1 == row { product = (n++ ? product : 1) * $3; if ($3 <= 0 || $4 > $5) bad = 1 }
        END { difference = product - efficiency; exit !(n == 9 && !bad && difference < 1e-12 && difference > -1e-12) }' run/efficiency.csv \
        || fail "$row: the product is not $efficiency"
done
grep -q "## Where the efficiency went" run/scaling.md || fail "scaling.md has no factors"
cp run/efficiency.csv kept.csv
"$xbench" report run > /dev/null
cmp run/efficiency.csv kept.csv || fail "a report has other factors"
"$xbench" --quiet --config job.json --resume --out run > again.txt 2>&1 || { cat again.txt; fail "resuming a complete sweep"; }
grep -q "nothing was run" again.txt || { cat again.txt; fail "a complete sweep ran something again"; }
echo "all as expected"
