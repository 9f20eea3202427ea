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
#   compiler and MPI from modules              a line "module load ..." below
# Environment: XBENCH names the program (default: the newest build/*/xbench, else the one on PATH), XBENCH_OUT the run folder.
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

# sbatch runs a copy of this file, so its own path says nothing about the project.
cd "${SLURM_SUBMIT_DIR:?run this with sbatch}"
config=${1:-configs/scaling.json}
[ $# = 0 ] || shift

fail() {
    echo "cpu_ddp.sh: $1" >&2
    exit 2
}
xbench=${XBENCH:-$(ls -t build/*/xbench build/xbench 2>/dev/null | head -n 1 || true)}
[ -n "$xbench" ] || xbench=$(command -v xbench || true)
[ -x "$xbench" ] || fail "no xbench program; build it first (scripts/first_run.sh), install it, or set XBENCH"
"$xbench" --config "$config" --print-config >/dev/null || fail "$config is not a configuration; submit from the root of the project"
tasks=${SLURM_NTASKS:-1} threads=${SLURM_CPUS_PER_TASK:-1}

# 1, 2, 4 ... and the number of tasks itself.
ranks=1
for ((n = 2; n < tasks; n *= 2)); do ranks+=,$n; done
[ "$tasks" = 1 ] || ranks+=,$tasks
sweep="[{\"trainer\":\"serial\",\"threads\":$threads},{\"trainer\":\"cpu_ddp\",\"ranks\":[$ranks],\"threads\":$threads}]"

out=${XBENCH_OUT:-results/runs/slurm-$SLURM_JOB_ID}
echo "cpu_ddp.sh: job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, $tasks tasks x $threads cores, $config"
"$xbench" --config "$config" --set "sweep=$sweep" --out "$out" "$@"
cat "$out/scaling.csv"
echo "$out/scaling.csv"
