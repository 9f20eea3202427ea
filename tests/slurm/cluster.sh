# Sourced by the tests of this folder: $dir, a folder that goes away in the end; fail MESSAGE; and a running Slurm cluster of one
# node, whose environment is set. Needs $root; exits with 77 where Slurm cannot be started here (the reason is printed).
dir=$(mktemp -d)
chmod 755 "$dir"   # munge wants every folder above its socket passable for all
cleanup() {
    [ ! -e "$dir/c/slurm.conf" ] || bash "$root/scripts/slurm_one_machine.sh" stop "$dir/c" || true
    rm -rf "$dir"
}
trap cleanup EXIT
fail() {
    echo "FAIL: $1"
    tail -n 50 "$dir"/*.log "$dir"/c/log/slurmctld.log 2>/dev/null || true
    exit 1
}

environment=$(bash "$root/scripts/slurm_one_machine.sh" start "$dir/c" 8 "${cluster_gpus:-0}") || exit $?
eval "$environment"
