#!/bin/bash
# The main job on small data: a sweep over serial, 1, 2 and 4 ranks ends in one table, with the same weights in every row.
# main_job_test.sh XBENCH
set -eu
xbench=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/job.json" <<'EOF'
{"name": "job", "model": {"name": "pneumonia_cnn", "widths": [4, 8, 8]}, "data": {"synthetic": {"count": 200, "size": 32}},
 "train": {"batch_size": 16, "epochs": 2},
 "sweep": [{"trainer": "serial", "threads": [1, 2]}, {"trainer": "cpu_ddp", "ranks": [1, 2, 4]}, {"trainer": "gpu_ddp", "ranks": 2}],
 "scaling": {"repeats": 2, "oversubscribe": true, "timeout_seconds": 60}}
EOF
export CUDA_VISIBLE_DEVICES=   # also where there are GPUs
cd "$folder"
"$xbench" --quiet --config job.json --out run > out.txt 2> err.txt || { cat out.txt err.txt; exit 1; }

fail() {
    echo "FAILED: $*"
    cat run/scaling.md run/scaling.csv
    exit 1
}
for file in config.resolved.json env.json records.jsonl scaling.csv scaling.md; do
    [ -s run/$file ] || fail "no $file"
done
[ "$(grep -c '"kind":"rep"' run/records.jsonl)" -eq 10 ] || fail "not 10 raw records"
[ "$(grep -c '"kind":"summary"' run/records.jsonl)" -eq 6 ] || fail "not 6 summaries"
[ "$(wc -l < run/scaling.csv)" -eq 7 ] || fail "not a header and 6 rows"
[ "$(grep -oE '[0-9a-f]{32}' run/scaling.csv | sort -u | wc -l)" -eq 1 ] || fail "the weights differ"
[ "$(grep -cE ',(ok|oversubscribed),' run/scaling.csv)" -eq 5 ] || fail "some rows did not run"
grep -qE "^gpu_ddp,cuda,2,.*,not_run,.*CUDA" run/scaling.csv || fail "the GPU row has no reason"
grep -q "bit for bit, in all 10 runs of 5 rows" run/scaling.md || fail "no line about the weights"
tail -1 out.txt | grep -q "run/scaling.md" || fail "the path of the table is not the last line"

# What all rows need is tried before the first.
if "$xbench" --quiet --config job.json --set 'data={"path":"gone.h5"}' --out gone > gone.txt 2>&1; then fail "a sweep without its data set"; fi
grep -q "gone.h5" gone.txt || { cat gone.txt; fail "the data set is not named"; }
[ ! -e gone ] || fail "a sweep that cannot begin left a folder"

# A broken rank ends its point at once, with its name, and the sweep with 1.
code=0
timeout 60 "$xbench" --quiet --config job.json --set 'sweep=[{"trainer":"cpu_ddp","ranks":2}]' --set train.optimizer=sgd \
    --set train.learning_rate=1e38 --set scaling.repeats=1 --out broken > broken.txt 2>&1 || code=$?
[ "$code" -eq 1 ] || { cat broken.txt; fail "a failed point ended the sweep with $code"; }
grep -qE "failed.*xbench train, rank [01]: " broken/scaling.csv || { cat broken/scaling.csv; fail "the failure is not told"; }
echo "all as expected"
