#!/usr/bin/env bash
# What the variables of a shell, a launcher or a container do to the program: launchers that start it several times where once is
# meant, limits of OpenMP, more threads than cores, folders on PATH that cannot be read, no variables at all, cores that a
# launcher has bound.
#
#   environment_test.sh XBENCH
set -uo pipefail
xbench=$1
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
failures=0
fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
# says CODE TEXT COMMAND...
says() {
    local want=$1 text=$2 code
    shift 2
    timeout 60 "$@" >log 2>&1
    code=$?
    [ $code = "$want" ] || fail "$(printf '%.200s' "$*"): exit code $code, not $want: $(tail -n 2 log)"
    [ -z "$text" ] || grep -qF -- "$text" log || fail "$(printf '%.200s' "$*"): no \"$text\" in: $(tail -n 3 log)"
}
cat >job.json <<'JSON'
{"name": "job", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]}, "data": {"synthetic": {"count": 64, "size": 16}},
 "train": {"batch_size": 16}, "sweep": [{"trainer": "serial", "threads": [1, 2]}], "scaling": {"repeats": 1, "oversubscribe": true}}
JSON
"$xbench" data synth --out set.h5 --count 40 --size 16 --quiet >/dev/null || fail "the set"
"$xbench" train --config job.json --out run --quiet || fail "the run"

# Launchers of any MPI: what one process does is refused on all processes, in one line, before anything is written.
mkdir dir
eval=(eval --checkpoint run --data set.h5 --out dir/eval)
predict=(predict --checkpoint run --data set.h5 --out dir/predict.csv)
kernels=(kernels --op flatten --json dir/kernels.json)
sweep=(--config job.json --out dir/sweep)
train=(train --config job.json --out dir/train)
for variables in "OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK" "PMI_SIZE=2 PMI_RANK" "MV2_COMM_WORLD_SIZE=2 MV2_COMM_WORLD_RANK" \
    "FLUX_JOB_SIZE=2 FLUX_TASK_RANK" "JSM_NAMESPACE_SIZE=2 JSM_NAMESPACE_RANK" "SLURM_STEP_NUM_TASKS=2 SLURM_PROCID"; do
    for command in eval predict kernels sweep train; do
        declare -n words=$command
        # shellcheck disable=SC2086
        says 2 "started 2 times by" env $variables=0 "$xbench" "${words[@]}"
        # shellcheck disable=SC2086
        says 2 "" env $variables=1 "$xbench" "${words[@]}"
        [ "$command" = train ] || [ "$command" = sweep ] || [ ! -s log ] || fail "$command: both processes of $variables speak: $(cat log)"
    done
    # shellcheck disable=SC2086
    says 2 "started 2 processes" env $variables=0 "$xbench" data synth --out dir/set.h5 --count 8 --size 16
done
[ -z "$(ls -A dir)" ] || fail "a refused command left $(ls -A dir)"

# OpenMP gives fewer threads than were asked for: an error, or a row that says so; never a figure of 1 that says 2.
for limit in OMP_THREAD_LIMIT=1 OMP_MAX_ACTIVE_LEVELS=0; do
    says 1 "OpenMP gives 1 of 2 threads" env $limit "$xbench" train --config job.json --threads 2 --out limited
    says 1 "OpenMP gives 1 of 2 threads" env $limit "$xbench" step --model pneumonia_cnn --batch 4 --seconds 0.05 --threads 2
    says 1 "OpenMP gives 1 of 2 threads" env $limit "$xbench" eval --checkpoint run --data set.h5 --threads 2 --out limited
    says 1 "OpenMP gives 1 of 2 threads" env $limit "$xbench" kernels --op flatten --filter three --min-time 0.001 --repetitions 1 --threads 2
    says 1 "" env $limit "$xbench" --config job.json --out limited-$limit --quiet
    grep -q '^serial,cpu,1,2,.*,failed,.*OpenMP gives 1 of 2 threads' limited-$limit/scaling.csv || fail "$limit: the row of 2 threads: $(cat limited-$limit/scaling.csv)"
    grep -q '^serial,cpu,1,1,.*,ok,' limited-$limit/scaling.csv || fail "$limit: the row of 1 thread: $(cat limited-$limit/scaling.csv)"
    says 0 "accuracy" env $limit "$xbench" eval --checkpoint run --data set.h5 --out all-$limit   # all that it may use
done
[ ! -e limited ] || fail "a refused run left a folder"
for given in OMP_NUM_THREADS=1 OMP_NUM_THREADS=7 OMP_DYNAMIC=true OMP_PROC_BIND=true OMP_WAIT_POLICY=passive; do
    rm -rf given
    says 0 "weights " env $given "$xbench" train --config job.json --threads 2 --out given
    grep -q '"threads":2' given/records.jsonl || fail "$given: not 2 threads"
    cmp -s given/checkpoints/last.safetensors run/checkpoints/last.safetensors || fail "$given: other weights"
done

# More threads than cores are said, whoever asks for them.
more=$(($(nproc) + 1))
says 0 "note: $more threads on" "$xbench" train --config job.json --threads $more --out crowded
says 0 "note: $more threads on" "$xbench" eval --checkpoint run --data set.h5 --threads $more --out crowded-eval
says 0 "note: $more threads on" "$xbench" predict --checkpoint run --data set.h5 --threads $more --out crowded.csv
says 0 "note: $more threads on" "$xbench" step --model pneumonia_cnn --batch 4 --seconds 0.05 --threads $more
says 0 "note: $more threads on" "$xbench" kernels --op flatten --filter three --min-time 0.001 --repetitions 1 --threads $more
[ "$(taskset -c 0 "$xbench" train --config job.json --threads 2 --out one-core 2>&1 | grep -c 'note: 2 threads on 1 core:')" = 1 ] ||
    fail "2 threads on one core: no word"

# PATH: folders that cannot be read, that are files, that are not there, an empty one; and no PATH or no variables at all.
mkdir -m 0 closed
touch file
odd_path=$work/closed:$work/file:/no/such/folder::$PATH
as_nobody=()
[ "$(id -u)" != 0 ] || ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$xbench" 2>/dev/null ||
    as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
mkdir -m 777 everybody
serial=(--config "$work/job.json" --set 'sweep=[{"trainer":"serial"}]' --quiet --out)
says 0 "mpirun" env "PATH=$odd_path" "${as_nobody[@]}" "$xbench" doctor
says 0 "scaling.md" env "PATH=$odd_path" "${as_nobody[@]}" "$xbench" "${serial[@]}" everybody/path
says 0 "instruction set" env -i "$xbench" doctor
says 0 '"findings"' env -i "$xbench" doctor --json
says 0 "scaling.md" env -i "$xbench" "${serial[@]}" everybody/bare
says 0 "not found" env PATH=/nonexistent "$xbench" doctor
says 0 "mpirun was not found on PATH" env PATH=/nonexistent "$xbench" --config job.json --dry-run --set 'sweep=[{"trainer":"cpu_ddp","ranks":2}]'

# Cores that mpirun has bound each rank to are its own.
if [ "$(nproc)" -ge 2 ] && mpirun -n 2 --bind-to core true 2>/dev/null; then
    mpirun -n 2 --bind-to core "$xbench" train --config job.json --trainer cpu_ddp --out bound >log 2>&1 || fail "two bound ranks: $(tail -n 3 log)"
    ! grep -q "take turns" log || fail "two ranks on cores of their own are taken for crowded: $(grep 'take turns' log)"
    grep -q '"cores_shared":false' bound/records.jsonl || fail "the cores of two bound ranks are said to be shared"
    taskset -c 0 mpirun -n 2 --bind-to none --oversubscribe "$xbench" train --config job.json --trainer cpu_ddp --out shared >log 2>&1 || fail "two ranks on one core"
    grep -q '"cores_shared":true' shared/records.jsonl || fail "two ranks on one core are not said to share it"
else
    echo "skipped: bound ranks, as mpirun --bind-to core does not run here"
fi

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
