#!/bin/bash
# The main job on emulated GPUs: pneumonia_cnn for an epoch of 256 images of 32x32 in one table, with the same weights in every row
# on GPUs, marked as emulated and without times. Then eval and predict on the GPU, and messages where something is missing.
# gpu_job_test.sh XBENCH EMULATOR
set -eu
xbench=$1 emulator=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/job.json" <<'EOF'
{"name": "job", "model": "pneumonia_cnn", "data": {"synthetic": {"count": 366, "size": 32}},
 "train": {"batch_size": 32, "epochs": 1},
 "sweep": [{"trainer": "serial"}, {"trainer": "serial", "device": "cuda"}, {"trainer": "gpu_ddp", "ranks": 2},
           {"trainer": "sharded", "device": "cuda", "ranks": 2, "stage": 3}],
 "scaling": {"repeats": 1, "oversubscribe": true, "timeout_seconds": 120}}
EOF
cd "$folder"
fail() {
    echo "FAILED: $*"
    cat ./*.txt run/scaling.md run/scaling.csv run/points/*/*.log 2>/dev/null
    exit 1
}
on_gpus() { LD_LIBRARY_PATH=$emulator XBENCH_EMULATED_GPUS=2 "$@"; }

on_gpus "$xbench" --quiet --config job.json --out run > out.txt 2> err.txt || fail "the sweep"
column=$(head -1 run/scaling.csv | tr ',' '\n' | grep -nx emulated | cut -d: -f1)
[ "$(grep -E ',cuda,[12],.*,(ok|oversubscribed),' run/scaling.csv | cut -d, -f"$column" | grep -cx yes)" -eq 3 ] || fail "not 3 rows on emulated GPUs"
[ "$(grep ',cuda,' run/scaling.csv | grep -oE '[0-9a-f]{32}' | sort -u | wc -l)" -eq 1 ] || fail "the weights differ"
grep -E ',cuda,' run/scaling.csv | grep -qE '^[^,]*,cuda,[0-9]+,1,[0-9]+,32,,,,,' || fail "times of an emulated GPU"
grep -q "ran on an emulated GPU" run/scaling.md || fail "the table does not say that the GPU is emulated"
grep -q '"emulated": true' run/env.json || fail "env.json does not say that the GPU is emulated"
[ "$(grep -c '"emulated":true' run/records.jsonl)" -ge 3 ] || fail "records do not say that the GPU is emulated"

on_gpus "$xbench" doctor > doctor.txt
grep -q "emulated GPU, compute capability" doctor.txt || fail "doctor"
on_gpus "$xbench" step --model pneumonia_cnn --batch 8 --device cuda --json > step.txt
grep -q '"emulated":true' step.txt && grep -q '"step_ms_median":null' step.txt || fail "step"
on_gpus "$xbench" kernels --device cuda --op relu > kernels.txt || fail "kernels"
grep -q "nothing was timed" kernels.txt || fail "kernels"

on_gpus "$xbench" data synth --out set.h5 --count 60 --size 32 > synth.txt 2>&1 || fail "synth"
on_gpus "$xbench" train --model pneumonia_cnn --data set.h5 --epochs 1 --device cuda --out trained --quiet || fail "train"
for device in cpu cuda; do
    on_gpus "$xbench" predict --checkpoint trained --data set.h5 --device $device --out $device.csv --quiet || fail "predict on $device"
done
awk -F , 'NR == FNR { p[FNR] = $4; next } FNR > 1 { d = p[FNR] - $4; if (d < -1e-4 || d > 1e-4) exit 1 }' cpu.csv cuda.csv ||
    fail "predictions of CPU and GPU differ"

# Grad-CAM on both devices: the same maps, within rounding.
for device in cpu cuda; do
    on_gpus "$xbench" explain --checkpoint trained --data set.h5 --index 1,5 --class pneumonia --device $device --out map_$device --quiet || fail "explain on $device"
done
[ "$(tail -n +2 map_cuda/explain.csv | wc -l)" = 2 ] || fail "explain on cuda"
paste -d , map_cpu/explain.csv map_cuda/explain.csv | awk -F , 'NR > 1 { for (i = 4; i <= 6; ++i) { d = $i - $(i + 7); if (d < -1e-4 || d > 1e-4) exit 1 } }' ||
    fail "maps of CPU and GPU differ"

# One line with a remedy.
says() {
    local text=$1
    shift
    "$@" > said.txt 2>&1 && fail "$*: no error"
    grep -q -- "$text" said.txt || fail "$*: does not say: $text"
    [ "$(grep -c . said.txt)" -eq 1 ] || fail "$*: more than one line"
}
says "finds no GPU" env LD_LIBRARY_PATH="$emulator" XBENCH_EMULATED_GPUS=0 "$xbench" step --model pneumonia_cnn --device cuda
says "would fit" env LD_LIBRARY_PATH="$emulator" XBENCH_EMULATED_GPU_MEMORY=60000000 \
    "$xbench" step --model pneumonia_cnn --batch 4096 --device cuda
says "forced kernel cudnn of conv2d cannot run; cuDNN knows no emulated GPU" env LD_LIBRARY_PATH="$emulator" \
    "$xbench" step --model pneumonia_cnn --device cuda --impl conv2d=cudnn
says "forced kernel cublaslt of linear cannot run; cuBLASLt knows no emulated GPU" env LD_LIBRARY_PATH="$emulator" \
    "$xbench" step --model pneumonia_cnn --device cuda --impl linear=cublaslt
says "cudnn of conv2d cannot run; cuDNN knows no emulated GPU" env LD_LIBRARY_PATH="$emulator" \
    "$xbench" kernels --device cuda --op conv2d --impl conv2d=cudnn
echo "3 rows on emulated GPUs, one hash"
