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

# The machine beside each run, the order of the runs, who delayed whom, and a trace.
[ "$(grep '"kind":"rep"' run/records.jsonl | grep -c '"calibration_before":{"arithmetic_ms":[0-9.]*,"memory_ms":[0-9.]*,')" -eq 10 ] || fail "runs without a calibration"
[ "$(grep '"kind":"rep"' run/records.jsonl | grep -oE '"order":[1-9][0-9]*' | sort -u | wc -l)" -eq 10 ] || fail "the order is not told"
grep '"point":"cpu_ddp-r2-t1"' run/records.jsonl | grep '"kind":"rep"' | grep -q '"delays":\[{"bucket":0,"collective":"[a-z_]*","bytes":[0-9]*,' || fail "no delays of two ranks"
grep -q '"name":"rank 1"' run/points/cpu_ddp-r2-t1/rep1/trace.json || fail "no trace of two ranks"
head -1 run/points/cpu_ddp-r2-t1/rep1/arrivals.csv | grep -q '^step,track,site,collective,bytes,rank,arrived_us' || fail "no arrivals"
[ ! -e run/points/serial-r1-t1/rep1/arrivals.csv ] && [ -s run/points/serial-r1-t1/rep1/trace.json ] || fail "the serial run's trace"
"$xbench" train --config job.json --trainer serial --set train.arrivals=off --quiet --out unlogged && [ ! -e unlogged/trace.json ] || fail "arrivals off"
for key in commit dirty compiler flags libraries hdf5 hwloc openmp glibc cpu cores governor governors turbo transparent_hugepages clocksource smt \
    allowed_cpuset kernel caches memory_bytes gpus mpi slurm load_average command_line variables cpusets env_id time_utc; do
    grep -q "\"$key\":" run/env.json || fail "env.json has no $key"
done
grep -q '"cpu_ddp-r2-t1": \[' run/env.json || fail "env.json has no cpusets of the ranks"

# What it would do and what that takes, without doing it.
"$xbench" --config job.json --dry-run --out dry > dry.txt || fail "--dry-run"
[ "$(grep -cE '^block [12]: ' dry.txt)" -eq 2 ] || { cat dry.txt; fail "the order is not shown"; }
grep -qE '^[0-9]+ runs: 2 blocks of [0-9]+; about [0-9]+ ' dry.txt || { cat dry.txt; fail "the price is not shown"; }
[ ! -e dry ] || fail "a dry run left a folder"
"$xbench" --config job.json --dry-run --set scaling.budget_minutes=0.0001 --set scaling.repeats=9 > dry.txt || fail "--dry-run with a budget"
grep -q '1 block of [0-9]*; .*FEWER than the 9 repeats asked for' dry.txt || { cat dry.txt; fail "the budget is not kept"; }

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
