#!/usr/bin/env bash
# Everything that only a GPU can show, in one run of under 9 minutes without MPI and without a network: for the day that a machine
# with a GPU is at hand.
#
#   scripts/gpu_acceptance.sh [--emulated] [BUILD=build/release [RESULTS=results/gpu/HOST]]
#
#   --emulated   on the emulated GPU of the build: whether this script works; what times anything is left out
#
# BUILD was configured with CUDA and with tests. Each part leaves a log in RESULTS, and summary.txt a line: ok, FAILED, or skipped with the
# reason. Exit code 1 where a part failed.
set -uo pipefail
cd "$(dirname "$0")/.."
emulated=0
[ "${1:-}" != --emulated ] || { emulated=1 && shift; }
build=${1:-build/release}
results=${2:-results/gpu/$(hostname -s)}
[ -x "$build/xbench" ] || { echo "gpu_acceptance.sh: no $build/xbench; build it first" >&2 && exit 2; }
if [ "$emulated" = 1 ]; then
    export LD_LIBRARY_PATH=$PWD/$build/gpu_emulator:${LD_LIBRARY_PATH:-} XBENCH_EMULATED_GPUS=2
    results=$(mktemp -d)
fi
mkdir -p "$results"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
: >"$results/summary.txt"
say() { printf '%-10s %-8s %s\n' "$1" "$2" "$3" | tee -a "$results/summary.txt"; }

# part NAME SECONDS COMMAND...: with its output in RESULTS/NAME.log
part() {
    local name=$1 limit=$2 start=$SECONDS code=0
    shift 2
    timeout "$limit" "$@" >"$results/$name.log" 2>&1 || code=$?
    if [ "$code" = 0 ]; then
        say "$name" ok "$((SECONDS - start)) s"
    else
        failed=1
        say "$name" FAILED "exit code $code: $(tail -n 1 "$results/$name.log")"
    fi
}
# timed NAME ...: a part that only means something on a real GPU
timed() {
    if [ "$emulated" = 1 ]; then say "$1" skipped "nothing is timed on an emulated GPU"; else part "$@"; fi
}
# with TOOL NAME ...: a part for which a tool has to be there
with() {
    local tool=$1
    shift
    if command -v "$tool" >/dev/null; then "$@"; else say "${2:-$1}" skipped "no $tool here"; fi
}

part doctor 60 "$build/xbench" doctor
if ! grep -Eq '^(ok|warn) +GPU 0' "$results/doctor.log"; then
    say gpu FAILED "$(grep -m 1 ' GPU ' "$results/doctor.log")"
    exit 1
fi

# The kernels against their references, the five models against PyTorch in double precision, trainings over the GPUs there are.
part kernels 120 "$build/tests/test_kernels" --gtest_filter='Gpu*'
part models 60 "$build/tests/test_models" --gtest_filter='*Gpu*'
part trainers 120 "$build/tests/test_parallel" --gtest_filter='*Gpu*'
[ "$emulated" = 1 ] || with compute-sanitizer part sanitizer 120 compute-sanitizer --error-exitcode 1 --launch-timeout 60 \
    "$build/tests/test_kernels" --gtest_filter='GpuKernels.RowsAreExactOnSmallIntegers'

# One hash, interrupted and resumed; the program as a user starts it.
cat >"$work/run.json" <<'CONFIG'
{ "name": "acceptance", "model": "pneumonia_cnn", "data": {"synthetic": {"count": 256, "size": 32, "channels": 1}},
  "train": {"batch_size": 32, "epochs": 1} }
CONFIG
train() { "$build/xbench" train --config "$work/run.json" --device cuda --quiet --out "$work/$1" "${@:2}"; }
part train 60 train a
part again 60 train b
if cmp -s "$work/a/checkpoints/last.safetensors" "$work/b/checkpoints/last.safetensors"; then
    say bits ok "the same weights twice"
else
    failed=1
    say bits FAILED "two trainings end in different weights"
fi

# Times: each kernel of the models' layers, each model's step.
timed rows 120 "$build/xbench" kernels --device cuda --no-check --min-time 0.01 --repetitions 5
for model in pneumonia_cnn fracture_cnn rsna_cnn cifar_cnn nih_cnn; do
    timed "$model" 30 "$build/xbench" step --device cuda --model "$model" --seconds 2 --json
done
[ "$emulated" = 1 ] || nvidia-smi -q >"$results/nvidia-smi.log" 2>&1 || true
echo "$results"
exit $failed
