#!/usr/bin/env bash
# Everything that only a GPU can show, in one run of under 9 minutes without MPI and without a network: for the day that a machine
# with a GPU is at hand.
#
#   scripts/gpu_acceptance.sh [--emulated] [BUILD=build/release [RESULTS=results/gpu/HOST]]
#
#   --emulated   on the emulated GPU of the build: whether this script works. Nothing is timed, tests are a few of each kind, and RESULTS is a
#                folder of its own
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
build=$(cd "$build" && pwd)
if [ "$emulated" = 1 ]; then
    export LD_LIBRARY_PATH=$build/gpu_emulator:${LD_LIBRARY_PATH:-} XBENCH_EMULATED_GPUS=2
    results=${2:-$(mktemp -d)}
fi
# What stands for all of a kind, where that takes minutes of an emulated GPU.
some() { [ "$emulated" = 1 ] && echo "$2" || echo "$1"; }
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
    [ "$emulated" = 0 ] || limit=$((limit * 5))
    if [ "$(type -t "$1")" = function ]; then set -- bash -c '"$@"' "$name" "$@"; fi
    timeout "$limit" "$@" >"$results/$name.log" 2>&1 || code=$?
    if grep -q '^\[  PASSED  \] 0 tests' "$results/$name.log"; then
        failed=1
        say "$name" FAILED "no test ran"
    elif [ "$code" = 77 ]; then
        say "$name" skipped "$(tail -n 1 "$results/$name.log" | sed 's/^skipped: //')"
    elif [ "$code" = 0 ]; then
        say "$name" ok "$((SECONDS - start)) s"
    else
        failed=1
        say "$name" FAILED "exit code $code: $(tail -n 1 "$results/$name.log")"
    fi
}
# with TOOL NAME ...: a part for which a tool has to be there
with() {
    local tool=$1
    shift
    if command -v "$tool" >/dev/null; then "$@"; else say "${2:-$1}" skipped "no $tool here"; fi
}
# real NAME ...: a part that makes no sense on an emulated GPU
real() {
    local name=$1
    shift
    if [ "$emulated" = 0 ]; then "$@"; else say "$name" skipped "an emulated GPU has no times and nothing for other tools to read"; fi
}

part doctor 60 "$build/xbench" doctor
if ! grep -Eq '^(ok|warn) +GPU 0' "$results/doctor.log"; then
    say gpu FAILED "$(grep -m 1 ' GPU ' "$results/doctor.log")"
    exit 1
fi

# The kernels against their references, the five models against PyTorch in double precision, trainings over the GPUs there are.
part kernels 120 "$build/tests/test_kernels" --gtest_filter="$(some 'Gpu*' 'GpuKernels.ASumOf*:GpuKernels.MemoryThat*')"
part models 60 "$build/tests/test_models" --gtest_filter="$(some '*Gpu*' '*Gpu*pneumonia*')"
part trainers 120 "$build/tests/test_parallel" --gtest_filter="$(some '*Gpu*' 'GpuTrainer.IsCloseToTheCpu:*GpuTraining*/zero3')"
[ "$emulated" = 1 ] || with compute-sanitizer part sanitizer 120 compute-sanitizer --error-exitcode 1 --launch-timeout 60 \
    "$build/tests/test_kernels" --gtest_filter='GpuKernels.RowsAreExactOnSmallIntegers'

# One hash, interrupted and resumed; the program as a user starts it.
export build work
cat >"$work/run.json" <<'CONFIG'
{ "name": "acceptance", "model": "pneumonia_cnn", "data": {"synthetic": {"count": 256, "size": 32, "channels": 1}},
  "train": {"batch_size": 32, "epochs": 1} }
CONFIG
train() { "$build/xbench" train --config "$work/run.json" --device cuda --quiet --out "$work/$1" "${@:2}"; }
# ranks NUMBER OUT OPTIONS...: one process a rank, which meet by a file. On a single GPU NCCL takes several ranks only if they look
# like several hosts and talk over sockets: a check of results, not of speed.
ranks() {
    local number=$1 out=$2 rank code=0 started=()
    shift 2
    export WORLD_SIZE=$number LOCAL_WORLD_SIZE=$number XBENCH_RENDEZVOUS=$work
    if [ "$gpus" -lt "$number" ]; then
        export XBENCH_SHARE_GPU=1 CUDA_VISIBLE_DEVICES=0 NCCL_NET=Socket NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1 NCCL_MNNVL_ENABLE=0 NCCL_NVLS_ENABLE=0 \
            NCCL_CUMEM_ENABLE=0 NCCL_MAX_CTAS=2
    fi
    for ((rank = 0; rank < number; ++rank)); do
        RANK=$rank LOCAL_RANK=$rank NCCL_HOSTID=$([ "$gpus" -ge "$number" ] && hostname || echo "rank$rank") \
            "$build/xbench" train --config "$work/run.json" --quiet --out "$work/$out" --set train.collective_timeout_seconds=30 "$@" &
        started+=($!)
    done
    for rank in "${started[@]}"; do wait "$rank" || code=$?; done
    return $code
}
gpus=$(grep -c '^[a-z]* *GPU [0-9]' "$results/doctor.log")
export gpus
export -f train ranks
part train 60 train a
part again 60 train b
several=$((gpus < 2 ? 2 : gpus > 4 ? 4 : gpus))
part ddp 60 ranks "$several" ddp --trainer gpu_ddp
part sharded 60 ranks "$several" sharded --trainer sharded --device cuda --stage 3
weights_of() { grep -o '"weights_hash":"[0-9a-f]*"' "$work/$1/records.jsonl" 2>/dev/null; }
for other in b ddp sharded; do
    if [ -n "$(weights_of $other)" ] && [ "$(weights_of $other)" = "$(weights_of a)" ]; then
        say "$other.bits" ok "the weights of one GPU"
    else
        failed=1
        say "$other.bits" FAILED "not the weights of one GPU"
    fi
done
grep -ho '"communicator":"[a-z ]*"' "$work"/{ddp,sharded}/records.jsonl >"$results/communicators.log" 2>/dev/null || true
if [ "$gpus" -lt 2 ]; then
    say comm skipped "one GPU"
else
    part comm 60 "$build/xbench" comm --device cuda --ranks "$several" -b 4K -e "$(some 256M 64K)" -f 4 --rounds 3
fi

# Times: each kernel of the models' layers, each model's step. On an emulated GPU nothing is timed.
# shellcheck disable=SC2046
part rows 120 "$build/xbench" kernels --device cuda --no-check --min-time 0.01 --repetitions 5 $(some '' '--op relu')
# shellcheck disable=SC2046
for model in $(some 'pneumonia_cnn fracture_cnn rsna_cnn cifar_cnn nih_cnn' pneumonia_cnn); do
    part "$model" 30 "$build/xbench" step --device cuda --model "$model" --seconds 2 --json $(some '' '--batch 4')
done

# Tables that hold one against another: what Nsight Compute counts beside the emulated GPU's counts, steps predicted beside measured, and
# steps of the PyTorch that is installed here.
tables() { python3 scripts/gpu_acceptance_tables.py "$@"; }
on_emulator() { LD_LIBRARY_PATH=$build/gpu_emulator:${LD_LIBRARY_PATH:-} "$@"; }
counted_step() { "$@" "$build/xbench" step --device cuda --model pneumonia_cnn --batch 8 --seconds 0.001 --json; }
ncu_counts() {
    local metrics=smsp__inst_executed.sum,l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum
    metrics+=,l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum,l1tex__data_pipe_lsu_wavefronts_mem_shared.sum
    counted_step ncu --csv --page raw --metrics "$metrics" >"$results/ncu.csv" 2>&1 || {
        ! grep -q ERR_NVGPUCTRPERM "$results/ncu.csv" || { echo "the driver keeps its counters for root" && exit 77; }
        tail -n 5 "$results/ncu.csv" && return 1
    }
    rm -f "$results/emulated.jsonl"
    counted_step on_emulator env XBENCH_GPU_MODE=counts XBENCH_GPU_COUNTS="$results/emulated.jsonl" || return 1
    tables counts "$results/ncu.csv" "$results/emulated.jsonl"
}
# At batches that an emulated GPU gets through in seconds.
predicted() {
    local chip model
    case "$(cat "$results/doctor.log")" in
        *A100*80GB*) chip=a100 XBENCH_EMULATED_SM=80 ;;
        *H200*) chip=h200 XBENCH_EMULATED_SM=90 ;;
        *) echo "skipped: no rates of this GPU are known (A100 80GB and H200 are)" && exit 77 ;;
    esac
    export XBENCH_EMULATED_SM
    for model in pneumonia_cnn fracture_cnn cifar_cnn; do
        on_emulator "$build/xbench" step --device cuda --model $model --batch 8 --predict $chip --json >>"$results/predicted.jsonl" || return 1
        "$build/xbench" step --device cuda --model $model --batch 8 --seconds 1 --json >>"$results/measured.jsonl" || return 1
    done
    tables predicted "$results/predicted.jsonl" "$results/measured.jsonl"
}
pytorch() {
    local code=0 model
    python3 bench/peers/pytorch_step.py --seconds 1 >"$results/pytorch.jsonl" || code=$?
    [ $code = 0 ] || { cat "$results/pytorch.jsonl" && exit $code; }
    for model in pneumonia_cnn fracture_cnn rsna_cnn cifar_cnn nih_cnn; do cat "$results/$model.log"; done >"$results/steps.jsonl"
    tables steps "$results/steps.jsonl" "$results/pytorch.jsonl"
}
export -f tables on_emulator counted_step ncu_counts predicted pytorch
export results
with python3 part tables 20 tables self-test
rm -f "$results"/{predicted,measured}.jsonl
real counts with ncu part counts 120 ncu_counts
real predicted with python3 part predicted 120 predicted
real pytorch with python3 part pytorch 120 pytorch
[ "$emulated" = 1 ] || nvidia-smi -q >"$results/nvidia-smi.log" 2>&1 || true
echo "$results"
exit $failed
