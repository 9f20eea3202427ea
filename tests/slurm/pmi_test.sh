#!/usr/bin/env bash
# Ranks of GPUs that srun starts meet by what Slurm's PMIx and PMI-2 carry, without MPI and without a folder that all see: their working
# folder is /proc, where no file can be written. Then plain srun, which carries nothing, by a file. The weights are the same, each
# rank takes the GPU of its number, and a rank that never comes is named in time. On the emulated GPU.
#
#   pmi_test.sh ROOT XBENCH EMULATOR        exit code 77: Slurm or the emulated GPU is not here (the reason is printed)
set -euo pipefail
root=$1 xbench=$2 emulator=$3
[ -e "$emulator/libcuda.so.1" ] || { echo "no emulated GPU here" && exit 77; }
cluster_gpus=3
source "$root/tests/slurm/cluster.sh"
cat >"$dir/tiny.json" <<'CONFIG'
{ "name": "pmi", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]},
  "data": {"synthetic": {"count": 48, "size": 24, "channels": 1}},
  "train": {"batch_size": 16, "epochs": 1} }
CONFIG
export LD_LIBRARY_PATH=$emulator XBENCH_EMULATED_GPUS=3
unset XBENCH_RENDEZVOUS XBENCH_JOB

# train NAME SRUN OPTIONS... -- ENVIRONMENT...: its weights in $dir/NAME
train() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1") && shift; done
    shift
    env "$@" timeout 60 srun -n 3 --kill-on-bad-exit=1 "${options[@]}" "$xbench" train --config "$dir/tiny.json" --quiet \
        --trainer gpu_ddp --out "$dir/$name" >"$dir/$name.log" 2>&1 || fail "$name"
    grep -q '"communicator":"nccl"' "$dir/$name/records.jsonl" || fail "$name: not over NCCL"
}
weights_of() { grep -o '"weights_hash":"[0-9a-f]*"' "$dir/$1/records.jsonl"; }

tried=()
for kind in pmix pmi2; do
    library=$([ $kind = pmix ] && echo libpmix.so.2 || echo libpmi2.so.0)
    if ! srun --mpi=list 2>&1 | grep -qw $kind || ! ldconfig -p | grep -q "$library"; then
        echo "skipped: no $kind here ($library)"
        continue
    fi
    train $kind --mpi=$kind --chdir=/proc -- XBENCH_RENDEZVOUS=$kind
    tried+=($kind)
done
# PMI-2 without a word: the MPI of this build may not speak it, and the ranks have no need of it.
[[ " ${tried[*]} " != *" pmi2 "* ]] || train pmi2_by_itself --mpi=pmi2 --chdir=/proc -- A=b
(cd "$dir" && train file --mpi=none -- A=b) || exit 1
[ -z "$(find "$dir" -maxdepth 1 -name '.xbench-ranks-*')" ] || fail "a file of the meeting stays behind"
for name in "${tried[@]}"; do
    [ "$(weights_of $name)" = "$(weights_of file)" ] || fail "$name: other weights than by a file"
done

# A rank that never comes: the others end in time, and say how they wanted to meet.
for kind in "${tried[@]}"; do
    code=0
    XBENCH_RENDEZVOUS=$kind timeout 60 srun -n 2 --mpi=$kind --chdir=/proc bash -c \
        '[ "$SLURM_PROCID" = 0 ] && exec "$@"; sleep 4' - "$xbench" train --config "$dir/tiny.json" --quiet --trainer gpu_ddp \
        --out "$dir/alone_$kind" --set train.collective_timeout_seconds=1 >"$dir/alone.log" 2>&1 || code=$?
    [ "$code" != 0 ] && [ "$code" != 124 ] || fail "$kind, a rank that never comes: exit code $code"
    grep -Eq 'PMI(x|-2): waited 1 s for the other ranks' "$dir/alone.log" || fail "$kind, a rank that never comes: no line"
done
[ ${#tried[@]} -gt 0 ] || { echo "neither PMIx nor PMI-2 here" && exit 77; }
echo "met by ${tried[*]} and by a file"
