#!/bin/bash
# What goes wrong with a GPU or its driver, on the emulated one: each fault ends the run soon, with a line that names the rank and the
# GPU where there are any, says what happened and what to do, and with its exit code. One process, and two ranks that wait for each
# other. gpu_faults_test.sh XBENCH EMULATOR [MPIRUN]
set -u
xbench=$1 emulator=$2 mpirun=${3:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
cat > run.json <<'EOF'
{"model": "pneumonia_cnn", "data": {"synthetic": {"count": 96, "size": 16}}, "train": {"batch_size": 16, "epochs": 20}}
EOF
mkdir broken stub empty no_nccl old_nccl new_nccl
echo "no library" > broken/libcuda.so.1
echo "int nothing;" | cc -shared -fPIC -x c -o stub/libcuda.so.1 - 2> /dev/null || rm -rf stub
# The emulated driver without the double of NCCL, and with libraries that call themselves NCCL: of before 2.14, and of the next major one.
for nccl in no_nccl old_nccl new_nccl; do
    ln -s "$emulator/libcuda.so.1" $nccl/
    [ ! -e "$emulator/glibc-hwcaps" ] || ln -s "$emulator/glibc-hwcaps" $nccl/
done
echo 'int ncclGetVersion(int* v) { *v = 2804; return 0; }' | cc -shared -fPIC -x c -o old_nccl/libnccl.so.2 - 2> /dev/null || rm -rf old_nccl
{
    echo 'int ncclGetVersion(int* v) { *v = 30100; return 0; }'
    for f in GetErrorString GetLastError GetUniqueId CommInitRankConfig CommGetAsyncError CommFinalize CommDestroy CommAbort GroupStart \
        GroupEnd AllReduce Reduce AllGather Broadcast Send Recv; do echo "int nccl$f() { return 1; }"; done
} | cc -shared -fPIC -x c -o new_nccl/libnccl.so.2 - 2> /dev/null || rm -rf new_nccl
failed=0 tried=0

# case NAME|LIBRARY FOLDER|VARIABLES|RANKS|COMMAND|EXIT CODE|WORDS that the one line has, parted by ;
cases="
lost_ecc|$emulator|XBENCH_EMULATED_GPU_LOST=0:300:214|1|train|1|GPU 0 (;CUDA_ERROR_ECC_UNCORRECTABLE;lost or defective;--resume
lost_at_once|$emulator|XBENCH_EMULATED_GPU_LOST=0:0:214|1|train|1|GPU 0 (;CUDA_ERROR_ECC_UNCORRECTABLE;--resume
launch_failed|$emulator|XBENCH_EMULATED_GPU_LOST=0:300:719|1|train|1|GPU 0 (;CUDA_ERROR_LAUNCH_FAILED;CUDA_LAUNCH_BLOCKING=1
unavailable|$emulator|XBENCH_EMULATED_GPU_LOST=0:300:46|1|train|1|GPU 0 (;CUDA_ERROR_DEVICE_UNAVAILABLE;nvidia-smi
unknown|$emulator|XBENCH_EMULATED_GPU_LOST=0:300:999|1|train|1|GPU 0 (;CUDA_ERROR_UNKNOWN;dmesg
lost_in_a_step|$emulator|XBENCH_EMULATED_GPU_LOST=0:40:214|1|step|1|GPU 0 (;CUDA_ERROR_ECC_UNCORRECTABLE
lost_on_rank_1|$emulator|XBENCH_EMULATED_GPU_LOST=1:300:214|2|train|1|rank 1: GPU 1 (;CUDA_ERROR_ECC_UNCORRECTABLE;--resume
lost_on_rank_0|$emulator|XBENCH_EMULATED_GPU_LOST=0:300:719|2|train|1|rank 0: GPU 0 (;CUDA_ERROR_LAUNCH_FAILED
lost_at_once_on_rank_1|$emulator|XBENCH_EMULATED_GPU_LOST=1:0:46|2|train|1|rank 1: GPU 1 (;CUDA_ERROR_DEVICE_UNAVAILABLE
old_driver|$emulator|XBENCH_EMULATED_DRIVER=11040|1|train|1|too old;CUDA 11.4;update NVIDIA's driver;580
old_driver_of_ranks|$emulator|XBENCH_EMULATED_DRIVER=11040|2|train|1|too old;CUDA 11.4;update NVIDIA's driver
old_ptx|$emulator|XBENCH_EMULATED_DRIVER=12040|1|train|1|GPU 0 (;CUDA_ERROR_UNSUPPORTED_PTX_VERSION;CUDA 12.4;update NVIDIA's driver
old_ptx_of_ranks|$emulator|XBENCH_EMULATED_DRIVER=12040|2|train|1|rank;GPU;CUDA_ERROR_UNSUPPORTED_PTX_VERSION;update NVIDIA's driver
no_memory|$emulator|XBENCH_EMULATED_GPU_MEMORY=20000000|1|train --set train.batch_size=64 --set data.synthetic.size=256|1|rank 0, batch 64;MiB for images;MiB of the device are free;would fit
no_memory_for_the_model|$emulator|XBENCH_EMULATED_GPU_MEMORY=100000|1|train|1|MiB for parameters;no batch would fit;smaller model
no_memory_of_ranks|$emulator|XBENCH_EMULATED_GPU_MEMORY=20000000|2|train --set train.batch_size=64 --set data.synthetic.size=256|1|rank;batch 64;would fit
no_gpu|$emulator|XBENCH_EMULATED_GPUS=0|1|train|1|finds no GPU;CUDA_VISIBLE_DEVICES
too_few_gpus|$emulator|XBENCH_EMULATED_GPUS=1|2|train|1|rank 1;it sees 1;start fewer ranks
busy|$emulator|XBENCH_EMULATED_GPU_BUSY=0:3|1|train|1|GPU 0 (;compute mode is exclusive;CUDA_ERROR_DEVICE_UNAVAILABLE;nvidia-smi
prohibited|$emulator|XBENCH_EMULATED_GPU_BUSY=0:2|1|step|1|GPU 0 (;compute mode is prohibited;nvidia-smi
busy_on_rank_1|$emulator|XBENCH_EMULATED_GPU_BUSY=1:3|2|train|1|rank 1: GPU 1 (;compute mode is exclusive
none_visible|$emulator|CUDA_VISIBLE_DEVICES=|1|train|1|finds no GPU;CUDA_VISIBLE_DEVICES
none_visible_to_ranks|$emulator|CUDA_VISIBLE_DEVICES=|2|train|1|finds no GPU;CUDA_VISIBLE_DEVICES
none_of_that_number|$emulator|CUDA_VISIBLE_DEVICES=7|1|train|1|finds no GPU;CUDA_VISIBLE_DEVICES
one_for_two_ranks|$emulator|CUDA_VISIBLE_DEVICES=1|2|train|1|rank 1: GPU 0 (;same GPU as rank 0;--gpus-per-task=1;CUDA_VISIBLE_DEVICES;XBENCH_SHARE_GPU
two_for_three_ranks|$emulator|CUDA_VISIBLE_DEVICES=1,0|3|train|1|rank 2;it sees 2;start fewer ranks;CUDA_VISIBLE_DEVICES
no_nccl|no_nccl|A=b|2|train --set train.epochs=1 --set data.synthetic.count=32|0|note: libnccl.so.2 is not found;through the host's memory
old_nccl|old_nccl|A=b|2|train --set train.epochs=1 --set data.synthetic.count=32|0|note: libnccl.so.2, version 2.8.4, has no nccl;NCCL 2.14
new_nccl|new_nccl|A=b|2|train --set train.epochs=1 --set data.synthetic.count=32|0|note: libnccl.so.2 says that it is version 3.1.0;NCCL 2.14
no_driver|empty|A=b|1|train|1|no CUDA driver;is not found;install NVIDIA's driver;--device cpu
no_driver_in_a_step|empty|A=b|1|step|1|no CUDA driver;is not found;--device cpu
broken_library|broken|A=b|1|train|1|no CUDA driver;cannot be loaded;LD_LIBRARY_PATH
stub_library|stub|A=b|1|train|1|too old;has no cuInit;update NVIDIA's driver
"
# Without a driver on this machine, as where a real one is it would be found.
unset LD_LIBRARY_PATH
has_driver=$(ldconfig -p 2> /dev/null | grep -c 'libcuda\.so\.1' || true)
has_nccl=$(ldconfig -p 2> /dev/null | grep -c 'libnccl\.so\.2' || true)

fail() {
    echo "FAILED: $*"
    sed 's/^/    /' said.txt
    failed=$((failed + 1))
}

try() {
    local name=$1 library=$2 variables=$3 ranks=$4 command=$5 code=$6 words=$7 line word
    case "$name" in
        no_driver*) [ "$has_driver" = 0 ] || return 0 ;;
        stub* | old_nccl | new_nccl) [ -d "$library" ] || return 0 ;;
        no_nccl) [ "$has_nccl" = 0 ] || return 0 ;;
    esac
    local -a start=(env "LD_LIBRARY_PATH=$library" XBENCH_EMULATED_GPUS=2 "$variables" timeout 60)
    if [ "$ranks" -gt 1 ]; then
        [ -n "$mpirun" ] || return 0
        start=(env "LD_LIBRARY_PATH=$library" XBENCH_EMULATED_GPUS=2 "$variables" OMPI_ALLOW_RUN_AS_ROOT=1
            OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 timeout 60 "$mpirun" --oversubscribe --bind-to none -n "$ranks")
    fi
    # shellcheck disable=SC2206
    local -a words_of=($command)
    case "${words_of[0]}" in
        step) start+=("$xbench" step --model pneumonia_cnn --batch 8 --device cuda --seconds 5) ;;
        train)
            start+=("$xbench" train --config run.json --out "$name" --quiet)
            [ "$ranks" -gt 1 ] && start+=(--trainer gpu_ddp) || start+=(--device cuda)
            start+=("${words_of[@]:1}")
            ;;
    esac
    "${start[@]}" > said.txt 2>&1 < /dev/null
    local result=$?
    tried=$((tried + 1))
    [ $result = 124 ] && fail "$name: still there after 60 s" && return
    [ $result = "$code" ] || { fail "$name: exit code $result, not $code" && return; }
    # One line has all of the words; the launcher's own may have some, in front of it or behind.
    line=$(cat said.txt)
    while [ -n "$words" ]; do
        word=${words%%;*}
        line=$(grep -F -- "$word" <<< "$line") || { fail "$name: no line that says: $word" && return; }
        [ "$words" = "$word" ] && break
        words=${words#*;}
    done
    # Of two ranks the other may say that its peer is gone; the launcher has its own words.
    [ "$ranks" -gt 1 ] || [ "$(grep -c . said.txt)" = 1 ] || fail "$name: more than one line"
}

while IFS='|' read -r name library variables ranks command code words; do
    [ -z "$name" ] || try "$name" "$library" "$variables" "$ranks" "$command" "$code" "$words"
done <<< "$cases"
echo "$tried faults tried, $failed not as they should be"
[ $failed = 0 ] && [ $tried -gt 10 ]
