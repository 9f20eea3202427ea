# Sourced by the job scripts of this folder, which set $script to their name first: where the project and the program are, and what
# a cluster's own ways need. Nothing here starts anything by itself.
#
# Environment, of all of them:
#   XBENCH          the program (default: the newest build/*/xbench, else the one on PATH)
#   XBENCH_IMAGE    an Apptainer image to run it in instead (slurm/xbench.def)
#   XBENCH_MODULES  modules to load first, as "gcc/12 openmpi/4.1 cuda/13.0"
#   XBENCH_OUT      the run folder
#   SLURM_MPI_TYPE  how srun starts the ranks (default: PMIx where there is)

fail() {
    echo "$script: $1" >&2
    exit 2
}

# sbatch runs a copy of the script, so its own path says nothing about the project.
enter_project() {
    cd "${SLURM_SUBMIT_DIR:?run this with sbatch}"
    if [ -n "${XBENCH_MODULES:-}" ]; then
        command -v module >/dev/null || fail "XBENCH_MODULES is set, and this cluster has no modules"
        # shellcheck disable=SC2086
        module load $XBENCH_MODULES
    fi
}

# Sets program, an array: what comes before the words of the command line.
find_xbench() {
    local xbench
    xbench=${XBENCH:-$(ls -t build/*/xbench build/xbench 2>/dev/null | head -n 1 || true)}
    [ -n "$xbench" ] || xbench=$(command -v xbench || true)
    program=("$xbench")
    if [ -n "${XBENCH_IMAGE:-}" ]; then
        [ -f "$XBENCH_IMAGE" ] || fail "$XBENCH_IMAGE: no such image; apptainer build $XBENCH_IMAGE slurm/xbench.def"
        program=(apptainer exec ${gpus:+--nv} "$XBENCH_IMAGE" xbench)
    elif [ ! -x "$xbench" ]; then
        fail "no xbench program; build it first (scripts/first_run.sh), install it, or set XBENCH"
    fi
}

# check_config CONFIG, behind find_xbench: an installed program knows configurations of its own.
check_config() {
    "${program[@]}" --config "$1" --print-config >/dev/null || fail "$1 is no configuration; submit from the root of the project"
}

# "1,2,4" ... and $1 itself: the ranks of a sweep up to so many tasks.
doubling_ranks() {
    local ranks=1 n
    for ((n = 2; n < $1; n *= 2)); do ranks+=,$n; done
    [ "$1" = 1 ] || ranks+=,$1
    echo "$ranks"
}

# Sets mpi, an array: srun's way to start MPI ranks, PMIx where this cluster has it, else the cluster's default. xbench checks that
# the ranks know each other, and says so where they do not.
choose_mpi() {
    mpi=()
    if [ -z "${SLURM_MPI_TYPE:-}" ] && srun --mpi=list 2>&1 | grep -qw pmix; then mpi=(--mpi=pmix); fi
}

# begin_gpu_sweep ARGUMENTS OF THE SCRIPT: sets config, options (an array), gpus, and rows to the serial ones that GPUs are compared
# with, on the CPU and on a GPU: the beginning of a JSON array.
begin_gpu_sweep() {
    enter_project
    config=${1:-configs/scaling.json} options=("${@:2}") gpus=${SLURM_NTASKS:-1}
    find_xbench
    check_config "$config"
    rows="[{\"trainer\":\"serial\",\"threads\":${SLURM_CPUS_PER_TASK:-1}},{\"trainer\":\"serial\",\"device\":\"cuda\"}"
}

# run_sweep CONFIG ROWS [xbench options ...]: the table of a configuration with these rows; its path is the last line of the log. A
# row that cannot run here stays in the table with its reason and fails nothing; a row that fails is exit code 1. USR1 (--signal=B:)
# ends the row under way, and the job goes back into the queue, where it goes on with what is missing.
run_sweep() {
    local config=$1 rows=$2 out=${XBENCH_OUT:-results/runs/slurm-$SLURM_JOB_ID} code=0 resume=() child
    shift 2
    [ "${SLURM_RESTART_COUNT:-0}" = 0 ] || [ ! -f "$out/config.resolved.json" ] || resume=(--resume)
    echo "$script: job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, ${SLURM_NTASKS:-1} tasks x ${SLURM_CPUS_PER_TASK:-1} cores, $config"
    "${program[@]}" --config "$config" --set "sweep=$rows" --out "$out" ${resume[@]+"${resume[@]}"} "$@" &
    child=$!
    trap 'kill -USR1 "$child" 2>/dev/null' USR1
    wait "$child" || code=$?
    while kill -0 "$child" 2>/dev/null; do  # the signal ended the wait, not the sweep
        code=0
        wait "$child" || code=$?
    done
    [ ! -f "$out/scaling.csv" ] || cat "$out/scaling.csv"
    if [ "$code" = 75 ]; then
        echo "$script: interrupted, requeued"
        exec scontrol requeue "$SLURM_JOB_ID"
    fi
    [ "$code" = 0 ] || exit "$code"
    echo "$out/scaling.csv"
}
