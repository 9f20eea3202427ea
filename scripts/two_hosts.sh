#!/usr/bin/env bash
# Two hosts on one machine, for trying what ranks do between nodes: two network namespaces joined by a virtual cable, each with a
# host name of its own, so that Open MPI and xbench take them for two nodes that reach each other over TCP only. Half of the
# cores belong to each. Needs root, iproute2 and Open MPI.
#
#   scripts/two_hosts.sh start NAME [RATE]     makes hosts NAME1 and NAME2; RATE limits each direction, as tc writes it: 200mbit
#   scripts/two_hosts.sh run NAME RANKS COMMAND...   RANKS processes on each host, started by mpirun on the first
#   scripts/two_hosts.sh stop NAME
#
# NAME: at most 8 letters. Exit code 77: this cannot work here, with the reason (tests take it for "skipped").
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2; }
impossible() { echo "two_hosts: $1" && exit 77; }

[ $# -ge 2 ] || usage
command=$1 name=$2
[[ $name =~ ^[a-z]{1,8}$ ]] || usage
shift 2
subnet=10.117.7 cable=xb$name

check_machine() {
    [ "$(id -u)" = 0 ] || impossible "only root can make network namespaces"
    local program
    for program in ip tc unshare mpirun; do
        command -v "$program" >/dev/null || impossible "no $program here; scripts/install_deps.sh --tests installs it"
    done
    # ip netns keeps its names in mounts that other namespaces see; a chroot whose root is no mount cannot have them.
    mkdir -p /run/netns 2>/dev/null && unshare --mount sh -c 'mount --make-rslave /' 2>/dev/null ||
        impossible "mounts cannot be made private here (a chroot, or a container without CAP_SYS_ADMIN)"
    ip netns add "$name"1 2>/dev/null || impossible "this kernel or container allows no network namespaces (or $name runs already)"
    ip netns exec "$name"1 true 2>/dev/null || {
        ip netns del "$name"1
        impossible "a network namespace cannot be entered here"
    }
}

start() {
    check_machine
    ip netns add "$name"2
    ip link add "${cable}1" netns "$name"1 type veth peer name "${cable}2" netns "$name"2
    local host
    for host in 1 2; do
        ip -n "$name$host" link set lo up
        ip -n "$name$host" address add "$subnet.$host/24" dev "$cable$host"
        ip -n "$name$host" link set "$cable$host" up
        # The queue holds a quarter of a second: what is sent faster waits and is not lost.
        [ $# = 0 ] || tc -n "$name$host" qdisc add dev "$cable$host" root tbf rate "$1" burst 64kb latency 250ms
    done
}

# The cores of host 1 or 2: half of them, where this shell may use all.
cores_of() {
    local all
    all=$(nproc --all)
    if [ "$all" = 1 ] || [ "$(nproc)" != "$all" ]; then
        taskset -cp $$ | sed 's/.*: //'
    elif [ "$1" = 1 ]; then
        echo "0-$((all / 2 - 1))"
    else
        echo "$((all / 2))-$((all - 1))"
    fi
}

# enter HOST CORES COMMAND...: becomes the command on that host
enter() {
    local host=$1 cores=$2
    shift 2
    exec ip netns exec "$host" taskset -c "$cores" unshare --uts sh -c 'hostname "$0" && exec "$@"' "$host" "$@"
}

run() {
    local ranks=$1
    shift
    agent=$(mktemp)
    trap 'rm -f "$agent"' EXIT
    # In place of ssh to the second host: mpirun gives it the host and a line for that host's shell.
    cat >"$agent" <<AGENT
#!/bin/sh
host=\$1
shift
exec "$(realpath "$0")" enter "$name" "\$host" "$(cores_of 2)" sh -c "\$*"
AGENT
    chmod +x "$agent"
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    (enter "$name"1 "$(cores_of 1)" mpirun --host "${name}1:$ranks,${name}2:$ranks" -n $((2 * ranks)) --bind-to none \
        --oversubscribe --mca plm rsh --mca plm_rsh_agent "$agent" --mca oob_tcp_if_include "$subnet.0/24" \
        --mca btl self,vader,tcp --mca btl_tcp_if_include "$subnet.0/24" "$@")
}

stop() {
    local host status=0
    for host in 1 2; do
        ip netns pids "$name$host" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "$name$host" || status=1
    done
    return $status
}

case "$command" in
    start) start "$@" ;;
    run) [ $# -ge 2 ] || usage && run "$@" ;;
    enter) enter "$@" ;;  # for run alone
    stop) stop ;;
    *) usage ;;
esac
