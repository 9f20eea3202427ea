#!/usr/bin/env bash
# Submits slurm/cpu_ddp.sh with sbatch to a real Slurm cluster of one node, waits for it, and checks the table that it leaves:
# serial and 1 and 2 ranks, each with the accuracy and the weights of its own training, the weights of all three the same.
#
#   cpu_ddp_test.sh ROOT XBENCH        exit code 77: Slurm cannot be started here (the reason is printed)
set -euo pipefail
root=$1 xbench=$2
source "$root/tests/slurm/cluster.sh"

cat >"$dir/tiny.json" <<'CONFIG'
{ "name": "slurm-test", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]},
  "data": {"synthetic": {"count": 96, "size": 32, "channels": 1}},
  "train": {"batch_size": 16, "epochs": 1},
  "sweep": [{"trainer": "serial"}],
  "scaling": {"repeats": 1, "oversubscribe": true} }
CONFIG

cd "$root"
job=$(XBENCH=$xbench XBENCH_OUT=$dir/run timeout 30 sbatch --parsable --ntasks=2 --output="$dir/job.log" \
    slurm/cpu_ddp.sh "$dir/tiny.json") || fail "sbatch"
for ((i = 0; i < 1200; ++i)); do   # 120 s; `sbatch --wait` looks only every 2 s
    [ -n "$(timeout 10 squeue -h -j "$job" 2>/dev/null)" ] || break
    sleep 0.1
done
state=$(timeout 10 scontrol show job "$job" | grep -o 'JobState=[A-Z]*')
[ "$state" = JobState=COMPLETED ] || fail "the job ended as $state"
[ "$(tail -n 1 "$dir/job.log")" = "$dir/run/scaling.csv" ] || fail "the log does not end with the path of scaling.csv"

# trainer ranks status weights_hash test_accuracy, by the names in the header
rows=$(awk -F , '
    NR == 1 { for (i = 1; i <= NF; ++i) column[$i] = i; next }
    { print $column["trainer"], $column["ranks"], $column["status"], $column["weights_hash"], $column["test_accuracy"] }
' "$dir/run/scaling.csv")
echo "$rows"
ok=ok
[ "$(nproc)" -ge 2 ] || ok=oversubscribed
grep -Eq '^serial 1 ok [0-9a-f]{32} [0-9.]+$' <<<"$rows" || fail "no serial row"
grep -Eq '^cpu_ddp 1 ok [0-9a-f]{32} [0-9.]+$' <<<"$rows" || fail "no row of 1 rank"
grep -Eq "^cpu_ddp 2 $ok [0-9a-f]{32} [0-9.]+$" <<<"$rows" || fail "no row of 2 ranks"
[ "$(awk '{ print $4 }' <<<"$rows" | sort -u | wc -l)" = 1 ] || fail "the weights differ between the rows"
echo "job $job: $state"
