#!/bin/bash
# Exit codes and messages of the program: command_line_test.sh XBENCH
set -u
xbench=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect RC TEXT ARGUMENTS...: the program must end with RC and its output must hold TEXT.
expect() {
    local rc=$1 text=$2 output got
    shift 2
    output=$(cd "$folder" && "$xbench" "$@" 2>&1)
    got=$?
    if [ $got -ne "$rc" ] || ! grep -qF -- "$text" <<< "$output"; then
        echo "FAILED: xbench $*"
        echo "  expected exit code $rc and: $text"
        echo "  got exit code $got and: $output"
        failures=$((failures + 1))
    fi
}

cat > "$folder/good.json" <<'EOF'
{"name": "good", "model": "pneumonia_cnn", "data": {"synthetic": {"count": 96, "size": 16}},
 "train": {"batch_size": 16},
 "sweep": [{"trainer": "serial"}, {"trainer": "gpu_ddp", "ranks": 2}]}
EOF
printf '{\n  "model": "pneumonia_cnm",\n  "data": {"path": "x.h5"},\n  "train": {\n        "learnig_rate": 0.1,\n        "epochs": "two" }\n}\n' > "$folder/bad.json"

expect 0 "xbench " --version
expect 0 "--config" --help
expect 0 "json-schema.org/draft-07" --print-schema
expect 0 "train.learning_rate" --help-config
expect 2 "give --config FILE or a subcommand"
expect 2 "bogus" bogus
expect 2 "--nonsense" --nonsense
expect 2 's\xE9t.h5: is not UTF-8' train --model pneumonia_cnn --data "$(printf 's\xe9t.h5')"
expect 2 "no.json: cannot be read" --config no.json
expect 2 'bad.json:2:12 /model/name: unknown model "pneumonia_cnm"; did you mean pneumonia_cnn?' --config bad.json
expect 2 "bad.json:5:9 /train/learnig_rate: unknown key; did you mean learning_rate?" --config bad.json
expect 2 'bad.json:6:19 /train/epochs: expected a whole number, got the text "two"' --config bad.json
expect 2 "--set train.epoch=2 /train/epoch: unknown key; did you mean epochs?" --config good.json --set train.epoch=2
expect 0 '"epochs": 7' --config good.json --set train.epochs=7 --print-config
expect 0 "nothing was run" --config good.json --dry-run
expect 2 "give --config FILE, or --model NAME and --data F.h5" train
expect 2 "did you mean serial?" train --config good.json --trainer seriel
expect 1 "gpu_ddp" train --config good.json --trainer gpu_ddp
expect 1 "missing.h5" train --model pneumonia_cnn --data missing.h5
expect 0 "instruction set" doctor
expect 0 '"findings"' doctor --json
expect 0 '"precision":"bf16"' step --model pneumonia_cnn --batch 8 --seconds 0.1 --precision bf16 --json
expect 0 "f.0 computes in f32" models cifar_cnn --explain --precision bf16
expect 0 '"precision": "bf16"' --config good.json --set train.precision=bf16 --print-config
expect 0 "sharding cannot help here: activations are" models pneumonia_cnn --memory --ranks 2
expect 0 "| ZeRO stage 3 " models rsna_cnn --memory --ranks 4
expect 2 "9 ranks for 8 virtual ranks" models rsna_cnn --memory --ranks 9
expect 0 "(again)" models cifar_cnn --explain --activation-checkpointing
expect 2 "has no ZeRO stage 4" train --config good.json --trainer sharded --stage 4
expect 2 "fp16" step --model pneumonia_cnn --precision fp16
expect 0 "all_reduce, 2 ranks, float, sum, in place" comm -b 1K -e 2K --op all_reduce --ranks 2 --rounds 1
expect 0 '"wrong":0' comm -b 4 -e 4 --op sendrecv --ranks 3 --rounds 1 --json
expect 2 '"x" is no size' comm -b x
expect 2 "there are all_reduce, reduce_scatter" comm --op all_reduse
expect 2 "one rank has nobody to talk to" comm --ranks 1
expect 0 "weights " train --config good.json --out trained
expect 0 "scaling.md" --config good.json --set scaling.repeats=1 --out run
expect 2 "holds a run already" --config good.json --out run
expect 0 "is complete; nothing was run" --config good.json --set scaling.repeats=1 --out run --resume
expect 2 "/data/path: " --config good.json --set 'data={"path": "none.h5"}' --out lost
expect 2 "model.classes is 7, but synthetic has 2" --config good.json --set model.classes=7 --out lost
[ ! -e /proc/self ] || expect 2 "--out" --config good.json --out /proc/lost  # a file system that takes no new files
[ ! -e "$folder/lost" ] || { echo "FAILED: a sweep that cannot run left a folder"; failures=1; }
expect 1 "failed" --config good.json --set scaling.repeats=1 --set train.epochs=1 --set train.learning_rate=1e38 --set train.optimizer=sgd --out bad
[ -s "$folder/trained/metrics.json" ] && [ -s "$folder/trained/checkpoints/best.safetensors" ] || { echo "FAILED: files of the training run"; failures=1; }
OMPI_COMM_WORLD_SIZE=2 expect 2 "give --trainer cpu_ddp, or start it alone" train --config good.json --out twice
OMPI_COMM_WORLD_SIZE=2 expect 2 "start it alone; it starts its ranks itself" --config good.json --out twice
XBENCH_ISA=mmx expect 2 "XBENCH_ISA: unknown instruction set" train --config good.json --out isa

# No option is dropped: what stands in front of a subcommand, beside another form of it, or out of its range is refused.
expect 2 "stands before train and is an option of sweeps" --dry-run train --config good.json --out never
expect 2 "stands before step" --quiet step --model pneumonia_cnn
expect 2 "stands before train" --set train.epochs=9 train --config good.json --out never
expect 2 "excludes" --config good.json --print-config --dry-run
expect 2 "excludes" --print-schema --config good.json
[ ! -e "$folder/never" ] || { echo "FAILED: a refused training ran"; failures=1; }
expect 2 "there is no subcommand traim; did you mean train?" traim
expect 2 "train has no option --epoch; did you mean --epochs?" train --epoch 3
expect 2 "0 is not above 0" train --config good.json --epochs 0
for option in --channels --size --classes --batch --widths --ranks; do
    expect 2 "-3 is negative" models pneumonia_cnn --memory $option -3
    expect 2 "0 is not above 0" models pneumonia_cnn --memory $option 0
done
expect 2 "give --explain or --memory too" models pneumonia_cnn --batch 8
expect 2 "is of the prediction of memory" models pneumonia_cnn --ranks 2
expect 2 "the plan of --explain is no JSON" models pneumonia_cnn --explain --json
expect 2 "name it: xbench models NAME" models --classes 4
expect 0 '"rank_bytes"' models pneumonia_cnn --memory --json
expect 2 "excludes" kernels --list --json x.json
expect 2 "excludes" train --config good.json --quiet --log-level debug
expect 2 "model.classes is 5, but" train --config good.json --set model.classes=5 --out never
expect 2 "model.size is 32, but" train --config good.json --set model.size=32 --out never
expect 2 "model.channels is 3, but" train --config good.json --set model.channels=3 --out never
# Options win only over what they name.
expect 0 "" data synth --out set.h5 --count 64 --size 16
expect 0 "" train --config good.json --set model.dropout=0.25 --set data.mean=0.4 --model pneumonia_cnn --data set.h5 --out kept --log-level error
for text in '"dropout": 0.25' '0.4' 'set.h5"'; do
    grep -qF -- "$text" "$folder/kept/config.resolved.json" || { echo "FAILED: $text was dropped"; failures=1; }
done
grep -q '"synthetic"' "$folder/kept/config.resolved.json" && { echo "FAILED: synthetic beside --data"; failures=1; }
expect 2 "both path and synthetic" train --config good.json --set data.synthetic.count=50 --data set.h5 --out never

[ $failures -eq 0 ] && echo "all as expected"
exit $((failures > 0))
