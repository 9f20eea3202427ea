#!/usr/bin/env bash
# Submits slurm/ddp_4gpu.sh and slurm/fsdp_3gpu.sh with sbatch to a real Slurm cluster of one node that declares GPUs, twice: on the
# emulated GPU, where the rows train, are marked, and have no times; and without a driver, where they stay in the table with the
# reason and the rest of it is made. Then slurm/ddp_2gpu.sh on the emulated GPU is sent the signal that Slurm sends before the time
# limit: it is requeued, and goes on with what is missing. Its ranks are plain srun's, which meet without MPI.
#
#   gpu_test.sh ROOT XBENCH EMULATOR        exit code 77: Slurm cannot be started here (the reason is printed)
set -euo pipefail
root=$1 xbench=$2 emulator=$3
cluster_gpus=4
source "$root/tests/slurm/cluster.sh"

cat >"$dir/tiny.json" <<'CONFIG'
{ "name": "slurm-gpu", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]},
  "data": {"synthetic": {"count": 48, "size": 24, "channels": 1}},
  "train": {"batch_size": 16, "epochs": 1},
  "scaling": {"repeats": 1, "oversubscribe": true} }
CONFIG

cd "$root"
# submit NAME SCRIPT [VARIABLE=VALUE ...]: the job's table is $dir/NAME/scaling.csv
submit() {
    local name=$1 script=$2 job state
    shift 2
    job=$(env XBENCH="$xbench" XBENCH_OUT="$dir/$name" "$@" timeout 30 sbatch --parsable --cpus-per-task=1 \
        --output="$dir/$name.log" "slurm/$script" "$dir/tiny.json") || fail "sbatch $script"
    for ((i = 0; i < 1800; ++i)); do
        [ -n "$(timeout 10 squeue -h -j "$job" 2>/dev/null)" ] || break
        sleep 0.1
    done
    state=$(timeout 10 scontrol show job "$job" | grep -o 'JobState=[A-Z]*')
    [ "$state" = JobState=COMPLETED ] || fail "$script: the job ended as $state"
    [ "$(tail -n 1 "$dir/$name.log")" = "$dir/$name/scaling.csv" ] || fail "$script: the log does not end with the table's path"
}
# cells NAME: trainer device ranks stage status hash images_per_second emulated, "-" for an empty cell
cells() {
    sed 's/"[^"]*"/quoted/g' "$dir/$1/scaling.csv" | awk -F , '
        function cell(name) { return $column[name] == "" ? "-" : $column[name] }
        NR == 1 { for (i = 1; i <= NF; ++i) column[$i] = i; next }
        { print cell("trainer"), cell("device"), cell("ranks"), cell("stage"), cell("status"), cell("weights_hash"),
            cell("images_per_second"), cell("emulated") }'
}

for script in ddp_4gpu fsdp_3gpu; do
    submit "without_$script" $script.sh
    rows=$(cells "without_$script")
    echo "$rows"
    grep -Eq '^serial cpu 1 0 (ok|oversubscribed) [0-9a-f]{32} [0-9.]+ no$' <<<"$rows" || fail "$script: no row of the CPU"
    [ "$(grep -c ' cuda .* not_run - - no$' <<<"$rows")" = 4 ] || fail "$script: GPU rows without a GPU"
    [ "$(grep -c 'no CUDA driver' "$dir/without_$script/scaling.csv")" = 4 ] || fail "$script: no reason why the GPU rows did not run"
done
[ -e "$emulator/libcuda.so.1" ] || { echo "without GPUs (there is no emulated one here)" && exit 0; }

submit ddp ddp_4gpu.sh LD_LIBRARY_PATH="$emulator" XBENCH_EMULATED_GPUS=4
submit sharded fsdp_3gpu.sh LD_LIBRARY_PATH="$emulator" XBENCH_EMULATED_GPUS=3
rows=$(cells ddp; cells sharded)
echo "$rows"
[ "$(grep -Ec ' cuda [1234] [0123] (ok|oversubscribed) [0-9a-f]{32} - yes$' <<<"$rows")" = 8 ] || fail "GPU rows on the emulated GPU"
[ "$(awk '$2 == "cuda" { print $6 }' <<<"$rows" | sort -u | wc -l)" = 1 ] || fail "the weights differ between the GPU rows"
! grep -E ' cuda .*images/s in|gpu_ddp .*images/s in' "$dir/ddp.log" || fail "the log shows times of an emulated GPU"
grep -q '"emulated": true' "$dir/ddp/env.json" || fail "env.json does not say that the GPU is emulated"

# Without end, so that no machine is done before the signal; how long it shall be is said once it was interrupted.
endless() { sed "s/\"repeats\": 1/\"repeats\": $1/" "$dir/tiny.json" >"$dir/endless.json"; }
endless 100
job=$(env XBENCH="$xbench" XBENCH_OUT="$dir/requeued" LD_LIBRARY_PATH="$emulator" XBENCH_EMULATED_GPUS=2 SLURM_MPI_TYPE=none \
    XBENCH_RENDEZVOUS="$dir" timeout 30 sbatch --parsable --cpus-per-task=1 --output="$dir/requeued.log" slurm/ddp_2gpu.sh "$dir/endless.json") || fail "sbatch ddp_2gpu.sh"
for ((i = 0; i < 600; ++i)); do
    [ ! -e "$dir/requeued/records.jsonl" ] || [ "$(wc -l <"$dir/requeued/records.jsonl")" -lt 2 ] || break
    sleep 0.1
done
timeout 10 scancel --signal=USR1 --batch "$job" || fail "scancel"
released=false before=0
for ((i = 0; i < 1200; ++i)); do
    state=$(timeout 10 squeue -h -o %T -j "$job" 2>/dev/null || true)
    [ -n "$state" ] || break
    # A requeued job waits two minutes by default. It cannot start at once: the node still knows it as killed.
    if ! $released && [ "$state" = PENDING ] && grep -q requeued "$dir/requeued.log"; then
        before=$(wc -l <"$dir/requeued/records.jsonl")
        endless 3
        timeout 10 scontrol update "JobId=$job" StartTime=now+5 && released=true
    fi
    sleep 0.1
done
$released || fail "the sweep was not requeued"
state=$(timeout 10 scontrol show job "$job" | grep -o 'JobState=[A-Z]*')
[ "$state" = JobState=COMPLETED ] || fail "the requeued sweep ended as $state"
[ "$before" -ge 2 ] || fail "the rows before the signal were lost"
[ "$(grep -Ec ' cuda [12] 0 (ok|oversubscribed) [0-9a-f]{32} - yes$' <<<"$(cells requeued)")" = 3 ] || fail "rows of the requeued sweep"
grep -q '"communicator":"nccl"' "$dir/requeued/records.jsonl" || fail "ranks of plain srun do not talk over NCCL"
echo "with and without GPUs; requeued after $before of $(wc -l <"$dir/requeued/records.jsonl") runs"
