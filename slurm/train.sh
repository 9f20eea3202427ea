#!/usr/bin/env bash
# One training run inside one Slurm allocation that survives the time limit: a minute before it, Slurm sends SIGUSR1, every rank
# checkpoints at the next step and ends with exit code 75, and this script puts the job back into the queue, where it goes on
# at the exact image.
#
#   sbatch --ntasks=8 slurm/train.sh configs/scaling.json [xbench train options ...]
#
# Submit from the root of the project, or from anywhere where xbench is installed. The run lies in results/runs/train-JOB,
# metrics.json once it is done; the job keeps its number when it is requeued. The log shows how far it is.
#
# An array trains one seed a task, each in a folder of its own:
#
#   sbatch --array=1-5 --ntasks=8 slurm/train.sh configs/scaling.json
#
# To adapt to a cluster, on the command line of sbatch or here (a # more turns a line off):
#   partition, account and time limit          --partition=... --account=... --time=...
#   threads a rank                             --cpus-per-task=T
#   ranks on several nodes                     --nodes=2 --ntasks-per-node=4 (the run folder must be shared;
#                                              docs/clusters.md says how they talk)
#   memory a core, where the default is small  --mem-per-cpu=2G
#   compiler and MPI from modules              XBENCH_MODULES="gcc/12 openmpi/4.1"
# slurm/lib.sh lists the environment. On GPUs: XBENCH_TRAINER=gpu_ddp (or "sharded --device cuda --stage 3") with
# --gpus-per-task=1.
#
#SBATCH --job-name=xbench-train
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --signal=USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=xbench-train-%j.log
##SBATCH --mem-per-cpu=2G
##SBATCH --partition=PARTITION
##SBATCH --account=ACCOUNT
set -euo pipefail

script=train.sh
lib=${SLURM_SUBMIT_DIR:?run this with sbatch}/slurm/lib.sh
[ -f "$lib" ] || lib=$(dirname "$(dirname "$(readlink -f "${XBENCH:-$(command -v xbench)}")")")/share/xbench/slurm/lib.sh
source "$lib"
enter_project
[ $# -ge 1 ] || fail "name a configuration: sbatch slurm/train.sh configs/scaling.json"
config=$1
shift
find_xbench
check_config "$config"
tasks=${SLURM_NTASKS:-1} threads=${SLURM_CPUS_PER_TASK:-1}
trainer=(serial)
[ "$tasks" = 1 ] || trainer=(cpu_ddp)
[ -z "${XBENCH_TRAINER:-}" ] || read -ra trainer <<<"$XBENCH_TRAINER"
choose_mpi

name=train-$SLURM_JOB_ID seed=()
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    name=train-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID seed=(--set "train.seed=$SLURM_ARRAY_TASK_ID")
    [ -z "${XBENCH_OUT:-}" ] || XBENCH_OUT+=/$SLURM_ARRAY_TASK_ID
fi
out=${XBENCH_OUT:-results/runs/$name}
echo "train.sh: job $SLURM_JOB_ID, start ${SLURM_RESTART_COUNT:-0}, $tasks tasks x $threads cores, $config"
code=0
srun --ntasks="$tasks" --cpus-per-task="$threads" ${mpi[@]+"${mpi[@]}"} --cpu-bind=none --kill-on-bad-exit=1 \
    "${program[@]}" train --config "$config" --trainer "${trainer[@]}" --threads "$threads" --out "$out" --resume \
    ${seed[@]+"${seed[@]}"} "$@" || code=$?
if [ "$code" = 75 ]; then
    echo "train.sh: checkpointed in $out/checkpoints, requeued"
    exec scontrol requeue "$SLURM_JOB_ID"
fi
[ "$code" = 0 ] || exit "$code"
echo "$out/metrics.json"
