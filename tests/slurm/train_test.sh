#!/usr/bin/env bash
# Submits slurm/train.sh with sbatch to a real Slurm cluster of one node, interrupts it as Slurm does before the time limit (SIGUSR1
# to the step), and checks that it is requeued, goes on and ends with the weights of a run that nobody interrupted.
#
#   train_test.sh ROOT XBENCH        exit code 77: Slurm cannot be started here (the reason is printed)
set -euo pipefail
root=$1 xbench=$2
source "$root/tests/slurm/cluster.sh"

# Without end, so that no machine is done before the signal; how many epochs it shall be is said once it was interrupted.
config() {
    cat >"$dir/run.json" <<CONFIG
{ "name": "slurm-train", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]},
  "data": {"synthetic": {"count": 400, "size": 32, "channels": 1}}, "train": {"batch_size": 16, "epochs": $1} }
CONFIG
}
config 100000

cd "$root"
job=$(XBENCH=$xbench XBENCH_OUT=$dir/run timeout 30 sbatch --parsable --ntasks=2 --output="$dir/job.log" \
    slurm/train.sh "$dir/run.json") || fail "sbatch"
for ((i = 0; i < 600; ++i)); do
    [ ! -e "$dir/run/checkpoints/best.safetensors" ] || break
    sleep 0.1
done
[ -e "$dir/run/checkpoints/best.safetensors" ] || fail "the job did not finish an epoch"
timeout 10 scancel --signal=USR1 "$job" || fail "scancel"
released=false
for ((i = 0; i < 1200; ++i)); do   # 120 s
    state=$(timeout 10 squeue -h -o %T -j "$job" 2>/dev/null || true)
    [ -n "$state" ] || break
    # A requeued job waits two minutes by default. It cannot start at once: the node still knows it as killed.
    if ! $released && [ "$state" = PENDING ] && grep -q requeued "$dir/job.log"; then
        epoch=$(grep -oh '"epoch": *[0-9]*' "$dir"/run/checkpoints/step-*/manifest.json | grep -o "[0-9]*$" | sort -n | tail -n 1)
        config $((epoch + 20))
        timeout 10 scontrol update "JobId=$job" StartTime=now+5 && released=true
    fi
    sleep 0.1
done
$released || fail "the job was not requeued"
state=$(timeout 10 scontrol show job "$job" | grep -o 'JobState=[A-Z]*')
[ "$state" = JobState=COMPLETED ] || fail "the job ended as $state"
[ "$(tail -n 1 "$dir/job.log")" = "$dir/run/metrics.json" ] || fail "the log does not end with the path of metrics.json"
"$xbench" train --config "$dir/run.json" --out "$dir/whole" --quiet >"$dir/whole.log" || fail "the run that nobody interrupts"
cmp "$dir/whole/checkpoints/last.safetensors" "$dir/run/checkpoints/last.safetensors" || fail "other weights"
echo "job $job: $state after $(grep -c '^train.sh: job' "$dir/job.log") starts, the same weights"
