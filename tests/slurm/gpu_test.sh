#!/usr/bin/env bash
# Submits slurm/ddp_2gpu.sh and slurm/fsdp_3gpu.sh with sbatch to a real Slurm cluster of one node that declares GPUs, twice: on the
# emulated GPU, where the rows train, are marked, and have no times; and without a driver, where they stay in the table with the
# reason and the rest of it is made.
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

submit without ddp_2gpu.sh
rows=$(cells without)
echo "$rows"
grep -Eq '^serial cpu 1 0 (ok|oversubscribed) [0-9a-f]{32} [0-9.]+ no$' <<<"$rows" || fail "no row of the CPU"
[ "$(grep -c ' cuda .* not_run - - no$' <<<"$rows")" = 3 ] || fail "GPU rows without a GPU"
grep -q 'CUDA' "$dir/without/scaling.csv" || fail "no reason why the GPU rows did not run"

if [ -e "$emulator/libcuda.so.1" ]; then
    submit emulated ddp_2gpu.sh LD_LIBRARY_PATH="$emulator" XBENCH_EMULATED_GPUS=2
    submit sharded fsdp_3gpu.sh LD_LIBRARY_PATH="$emulator" XBENCH_EMULATED_GPUS=3
    rows=$(cells emulated; cells sharded)
    echo "$rows"
    [ "$(grep -Ec ' cuda [123] [0123] (ok|oversubscribed) [0-9a-f]{32} - yes$' <<<"$rows")" = 7 ] || fail "GPU rows on the emulated GPU"
    [ "$(awk '$2 == "cuda" { print $6 }' <<<"$rows" | sort -u | wc -l)" = 1 ] || fail "the weights differ between the GPU rows"
    grep -q '"emulated": true' "$dir/emulated/env.json" || fail "env.json does not say that the GPU is emulated"
fi
echo "with and without GPUs"
