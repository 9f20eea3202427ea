#!/usr/bin/env bash
# The scaling sweep of a configuration inside one Slurm allocation: serial, then cpu_ddp on 1, 2, 4 ... ranks up to --ntasks.
#
#   sbatch --ntasks=8 slurm/cpu_ddp.sh [configs/scaling.json [xbench options ...]]
#
# Submit from the root of the project, or from anywhere where xbench is installed. xbench starts each point of the sweep with srun (or mpirun) inside this allocation and
# binds its ranks itself. The table lies in results/runs/slurm-JOB/scaling.csv, and its path is the last line of the log.
#
# To adapt to a cluster, on the command line of sbatch or here (a # more turns a line off):
#   partition, account and time limit          --partition=... --account=... --time=...
#   threads a rank                             --cpus-per-task=T
#   ranks on several nodes                     --nodes=2 --ntasks-per-node=4 (docs/clusters.md: how they then talk)
#   memory a core, where the default is small  --mem-per-cpu=2G
#   compiler and MPI from modules              XBENCH_MODULES="gcc/12 openmpi/4.1"
# slurm/lib.sh lists the environment.
# The log shows how far the sweep is.
#
#SBATCH --job-name=xbench-cpu-ddp
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=xbench-cpu-ddp-%j.log
##SBATCH --mem-per-cpu=2G
##SBATCH --partition=PARTITION
##SBATCH --account=ACCOUNT
set -euo pipefail
script=cpu_ddp.sh
lib=${SLURM_SUBMIT_DIR:?run this with sbatch}/slurm/lib.sh
[ -f "$lib" ] || lib=$(dirname "$(dirname "$(readlink -f "${XBENCH:-$(command -v xbench)}")")")/share/xbench/slurm/lib.sh
source "$lib"
enter_project
config=${1:-configs/scaling.json}
[ $# = 0 ] || shift
find_xbench
check_config "$config"
tasks=${SLURM_NTASKS:-1} threads=${SLURM_CPUS_PER_TASK:-1}
rows="[{\"trainer\":\"serial\",\"threads\":$threads},"
rows+="{\"trainer\":\"cpu_ddp\",\"ranks\":[$(doubling_ranks "$tasks")],\"threads\":$threads}]"
run_sweep "$config" "$rows" "$@"
