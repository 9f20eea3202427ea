#!/usr/bin/env bash
# A real Slurm cluster with one node on this machine, without systemd, all of it inside one folder: for trying job scripts
# and for the tests labelled slurm. Needs the Debian packages slurm-wlm and munge; root is not needed.
#
#   scripts/slurm_one_machine.sh start DIR [CPUS=8 [GPUS=0]]     prints `export SLURM_CONF=...`, which is all that clients need
#   scripts/slurm_one_machine.sh stop DIR
#
# DIR must be short, as Unix sockets are made in it, and the folders above it passable for all (munge checks that).
# The node declares CPUS cores and GPUS GPUs, whatever the machine has.
# Exit code 77: this cannot work here, with the reason (tests take it for "skipped").
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2; }
die() { echo "slurm_one_machine: $1" >&2 && exit 1; }
# Nothing that was started stays behind.
impossible() {
    echo "slurm_one_machine: $1" >&2
    tail -qn 3 "$dir"/log/slurm*.log >&2 2>/dev/null || true
    [ ! -e "$conf" ] || stop
    exit 77
}

[ $# -ge 2 ] || usage
command=$1 cpus=${3:-8} gpus=${4:-0}
mkdir -p "$2"
dir=$(cd "$2" && pwd)
conf=$dir/slurm.conf

# Whether a daemon of ours still runs. A zombie does not: a container's process 1 may collect it late.
running() {
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
    [ -n "$state" ] && [ "$state" != Z ] && tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF "$dir/"
}

# wait_until SECONDS COMMAND...
wait_until() {
    local tries=$(($1 * 20))
    shift
    for ((i = 0; i < tries; ++i)); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}

free_port() {
    local port
    for ((i = 0; i < 100; ++i)); do
        port=$((20000 + RANDOM % 10000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port" && return; }
    done
    die "no free port"
}

check_machine() {
    local program
    for program in munged slurmctld slurmd sinfo sbatch; do
        command -v "$program" >/dev/null || impossible "no $program here; scripts/install_deps.sh --tests installs Slurm"
    done
    [ -e /proc/self/status ] || impossible "no /proc here, by which Slurm follows its jobs"
    [ ${#dir} -le 60 ] || impossible "$dir is too long for Unix sockets"
    # slurmctld and munge give up slowly and unclearly where the machine does not know its own name.
    address=$(getent ahostsv4 "$(hostname -s)" | awk 'NR == 1 { print $1 }') || true
    [ -n "$address" ] || impossible "the name of this host does not resolve; add '127.0.0.1 $(hostname -s)' to /etc/hosts"
}

# What every task gets: this "cluster" declares more cores than there are, so Open MPI would spin in its waits; everything stays
# on the loopback interface. Nothing of this belongs into job scripts for real clusters.
write_prolog() {
    cat >"$dir/prolog.sh" <<'PROLOG'
#!/bin/sh
echo "export OMPI_MCA_mpi_yield_when_idle=1"
echo "export OMPI_MCA_btl_tcp_if_include=lo"
echo "export OMPI_MCA_oob_tcp_if_include=lo"
if [ "$(id -u)" = 0 ]; then
    echo "export OMPI_ALLOW_RUN_AS_ROOT=1"
    echo "export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
fi
PROLOG
    chmod 755 "$dir/prolog.sh"
}

write_conf() {
    local host user port
    host=$(hostname -s) user=$(id -un) port=$(free_port)
    cat >"$conf" <<CONF
ClusterName=xbench
SlurmctldHost=$host($address)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$dir/munge.sock
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
TmpFS=$dir/tmp
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
PlugStackConfig=/dev/null
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog=$dir/prolog.sh
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=pmix
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=2
KillOnBadExit=1
MailProg=/bin/true
NodeName=n1 NodeHostname=$host NodeAddr=$address Port=$(free_port) CPUs=$cpus RealMemory=1000 State=UNKNOWN
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
    if [ "$gpus" -gt 0 ]; then
        sed -i "s/^NodeName=n1 /&Gres=gpu:$gpus /" "$conf"
        echo "GresTypes=gpu" >>"$conf"
        # Slurm wants a character device for each; nothing is done with them.
        local devices=(/dev/null /dev/zero /dev/full /dev/random)
        [ "$gpus" -le ${#devices[@]} ] || die "at most ${#devices[@]} GPUs"
        printf 'Name=gpu File=%s\n' "${devices[@]:0:gpus}" >"$dir/gres.conf"
    fi
    # Nothing here uses control groups, but slurmd looks for version 2 and ends where none is mounted (a bare chroot).
    [ -e /sys/fs/cgroup/cgroup.controllers ] || echo "CgroupPlugin=cgroup/v1" >"$dir/cgroup.conf"
    # Only the loopback interface, where the host's name says so; with another address steps would hang.
    [ "$address" != 127.0.0.1 ] || echo "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny" >>"$conf"
}

node_is_idle() { [ "$(SLURM_CONF=$conf timeout 3 sinfo -h -t idle -o %D 2>/dev/null)" = 1 ]; }

start() {
    check_machine
    [ ! -e "$dir/slurmctld.pid" ] || ! running "$(cat "$dir/slurmctld.pid")" || die "runs already in $dir"
    mkdir -p "$dir"/{state,spool,tmp,log}
    chmod 755 "$dir" "$dir/log"
    write_prolog
    write_conf
    (umask 077 && head -c 128 /dev/urandom >"$dir/munge.key")
    munged --origin=127.0.0.1 --socket="$dir/munge.sock" --key-file="$dir/munge.key" --log-file="$dir/log/munged.log" \
        --pid-file="$dir/munged.pid" --seed-file="$dir/munged.seed" --num-threads=1 >&2 || impossible "munged: see $dir/log"
    # In no job of another cluster, and with nothing of ours kept open by the daemons.
    env -u SLURM_JOB_ID slurmctld -f "$conf" </dev/null >"$dir/log/slurmctld.out" 2>&1 || impossible "slurmctld: see $dir/log"
    env -u SLURM_JOB_ID slurmd -N n1 -f "$conf" </dev/null >"$dir/log/slurmd.out" 2>&1 || impossible "slurmd: see $dir/log"
    wait_until 10 node_is_idle || impossible "the node did not become idle within 10 s: see $dir/log"
    echo "export SLURM_CONF=$conf"
}

# stop_daemon NAME: politely, then not
stop_daemon() {
    local pid
    pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 0
    running "$pid" || return 0
    kill "$pid"
    gone() { ! running "$pid"; }
    wait_until 10 gone || kill -9 "$pid" || true
}

no_jobs() { [ -z "$(SLURM_CONF=$conf timeout 3 squeue -h 2>/dev/null)" ]; }

stop() {
    [ -e "$conf" ] || die "nothing was started in $dir"
    if [ -e "$dir/slurmctld.pid" ] && running "$(cat "$dir/slurmctld.pid")"; then
        SLURM_CONF=$conf timeout 5 squeue -h -o %A | sort -u | SLURM_CONF=$conf timeout 10 xargs -r scancel || true
        wait_until 10 no_jobs || true
    fi
    stop_daemon slurmd
    stop_daemon slurmctld
    stop_daemon munged   # last: the others cannot be spoken to without it
    rm -f "$dir"/*.pid "$conf"
}

case "$command" in
    start) start ;;
    stop) stop ;;
    *) usage ;;
esac
