#!/usr/bin/env bash
# No flag is dropped: each one that `xbench COMMAND --help` lists has a line here, which shows that it changes what the command
# writes (its output and the files of its folder), or that it is refused.
#
#   options_test.sh XBENCH
set -uo pipefail
xbench=$1
sample=$(cd "$(dirname "$0")" && pwd)/sample_run
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
    # shellcheck disable=SC2086
    for flag in $("$xbench" $1 --help | grep -oE '^  (-[a-z],)?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
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
line train --log-level 'debug: epoch 1/1  step 3/3' --config small.json --out out --log-level debug --set train.epochs=1
line train --log-level '-debug:' --config small.json --out out --log-level info
cp -r base kept
line train --resume 'kept' "${@:2:2}" --out kept --resume
"$xbench" train --help | grep -q -- --overwrite && line train --overwrite 'epoch' --config small.json --out kept --overwrite

set -- tune --config small.json --search train.seed=1,2 --set tune.method=grid --out out
line tune --config '"count": 64' "${@:2}"
line tune --search 'train.seed=2' "${@:2}"
line tune --set '"method": "grid"' "${@:2}"
line tune --out 'winner' "${@:2}"
line tune --device '{cpu,cuda}' "${@:2}" --device tpu
line tune --threads 'not in range' "${@:2}" --threads 0
line tune --quiet '-winner' --config small.json --search train.seed=1,2 --set tune.method=grid --out quiet_tune --quiet
line tune --log-level '-trial 0' --config small.json --search train.seed=1,2 --set tune.method=grid --out error_tune --log-level error
cp -r quiet_tune tuned
line tune --resume 'winner' --config small.json --search train.seed=1,2 --set tune.method=grid --out tuned --resume
line tune --overwrite 'winner' --config small.json --search train.seed=1,2 --set tune.method=grid --out tuned --overwrite

line eval --checkpoint 'absent' --checkpoint absent --data set.h5 --out out
line eval --data 'absent' --checkpoint base --data absent.h5 --out out
line eval --split '"split": "val"' --checkpoint base --data set.h5 --out out --split val
line eval --out 'confusion' --checkpoint base --data set.h5 --out out
line eval --cases '-data:image' --checkpoint base --data set.h5 --out out --cases 0
line eval --cases 'not in range' --checkpoint base --data set.h5 --out out --cases 101
line eval --layer 'Grad-CAM of the layer f.4' --checkpoint base --data set.h5 --out out --layer f.4
line eval --split '"split": "val"' --checkpoint base --data set.h5 --out out --split Validation
line eval --device '{cpu,cuda}' --checkpoint base --data set.h5 --out out --device tpu
line eval --threads 'not in range' --checkpoint base --data set.h5 --out out --threads -2
line eval --model 'says itself' --checkpoint base --data set.h5 --out out --model cifar_cnn
line eval --classes 'says itself' --checkpoint base --data set.h5 --out out --classes 3
line eval --widths 'says itself' --checkpoint base --data set.h5 --out out --widths 1,2,3
line eval --size 'says itself' --checkpoint base --data set.h5 --out out --size 17
line eval --mean 'says itself' --checkpoint base --data set.h5 --out out --mean 0.4
line eval --std 'says itself' --checkpoint base --data set.h5 --out out --std 0.4
line eval --multilabel 'says itself' --checkpoint base --data set.h5 --out out --multilabel
line eval --quiet '-accuracy' --checkpoint base --data set.h5 --out quiet_eval --quiet
line eval --log-level 'debug: pneumonia_cnn from base' --checkpoint base --data set.h5 --out debug_eval --log-level debug
line eval --log-level '-accuracy' --checkpoint base --data set.h5 --out error_eval --log-level error

line predict --checkpoint 'absent' --checkpoint absent --data set.h5 --out out.csv
line predict --data 'absent' --checkpoint base --data absent.h5 --out out.csv
line predict --split 'tset' --checkpoint base --data set.h5 --out out.csv --split tset
line predict --out 'id,label,predicted' --checkpoint base --data set.h5 --out out.csv
line predict --device '{cpu,cuda}' --checkpoint base --data set.h5 --out out.csv --device tpu
line predict --threads 'not in range' --checkpoint base --data set.h5 --out out.csv --threads -2
for option in "--model cifar_cnn" "--classes 3" "--widths 1,2,3" "--size 17" "--mean 0.4" "--std 0.4" "--multilabel"; do
    line predict ${option% *} 'says itself' --checkpoint base --data set.h5 --out out.csv $option
done
line predict --quiet '-images' --checkpoint base --data set.h5 --out out.csv --quiet
line predict --log-level '-images' --checkpoint base --data set.h5 --out out.csv --log-level error

png='\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0aIDAT\x78\x9c\x63\xc8\x00\x00\x00\x6a\x00\x69\x39\x46\x4a\x8a\x00\x00\x00\x00IEND\xae\x42\x60\x82'
mkdir -p one && printf "$png" >one/a.png && cp one/a.png one/b.png
line explain --checkpoint 'absent' --checkpoint absent --image one/a.png --out out.png
line explain --image 'absent.png: is not there' --checkpoint base --image absent.png --out out.png
line explain --image 'b.png,' --checkpoint base --image one --out out
line explain --data 'absent.h5: is not there' --checkpoint base --data absent.h5 --out out.png
line explain --split 'tset' --checkpoint base --data set.h5 --out out --split tset
line explain --index 'no image 64' --checkpoint base --data set.h5 --out out.png --index 64
line explain --device '{cpu,cuda}' --checkpoint base --image one/a.png --out out.png --device tpu
line explain --out 'ends in .png' --checkpoint base --image one/a.png --out out.jpg
line explain --class 'normal 0.' --checkpoint base --image one/a.png --out out.png --class normal
line explain --layer 'did you mean f.' --checkpoint base --image one/a.png --out out.png --layer g.8
line explain --raw 'NUMPY' --checkpoint base --image one --out out --raw
line explain --threads 'not in range' --checkpoint base --image one/a.png --out out.png --threads -2
for option in "--model cifar_cnn" "--classes 3" "--widths 1,2,3" "--size 17" "--mean 0.4" "--std 0.4" "--multilabel"; do
    line explain ${option% *} 'says itself' --checkpoint base --image one/a.png --out out.png $option
done
line explain --quiet '-out.png' --checkpoint base --image one/a.png --out out.png --quiet
line explain --log-level '-out.png' --checkpoint base --image one/a.png --out out.png --log-level error

line models --json '"layers"' pneumonia_cnn --json
line models --explain 'conv2d' pneumonia_cnn --explain
line models --memory 'ZeRO stage 3' pneumonia_cnn --memory
line models --ranks 'one of 2 ranks' pneumonia_cnn --memory --ranks 2
line models --channels 'input 3x64x64' pneumonia_cnn --channels 3
line models --size 'input 1x48x48' pneumonia_cnn --size 48
line models --classes '5x32' pneumonia_cnn --classes 5
line models --widths '7x5x3x3' pneumonia_cnn --widths 4,5,7
line models --freeze 'trainable 5986' pneumonia_cnn --freeze 'f.0.*'
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
no_counts=$'only the emulated GPU of the tests counts\nthis xbench was built without CUDA'  # either
line step --predict "$no_counts" "$@" --predict a100
line step --profile '"profile"' "$@" --profile

set -- --op flatten --filter three_elements --min-time 0.001 --repetitions 1
line kernels --op '| flatten ' "$@"
line kernels --filter '-17_channels' "$@"
line kernels --filter '17_channels' --list --op flatten --filter 17_channels
line kernels --impl '(portable)' "$@" --impl flatten=reference
line kernels --predict "$no_counts" --op flatten --predict h200
line kernels --images "$no_counts" --predict h200 --filter resnet50.conv1 --images 64
line kernels --products 'fp32,tf32,bf16,fp16' --predict h200 --images 64 --products no_such
line kernels --threads '2 threads' "$@" --threads 2
line kernels --repetitions 'is negative' --op flatten --repetitions -1
line kernels --repetitions '"repetitions": 2' --op flatten --filter three_elements --min-time 0.001 --repetitions 2 --json out.csv
line kernels --min-time 'is not above 0' --op flatten --min-time 0
line kernels --all-impls 'reference.portable' --list --op flatten --all-impls
line kernels --no-check '-| 0.00 |' "$@" --no-check
line kernels --device '{cpu,cuda}' --op flatten --device tpu
line kernels --list '-GFLOP/s' --op flatten --list
line kernels --json '"real_time"' "$@" --json out.csv
line kernels --passport '# ' "$@" --passport out.csv

set -- -b 4K -e 4K --op all_reduce --ranks 2 --rounds 1
line comm --begin ' 8192 ' -b 8K -e 8K --op all_reduce --ranks 2 --rounds 1
line comm --end ' 16384 ' -b 4K -e 16K -f 4 --op all_reduce --ranks 2 --rounds 1
line comm --end '- 8192 ' "$@"
line comm --factor '- 8192 ' -b 4K -e 16K -f 4 --op all_reduce --ranks 2 --rounds 1
line comm --op '# broadcast' -b 4K -e 4K --op broadcast --ranks 2 --rounds 1
line comm --ranks '3 ranks' -b 4K -e 4K --op all_reduce --ranks 3 --rounds 1
line comm --device '{cpu,cuda}' -b 4K -e 4K --device tpu
line comm --rounds 'is not above 0' -b 4K -e 4K --rounds 0
line comm --json '"busbw_gb_s"' "$@" --json

line doctor --json '"findings"' --json

mkdir -p img/train/sick img/train/well img/test/sick img/test/well
echo 'file,class,fold,patient' >labels.csv
echo 'file;class' >semicolons.csv
for i in 1 2 3 4 5 6 7 8; do
    for folder_of in train/sick train/well test/sick test/well; do printf "$png" >img/$folder_of/$i.png; done
    printf 'train/sick/%d.png,ill,train,p%d\ntrain/well/%d.png,fine,test,q\n' $i $((i % 4)) $i >>labels.csv
    printf 'train/sick/%d.png;ill\ntrain/well/%d.png;fine\n' $i $i >>semicolons.csv
done
# set_line FLAG TEXT ARGUMENTS...: an import, and what `data info` then says of the set
set_line() {
    local flag=$1 text=$2
    shift 2
    rm -f out.h5* 2>/dev/null
    "$xbench" data import img --out out.h5 "$@" >import.txt 2>&1
    line "data info" --json "-a set that is not there" out.h5 --json
    cat printed.txt >>import.txt
    seen="${seen}data import$flag "
    local found=0
    grep -qF -- "${text#-}" import.txt && found=1
    [ "$found" = "$([ "${text:0:1}" = - ] && echo 0 || echo 1)" ] || fail "data import $*: $text: $(tail -n 2 import.txt)"
}
line "data import" --out 'elsewhere.h5' img --out elsewhere.h5 --size 8
set_line --size '1x8x8' --size 8
set_line --channels '3x8x8' --size 8 --channels 3
set_line --labels 'no column' --size 8 --labels labels.csv
set_line --columns '"ill"' --size 8 --labels labels.csv --columns path=file,label=class,split=fold,group=patient
set_line --join 'labels.csv is joined by file' --size 8 --labels labels.csv --columns path=file,label=class --join labels.csv:file
set_line --separator '"ill"' --size 8 --labels semicolons.csv --separator semicolon --columns path=file,label=class
set_line --patient-key 'no_such_key' --size 8 --patient-key no_such_key
seen="${seen}data import--keep-ids "  # says something of DICOM patients alone: tests/data
set_line --format "Image Index" --size 8 --format nih
set_line --uncertain 'no way to read' --size 8 --labels labels.csv --columns path=file,label=class --uncertain maybe
set_line --blank 'no way to read' --size 8 --labels labels.csv --columns path=file,label=class --blank maybe
set_line --consensus 'neither union nor' --size 8 --labels labels.csv --columns path=file,label=class --consensus all
set_line --drop-labels 'No Finding' --size 8 --labels labels.csv --columns path=file,label=class --drop-labels ill
set_line --multilabel '"multilabel": true' --size 8 --labels labels.csv --columns path=file,label=class --multilabel
set_line --group-regex 'no parentheses' --size 8 --group-regex sick
set_line --leaks 'none of report' --size 8 --leaks perhaps
mkdir out.h5.import-journal
set_line --resume 'no folder has this name' --size 8 --resume
rmdir out.h5.import-journal
mkdir batches boxes
head -c 12292 /dev/zero >batches/data_batch_1.bin  # four records
line "data import" --class-names 'plane' batches --out elsewhere.h5 --size 8 --class-names plane,b,c,d,e,f,g,h,i,j
printf 'patientId,x,y,width,height,Target\na,,,,,0\n' >boxes/stage_2_train_labels.csv
line "data import" --rsna-classes 'must be 2 or 3' boxes --out elsewhere.h5 --rsna-classes 4
set_line --no-split-folders '"name": "train"' --size 8 --no-split-folders
set_line --split 'set aside (--split)' --size 8 --split 50,25,25
set_line --val-share '-became one' --size 8 --val-share 0
set_line --seed 'seed 7' --size 8 --split 50,25,25 --seed 7
set_line --threads 'not in range' --size 8 --threads -1
set_line --quiet '-100%' --size 8 --quiet
line "data import" --log-level '-elsewhere.h5' img --out elsewhere.h5 --size 8 --log-level error
line "data import" --log-level '-images/s' img --out elsewhere.h5 --size 8 --log-level warning
line "data import" --log-level 'files are decoded by' img --out elsewhere.h5 --size 8 --log-level debug

"$xbench" data import img --out copies.h5 --size 8 --quiet >/dev/null 2>&1
line "data leaks" --json '"schema": "xbench.leaks/1"' copies.h5 --json
line "data leaks" --show '-(1.0000)' copies.h5 --show 0
line "data leaks" --refuse 'split it anew' copies.h5 --refuse
line "data leaks" --threads 'not in range' copies.h5 --threads -1

line "data explore" --out 'explore.html' set.h5 --out out
line "data explore" --threads 'not in range' set.h5 --out out --threads -1
line "data explore" --quiet '-of 64 images' set.h5 --out out --quiet

line "data augment" --out 'out.h5' set.h5 --out out.h5 --mirror
line "data augment" --mirror '-nothing is asked for' set.h5 --out out.h5 --mirror
line "data augment" --copies 'would be equal' set.h5 --out out.h5 --copies 1
line "data augment" --augment 'did you mean rotation' set.h5 --out out.h5 --copies 1 --augment rotatoin=5
line "data augment" --sheet 'one row an image' set.h5 --sheet sheet.png
line "data augment" --quiet '-%' set.h5 --out out.h5 --mirror --quiet
line "data augment" --seed 'one row an image' set.h5 --sheet other.png --seed 2
cmp -s sheet.png other.png && fail "data augment --seed changes nothing"

set -- --out out.h5 --count 8 --size 16
line "data synth" --out 'out.h5: 8 images' "$@"
line "data synth" --count '9 images' --out out.h5 --count 9 --size 16
line "data synth" --size '1x24x24' --out out.h5 --count 8 --size 24
line "data synth" --channels '3x16x16' "$@" --channels 3
line "data synth" --threads 'not in range' "$@" --threads -1
line "data synth" --quiet '-%' "$@" --quiet
line "data synth" --log-level '-images' "$@" --log-level error
"$xbench" data synth "$@" --quiet >/dev/null && cp out.h5 one.h5
line "data synth" --seed '8 images' "$@" --seed 2
cmp -s one.h5 out.h5 && fail "data synth --seed changes nothing"

sed 's/}$/, "sweep": [{"trainer": "serial"}], "scaling": {"repeats": 1}}/' small.json >sweep.json
line "" --config '| serial ' --config sweep.json --out out
line "" --set '"seed": 7' --config sweep.json --out out --set train.seed=7
line "" --out 'out/scaling.md' --config sweep.json --out out
cp -r out swept
line "" --resume 'is complete; nothing was run' --config sweep.json --set train.seed=1 --out swept --resume
line "" --overwrite '| serial ' --config sweep.json --out swept --overwrite
line "" --dry-run 'nothing was run' --config sweep.json --dry-run
line "" --print-config '"learning_rate"' --config sweep.json --print-config
line "" --quiet '-images/s in' --config sweep.json --out out --quiet
line "" --log-level '-images/s in' --config sweep.json --out out --log-level error
line "" --help-config 'train.learning_rate' --help-config
line "" --print-schema 'draft-07' --print-schema
line "" --print-config-docs '| `learning_rate` |' --print-config-docs
line "" --version 'xbench ' --version
line "" --print-completion 'bash completion' --print-completion bash

printf 'ranks,seconds,speedup\n1,100,1.00\n2,60,1.90\n' >claims.csv
line audit --text 'impossible: row 2: speedup 1.90 is printed' claims.csv --text
line audit --json '"verdict": "impossible"' claims.csv --json
line audit --strict 'row 2, speedup: 1.90 -> 1.67' claims.csv --strict
"$xbench" audit claims.csv >/dev/null || fail "audit without --strict ends with code 0"
"$xbench" audit claims.csv --strict >/dev/null && fail "audit --strict ends with code 1"
line report --out '| cpu_ddp |' "$sample" --out out
cat >kernels.json <<'JSON'
{"context": {"xbench": {"isa": "avx2", "threads": 1, "peak_gflops": 50, "memory_copy_gbytes_per_second": 10}},
 "benchmarks": [{"run_name": "relu/a/plain", "real_time": 1, "time_unit": "us", "flops_per_second": 1e9, "bytes_per_second": 8e9}]}
JSON
line report --kernels 'Roofline of kernels' "$sample" --kernels kernels.json --out out
line report --accuracy 'first reaches 0.920' "$sample" --accuracy 0.92 --out out
line report --export '# EOF' "$sample" --export openmetrics --out out

for command in "" train tune eval predict explain models step kernels comm doctor audit report "data import" "data synth" "data info" "data explore" "data augment" "data leaks"; do complete "$command"; done
# A command that has no line here is not overlooked either.
for command in $("$xbench" --help | sed -n '/^[A-Za-z]*ommands:$/,/^$/s/^  \([a-z]\{1,\}\) .*/\1/p') $("$xbench" data --help | sed -n '/^[A-Za-z]*ommands:$/,/^$/s/^  \([a-z]\{1,\}\) .*/data:\1/p'); do
    [ "$command" = data ] || case "$seen" in *" ${command/:/ }--"*) ;; *) fail "${command/:/ } has no line in options_test.sh" ;; esac
done
[ $failures -eq 0 ] && echo "no flag is dropped"
exit $((failures > 0))
