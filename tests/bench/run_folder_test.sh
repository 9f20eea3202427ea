#!/bin/bash
# The folder of a training run: whose it is, what a signal leaves in it, and going on from it. run_folder_test.sh XBENCH
set -u
xbench=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
# says RC TEXT COMMAND...: ends with RC, and its output holds TEXT.
says() {
    local rc=$1 text=$2 output got
    shift 2
    output=$("$@" 2>&1)
    got=$?
    [ $got -eq "$rc" ] && grep -qF -- "$text" <<< "$output" || fail "$*: expected $rc and \"$text\", got $got and: $output"
}
lines() { wc -l < "$1"; }
cat > run.json <<'JSON'
{"name": "short", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 60, "size": 16}},
 "train": {"batch_size": 8, "epochs": 3, "checkpoint_steps": 5}, "output": "runs"}
JSON
sed 's/"epochs": 3/"epochs": 1000000/' run.json > endless.json
hash_of() { grep -o '"final_weights_hash": "[0-9a-f]*"' "$1/metrics.json"; }

# Names: runs begun in the same second have folders of their own.
for i in 1 2 3; do "$xbench" train --config run.json --quiet & done
wait
[ "$(ls runs | wc -l)" = 3 ] && [ "$(cat runs/*/records.jsonl | wc -l)" = 3 ] || fail "runs of one second: $(ls runs)"

# A folder that holds a run.
says 0 "weights " "$xbench" train --config run.json --out a
whole=$(hash_of a)
says 2 "holds a run already" "$xbench" train --config run.json --out a
grep -q '"learning_rate": 0.001' a/config.resolved.json || fail "the refused run left something"
says 2 "excludes" "$xbench" train --config run.json --out a --overwrite --resume
says 0 "is finished; nothing was done" "$xbench" train --config run.json --out a --resume
says 0 "is finished; nothing was done" "$xbench" train --out a --resume --quiet
says 2 "learning_rate: 0.001 then, 0.5 now" "$xbench" train --config run.json --set train.learning_rate=0.5 --out a --resume
says 2 "learning_rate: 0.001 then, 0.5 now" "$xbench" train --config run.json --set train.learning_rate=0.5 --epochs 9 --out a --resume
[ "$(lines a/records.jsonl)" = 1 ] || fail "a finished run got another record"
says 0 "weights " "$xbench" train --config run.json --set train.seed=2 --out a --overwrite
[ "$(lines a/records.jsonl)" = 1 ] && [ "$(hash_of a)" != "$whole" ] || fail "--overwrite"
# A run that has finished on other images, or by another rule of stopping, is none that has finished.
for seed in 1 2; do says 0 "" "$xbench" data synth --out "set$seed.h5" --count 60 --size 16 --seed $seed --quiet; done
says 0 "weights " "$xbench" train --model pneumonia_cnn --data set1.h5 --set train.batch_size=16 --out on-set
says 0 "is finished" "$xbench" train --model pneumonia_cnn --data set1.h5 --set train.batch_size=16 --out on-set --resume
says 2 "/data_sha: " "$xbench" train --model pneumonia_cnn --data set2.h5 --set train.batch_size=16 --out on-set --resume
early="--config run.json --epochs 6 --set train.patience=1 --set train.early_stopping=keras --set train.checkpoint_steps=1 --out early"
says 0 "weights " "$xbench" train $early --set train.min_delta=9
[ "$(lines early/history.csv)" = 3 ] || fail "patience did not end the run after two epochs: $(lines early/history.csv)"
says 0 "is finished" "$xbench" train $early --set train.min_delta=9 --resume
says 0 "weights " "$xbench" train $early --set train.min_delta=9 --set train.start_from_epoch=4 --resume
[ "$(lines early/history.csv)" -gt 5 ] || fail "another rule of stopping did not go on: $(lines early/history.csv)"
touch a-file
says 2 "is no folder" "$xbench" train --config run.json --out a-file
mkdir kept && touch kept/mine
says 0 "" "$xbench" train --config run.json --out kept --quiet
[ -e kept/mine ] || fail "a file that is no run's is gone"

# Nothing to resume.
says 2 "give its folder with --out" "$xbench" train --config run.json --resume
says 2 "nothing to resume" "$xbench" train --resume --out nowhere
[ ! -e nowhere ] || fail "a folder was left"
says 0 "nothing to resume in fresh" "$xbench" train --config run.json --resume --out fresh --quiet
[ "$(hash_of fresh)" = "$whole" ] || fail "the run that had nothing to resume"
says 1 "no images in split" "$xbench" train --config run.json --set data.synthetic.count=2 --set train.batch_size=8 --out none
[ ! -e none ] || fail "a run that was refused left a folder"

# Two at once; and each signal leaves a checkpoint.
wait_for_lines() { for ((n = 0; n < 300; ++n)); do [ "$(lines "$1" 2> /dev/null || echo 0)" -ge "$2" ] && return; sleep 0.1; done; fail "$1 did not grow"; }
for signal in INT TERM HUP USR1; do
    "$xbench" train --config endless.json --out s$signal --quiet 2> s$signal.log &
    pid=$!
    wait_for_lines s$signal/history.csv 3
    [ $signal != INT ] || says 2 "is at work in it" "$xbench" train --config run.json --out sINT --resume
    kill -$signal $pid
    wait $pid
    code=$?
    [ $code = 75 ] && grep -q "checkpointed at step" s$signal.log || fail "SIG$signal: exit code $code, $(cat s$signal.log)"
done
[ "$(head -c 18 sINT/history.csv)" = "epoch,train_loss,v" ] || fail "history.csv has no names"

# Interrupted in its third epoch and resumed from another folder, twice: the weights of the whole run.
"$xbench" train --config endless.json --out cut --set train.epochs=2 --quiet || fail "the first two epochs"
mkdir -p elsewhere
(cd elsewhere && says 0 "weights " "$xbench" train --resume --out ../cut --epochs 3) || fail "resuming elsewhere"
[ "$(hash_of cut)" = "$whole" ] || fail "other weights after resuming"
[ "$(lines cut/history.csv)" = 4 ] || fail "history: $(cat cut/history.csv)"
grep -q "images in 3 epochs" cut/training_time.txt || fail "training_time.txt does not speak of the whole: $(cat cut/training_time.txt)"
grep -q "Resumed at step" cut/training_time.txt || fail "training_time.txt does not say that it was resumed"
grep -q "\"output\": \"$PWD/runs\"" cut/config.resolved.json || fail "config.resolved.json has a relative path"

# A second signal ends it at once, also where the first is not looked at for long: both come while it is stopped, and are of
# two kinds, as two of one kind would be one.
"$xbench" train --config endless.json --out twice --quiet 2> /dev/null &
pid=$!
wait_for_lines twice/history.csv 2
kill -STOP $pid
kill -INT $pid
kill -TERM $pid
kill -CONT $pid
wait $pid
code=$?
[ $code = 130 ] || [ $code = 143 ] || fail "two signals: exit code $code"

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
