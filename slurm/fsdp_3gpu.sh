#!/usr/bin/env bash
# Fully sharded training on 3 GPUs: serial on a GPU, then ZeRO stages 1, 2 and 3, each rank with a third of the state.
#
#   sbatch slurm/fsdp_3gpu.sh [configs/scaling.json [xbench options ...]]
#
# Submit from the root of the project, with a build that has CUDA. Each rank has a GPU of its own. The table lies in
# results/runs/slurm-JOB/scaling.csv, and its path is the last line of the log. Where there is no GPU, its rows say "not_run" and
# why, the rest of the table is made, and the exit code is 0. A minute before the time limit the sweep stops and is requeued; it
# goes on with what is missing.
#
# To adapt to a cluster, on the command line of sbatch or here (a # more turns a line off):
#   partition, account and time limit          --partition=... --account=... --time=...
#   cores of a rank, for its loader            --cpus-per-task=T
#   GPUs on several nodes                      --nodes=2 --ntasks-per-node=2
#   clusters without --gpus-per-task           --gres=gpu:3
#   compiler, MPI and NCCL from modules        XBENCH_MODULES="gcc/12 openmpi/4.1 nccl"
# slurm/lib.sh lists the environment.
#
#SBATCH --job-name=xbench-fsdp-3gpu
#SBATCH --ntasks=3
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=4
#SBATCH --time=01:00:00
#SBATCH --signal=B:USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=xbench-fsdp-3gpu-%j.log
##SBATCH --partition=PARTITION
##SBATCH --account=ACCOUNT
set -euo pipefail
script=fsdp_3gpu.sh
lib=${SLURM_SUBMIT_DIR:?run this with sbatch}/slurm/lib.sh
[ -f "$lib" ] || lib=$(dirname "$(dirname "$(readlink -f "${XBENCH:-$(command -v xbench)}")")")/share/xbench/slurm/lib.sh
source "$lib"
begin_gpu_sweep "$@"
for stage in 1 2 3; do rows+=",{\"trainer\":\"sharded\",\"device\":\"cuda\",\"ranks\":$gpus,\"stage\":$stage}"; done
rows+="]"
run_sweep "$config" "$rows" ${options[@]+"${options[@]}"}
