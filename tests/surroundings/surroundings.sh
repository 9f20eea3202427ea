#!/usr/bin/env bash
# Surroundings that differ from a developer's machine: a chroot, an unprivileged container, no network, no /dev/shm, a host whose
# name does not resolve, no home, a read-only /tmp, other locales, odd working folders, umask 077, no terminal, no stdin ...
# In each of them a user's day (everyday.sh) must go well; with --suite, tests must pass there or be skipped with a reason.
# What this machine cannot make is skipped aloud.
#
#   surroundings.sh XBENCH                           a user's day in all of them, about 20 s; a test of the suite
#   surroundings.sh XBENCH NAME...                   in these
#   surroundings.sh --suite BUILD [NAME...]          the tests of a build folder that depend on the surroundings; some minutes
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# What depends on files, users, processes, launchers or the machine.
suite='^(Launch|RunProcess|SweepRun|DurableFile|Files|Interrupt|Hardware|CpuQuota|LaunchedBy|Import|Account|Checkpoint|Progress|CommShm|Resume|Record)\.|^(bench|data|eval)\.|^(two_hosts|connecting|killed_rank|bundle|slurm\.)|^house\.'
build=
if [ "${1:-}" = --suite ]; then
    build=$(cd "$2" && pwd) xbench=$build/xbench
    shift 2
else
    xbench=$(readlink -f "${1:?name the program}")
    shift
fi
wanted=" $* "
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
scratch=$(mktemp -d)
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
failures=0 skipped=0 done=0

# work [FOLDER] [refused=...]: what is done in the surroundings; its words are exported, as most of them start a shell
cat >"$scratch/work" <<WORK
#!/usr/bin/env bash
if [ -n "$build" ]; then
    # ctest's own files beside the work, as a user may not write into the build folder
    cd "\${1:-.}" && echo 'subdirs("$build")' >CTestTestfile.cmake &&
        exec ctest --test-dir . --output-on-failure --timeout 200 -j 2 -R '$suite'
fi
cd "\${1:-.}" && exec bash "$here/everyday.sh" "$xbench" "\${2:-}"
WORK
chmod 755 "$scratch/work"

# place NAME: a fresh working folder that everybody may write
place() { mkdir -p "$scratch/in" && mkdir -m 777 "$scratch/in/$1" && echo "$scratch/in/$1"; }

# surroundings NAME NEEDS COMMAND...: NEEDS, a command, says whether this machine can make them
surroundings() {
    local name=$1 needs=$2 status=0
    shift 2
    [ "$wanted" = "  " ] || case "$wanted" in *" $name "*) ;; *) return ;; esac
    if ! bash -c "$needs" >"$scratch/needs" 2>&1; then
        echo "skipped $name: this machine cannot make it: $needs: $(tail -n 1 "$scratch/needs")"
        skipped=$((skipped + 1))
        return
    fi
    done=$((done + 1))
    "$@" >"$scratch/log" 2>&1 || status=$?
    grep -a '^skipped' "$scratch/log" | sed "s/^/$name: /"
    [ -z "$build" ] || sed -n "/tests passed/s/^/$name: /p" "$scratch/log"
    if [ $status != 0 ]; then
        echo "FAILED in $name (exit code $status):"
        [ -z "$build" ] || grep -a -A 15 '\*\*\*\(Failed\|Timeout\|Exception\)' "$scratch/log"
        tail -n 30 "$scratch/log"
        failures=$((failures + 1))
    fi
}
inside() { bash -c "$1" _ "$scratch/work" "${@:2}"; }

as_root='[ "$(id -u)" = 0 ]'
mounts="$as_root && unshare --mount true"

surroundings plain true "$scratch/work" "$(place plain)"

# A root folder that is no mount, without /proc and /sys, for a root without the right to mount.
in_chroot() {
    unshare --mount bash -c '
        root=$1/root && mkdir -p "$root"/{dev,proc,tmp,run} && chmod 1777 "$root/tmp"
        for folder in /usr /etc /bin /sbin /lib /lib64 /var /opt "$2" "$3" "$1/in"; do
            [ -e "$folder" ] || continue
            if [ -L "$folder" ]; then cp -P "$folder" "$root$folder"; else
                mkdir -p "$root$folder" && mount --rbind "$folder" "$root$folder"; fi
        done
        for node in null zero full random urandom; do touch "$root/dev/$node" && mount --bind /dev/$node "$root/dev/$node"; done
        mkdir "$root/dev/shm" && chmod 1777 "$root/dev/shm"
        cp "$1/work" "$root/what-is-done"
        shift 3
        TMPDIR=/tmp exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin chroot "$root" /what-is-done "$@"
    ' _ "$scratch" "$(dirname "$xbench")" "${here%/tests/*}" "$@"
}
surroundings chroot "$mounts && setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin true" in_chroot "$(place chroot)"
surroundings user_namespace "$as_root && setpriv --reuid=65534 --regid=65534 --clear-groups test -x '$xbench' &&
    setpriv --reuid=65534 --regid=65534 --clear-groups unshare --user --map-root-user true" \
    setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "TMPDIR=$(place user_namespace_tmp)" \
    unshare --user --map-root-user "$scratch/work" "$(place user_namespace)"
surroundings ordinary_user "$as_root && setpriv --reuid=65534 --regid=65534 --clear-groups test -x '$xbench'" \
    setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "$scratch/work" "$(place ordinary_user)"
surroundings no_network "$as_root && unshare --net true" unshare --net "$scratch/work" "$(place no_network)"
surroundings loopback_alone "$as_root && unshare --net ip link set lo up" \
    unshare --net bash -c 'ip link set lo up && exec "$@"' _ "$scratch/work" "$(place loopback_alone)"

# with_shm OPTIONS: another /dev/shm
with_shm() { unshare --mount bash -c 'mount -t tmpfs -o "$1" tmpfs /dev/shm && shift && exec "$@"' _ "$1" "$scratch/work" "$2"; }
surroundings read_only_shm "$mounts" with_shm ro "$(place read_only_shm)"
surroundings shm_of_64_mib "$mounts" with_shm size=64m "$(place shm_of_64_mib)"
without_shm() {
    unshare --mount bash -c 'mkdir "$1/dev" && mount -t tmpfs tmpfs "$1/dev" &&
        for node in null zero full random urandom tty; do touch "$1/dev/$node" && mount --bind /dev/$node "$1/dev/$node"; done
        ln -s /proc/self/fd "$1/dev/fd" && mount --rbind "$1/dev" /dev && exec "$2" "$3"' _ "$scratch" "$scratch/work" "$1"
}
surroundings no_shm "$mounts" without_shm "$(place no_shm)"
surroundings unresolvable_host "$as_root && unshare --uts true" \
    unshare --uts bash -c 'hostname no-such-host.invalid && exec "$@"' _ "$scratch/work" "$(place unresolvable_host)"

surroundings no_home true env -u HOME "$scratch/work" "$(place no_home)"
surroundings read_only_home true env HOME=/proc "$scratch/work" "$(place read_only_home)"
read_only_tmp() {
    mkdir -p "$scratch/elsewhere with space"
    unshare --mount bash -c 'mount --bind "$1" "$1" && mount --rbind /tmp /tmp && mount -o remount,bind,ro /tmp &&
        TMPDIR="$1/elsewhere with space" exec "$2" "$3"' _ "$scratch" "$scratch/work" "$1"
}
surroundings read_only_tmp "$mounts && case '$scratch' in /tmp/*) ;; *) echo 'the scratch folder is not below /tmp'; false ;; esac" \
    read_only_tmp "$(place read_only_tmp)"
surroundings locale_c true env LC_ALL=C LANG=C "$scratch/work" "$(place locale_c)"
surroundings locale_that_is_not_there true env LC_ALL=xx_YY.UTF-8 "$scratch/work" "$(place locale_that_is_not_there)"
surroundings folder_with_spaces true "$scratch/work" "$(place "a folder with 'spaces' and \$signs")"
surroundings folder_not_utf8 true "$scratch/work" "$(place "$(printf 'caf\xe9')")" refused=train,eval,predict,predict_files,info,synth,import,sweep
surroundings umask_077 true bash -c 'umask 077 && exec "$@"' _ "$scratch/work" "$(place umask_077)"
surroundings no_terminal 'command -v setsid' setsid --wait "$scratch/work" "$(place no_terminal)"
surroundings stdin_closed true bash -c 'exec "$@" <&-' _ "$scratch/work" "$(place stdin_closed)"
surroundings bare_environment true env -i PATH=/usr/bin:/bin OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    "$scratch/work" "$(place bare_environment)"
unreadable_path() {
    mkdir -m 700 "$scratch/mine"
    setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "PATH=$scratch/mine:/nonexistent::$PATH" "$scratch/work" "$1"
}
surroundings unreadable_folder_on_path "$as_root && setpriv --reuid=65534 --regid=65534 --clear-groups test -x '$xbench'" \
    unreadable_path "$(place unreadable_folder_on_path)"
surroundings few_open_files true bash -c 'ulimit -n 64 && exec "$@"' _ "$scratch/work" "$(place few_open_files)"
surroundings one_core 'command -v taskset' taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')" "$scratch/work" "$(place one_core)"
surroundings thread_limit true env OMP_THREAD_LIMIT=1 OMP_NUM_THREADS=3 OMP_DYNAMIC=true "$scratch/work" "$(place thread_limit)"

echo "$done surroundings, $skipped skipped, $failures failed"
[ $failures = 0 ] || exit 1
[ $done -gt 0 ] || exit 77
