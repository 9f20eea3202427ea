#!/usr/bin/env bash
# Submits slurm/train.sh as an array of two tasks to a real Slurm cluster of one node: each trains with its task's number as the
# seed, in a folder of its own, shows its progress in its log, and ends with the weights of a run that no Slurm started. Then
# one task by way of a container, whose program here is a stand-in that runs xbench outside.
#
#   array_test.sh ROOT XBENCH        exit code 77: Slurm cannot be started here (the reason is printed)
set -euo pipefail
root=$1 xbench=$2
source "$root/tests/slurm/cluster.sh"

cat >"$dir/run.json" <<'CONFIG'
{ "name": "slurm-array", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]},
  "data": {"synthetic": {"count": 96, "size": 32, "channels": 1}}, "train": {"batch_size": 16, "epochs": 2} }
CONFIG
cd "$root"
# wait_for JOB: until no task of it is left
wait_for() {
    for ((i = 0; i < 1200; ++i)); do   # 120 s
        [ -n "$(timeout 10 squeue -h -j "$1" 2>/dev/null)" ] || return 0
        sleep 0.1
    done
    fail "job $1 does not end"
}

job=$(XBENCH=$xbench XBENCH_OUT=$dir/seeds timeout 30 sbatch --parsable --array=1-2 --ntasks=2 --mem-per-cpu=100M \
    --output="$dir/task-%a.log" slurm/train.sh "$dir/run.json") || fail "sbatch --array"
wait_for "$job"
for seed in 1 2; do
    [ "$(tail -n 1 "$dir/task-$seed.log")" = "$dir/seeds/$seed/metrics.json" ] || fail "task $seed: its log does not end with its path"
    grep -q '^epoch *2/2' "$dir/task-$seed.log" || fail "task $seed: no progress in its log"
    "$xbench" train --config "$dir/run.json" --set train.seed=$seed --out "$dir/alone-$seed" --quiet >>"$dir/alone.log" 2>&1 ||
        fail "seed $seed without Slurm"
    cmp "$dir/alone-$seed/checkpoints/last.safetensors" "$dir/seeds/$seed/checkpoints/last.safetensors" ||
        fail "task $seed: other weights than without Slurm"
done
! cmp -s "$dir/seeds/1/checkpoints/last.safetensors" "$dir/seeds/2/checkpoints/last.safetensors" || fail "both tasks had one seed"

mkdir "$dir/bin"
cat >"$dir/bin/apptainer" <<STANDIN
#!/bin/sh
# apptainer exec IMAGE xbench ...
[ "\$1" = exec ] && [ -f "\$2" ] && [ "\$3" = xbench ] || exit 9
echo "\$2" >>"$dir/images"
shift 3
exec "$xbench" "\$@"
STANDIN
chmod 755 "$dir/bin/apptainer"
touch "$dir/xbench.sif"
job=$(PATH=$dir/bin:$PATH XBENCH_IMAGE=$dir/xbench.sif XBENCH_OUT=$dir/contained timeout 30 sbatch --parsable --ntasks=2 \
    --output="$dir/contained.log" slurm/train.sh "$dir/run.json" --set train.seed=1) || fail "sbatch with an image"
wait_for "$job"
[ "$(sort -u "$dir/images")" = "$dir/xbench.sif" ] && [ "$(wc -l <"$dir/images")" -ge 3 ] || fail "the image was not used by both ranks"
cmp "$dir/alone-1/checkpoints/last.safetensors" "$dir/contained/checkpoints/last.safetensors" || fail "other weights in the container"

# What Apptainer itself would find wrong can only be seen where it is; the shell of the recipe can be tried here.
awk '/^%/ { inside = $1 == "%post" || $1 == "%runscript" || $1 == "%test"; next } inside' slurm/xbench.def >"$dir/recipe.sh"
sh -n "$dir/recipe.sh" || fail "the recipe's shell does not parse"
for section in $(grep -o '^%[a-z]*' slurm/xbench.def); do
    case $section in %files | %post | %environment | %runscript | %test | %labels | %help) ;; *) fail "$section is no section" ;; esac
done
echo "array $job: two seeds, one container, the same weights as without Slurm"
