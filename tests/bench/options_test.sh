#!/usr/bin/env bash
# No flag is dropped: each one that `xbench COMMAND --help` lists has a line here, which shows that it changes what the command
# writes (its output and the files of its folder), or that it is refused.
#
#   options_test.sh XBENCH
set -uo pipefail
xbench=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
seen=" "

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

# line COMMAND FLAG TEXT ARGUMENTS...: runs `xbench COMMAND ARGUMENTS`, in which FLAG stands. TEXT must appear in the output or
# in a file of the folder out; with "-" in front it must not.
line() {
    local command=$1 flag=$2 text=$3
    shift 3
    seen="$seen$command$flag "
    rm -rf out out.csv
    "$xbench" $command "$@" >printed.txt 2>&1
    local found=0
    grep -rqsF -- "${text#-}" printed.txt out out.csv && found=1
    [ "$found" = "$([ "${text:0:1}" = - ] && echo 0 || echo 1)" ] || fail "$command $*: $text: $(tail -n 2 printed.txt)"
}

# complete COMMAND: every flag of its help was in a line.
complete() {
    local flag
    for flag in $("$xbench" $1 --help | grep -oE '^ +(-[a-z],)?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
        case "$seen" in *" $1$flag "*) ;; *) [ "$flag" = --help ] || fail "$1 $flag has no line in options_test.sh" ;; esac
    done
}

cat >small.json <<'JSON'
{"name": "small", "model": "pneumonia_cnn", "data": {"synthetic": {"count": 64, "size": 16}}, "train": {"batch_size": 16}}
JSON
"$xbench" data synth --out set.h5 --count 64 --size 16 --quiet >/dev/null 2>&1
"$xbench" train --model pneumonia_cnn --data set.h5 --out base --quiet 2>/dev/null || fail "the training that others need"
set -- train --config small.json --out out

line train --config '"count": 64' "${@:2}"
line train --out '"count": 64' "${@:2}"
line train --model '"name": "cifar_cnn"' --config small.json --model cifar_cnn --out out
line train --data 'set.h5"' "${@:2}" --data set.h5
line train --weights 'base"' "${@:2}" --weights base
line train --epochs '"epochs": 2' "${@:2}" --epochs 2
line train --trainer 'no launcher started it' "${@:2}" --trainer cpu_ddp
line train --device '{cpu,cuda}' "${@:2}" --device tpu
line train --threads '"threads":2' "${@:2}" --threads 2
line train --stage 'has no ZeRO stage 1' "${@:2}" --stage 1
line train --set '"seed": 7' "${@:2}" --set train.seed=7
line train --quiet '-accuracy' --config small.json --out quiet --quiet
line train --log-level '-accuracy' --config small.json --out error --log-level error
cp -r base kept
line train --resume 'kept' "${@:2:2}" --out kept --resume
"$xbench" train --help | grep -q -- --overwrite && line train --overwrite 'epoch' --config small.json --out kept --overwrite

line eval --checkpoint 'absent' --checkpoint absent --data set.h5 --out out
line eval --data 'absent' --checkpoint base --data absent.h5 --out out
line eval --split '"split": "val"' --checkpoint base --data set.h5 --out out --split val
line eval --out 'confusion' --checkpoint base --data set.h5 --out out
line eval --device '{cpu,cuda}' --checkpoint base --data set.h5 --out out --device tpu
line eval --threads 'is negative' --checkpoint base --data set.h5 --out out --threads -2
line eval --model 'says itself' --checkpoint base --data set.h5 --out out --model cifar_cnn
line eval --classes 'says itself' --checkpoint base --data set.h5 --out out --classes 3
line eval --widths 'says itself' --checkpoint base --data set.h5 --out out --widths 1,2,3
line eval --size 'says itself' --checkpoint base --data set.h5 --out out --size 17
line eval --mean 'says itself' --checkpoint base --data set.h5 --out out --mean 0.4
line eval --std 'says itself' --checkpoint base --data set.h5 --out out --std 0.4
line eval --multilabel 'says itself' --checkpoint base --data set.h5 --out out --multilabel
line eval --quiet '-accuracy' --checkpoint base --data set.h5 --out quiet_eval --quiet
line eval --log-level '-accuracy' --checkpoint base --data set.h5 --out error_eval --log-level error

line predict --checkpoint 'absent' --checkpoint absent --data set.h5 --out out.csv
line predict --data 'absent' --checkpoint base --data absent.h5 --out out.csv
line predict --split 'tset' --checkpoint base --data set.h5 --out out.csv --split tset
line predict --out 'id,label,predicted' --checkpoint base --data set.h5 --out out.csv
line predict --device '{cpu,cuda}' --checkpoint base --data set.h5 --out out.csv --device tpu
line predict --threads 'is negative' --checkpoint base --data set.h5 --out out.csv --threads -2
for option in "--model cifar_cnn" "--classes 3" "--widths 1,2,3" "--size 17" "--mean 0.4" "--std 0.4" "--multilabel"; do
    line predict ${option% *} 'says itself' --checkpoint base --data set.h5 --out out.csv $option
done
line predict --quiet '-images' --checkpoint base --data set.h5 --out out.csv --quiet
line predict --log-level '-images' --checkpoint base --data set.h5 --out out.csv --log-level error

line models --json '"layers"' pneumonia_cnn --json
line models --explain 'conv2d' pneumonia_cnn --explain
line models --memory 'ZeRO stage 3' pneumonia_cnn --memory
line models --ranks 'one of 2 ranks' pneumonia_cnn --memory --ranks 2
line models --channels 'input 3x64x64' pneumonia_cnn --channels 3
line models --size 'input 1x48x48' pneumonia_cnn --size 48
line models --classes '5x32' pneumonia_cnn --classes 5
line models --widths '7x5x3x3' pneumonia_cnn --widths 4,5,7
line models --batch 'is of the plan' pneumonia_cnn --batch 4
line models --precision 'computes in f32' cifar_cnn --explain --precision bf16
line models --activation-checkpointing '(again)' cifar_cnn --explain --activation-checkpointing

set -- --model pneumonia_cnn --batch 4 --seconds 0.05 --json
line step --model '"model":"fracture_cnn"' --model fracture_cnn --batch 4 --seconds 0.05 --json
line step --batch '"batch":4' "$@"
line step --seconds 'is not above 0' --model pneumonia_cnn --seconds 0
line step --json '"step_ms_median"' "$@"
line step --threads '"threads":2' "$@" --threads 2
line step --precision '"precision":"bf16"' "$@" --precision bf16
line step --device '{cpu,cuda}' "$@" --device tpu
line step --reduction '"fast"' "$@" --reduction fast
line step --virtual-ranks '"virtual_ranks":2' "$@" --virtual-ranks 2
line step --impl 'no_such' "$@" --impl conv2d=no_such
line step --activation-checkpointing '"activation_checkpointing":true' "$@" --activation-checkpointing
line step --profile '"profile"' "$@" --profile

for command in train eval predict models step; do complete "$command"; done
[ $failures -eq 0 ] && echo "no flag is dropped"
exit $((failures > 0))
