#!/bin/bash
# The archive of scripts/bundle.sh in a root folder of its own that holds busybox and nothing else, no C library and no MPI: doctor
# runs, and one process and two ranks under the archive's mpirun end with the same weights.
#
#   bundle_test.sh SOURCE_DIR BUILD_DIR
set -u
source=$1 build=$2
skip() { echo "$1" && exit 77; }
[ "$(id -u)" = 0 ] || skip "only root can change the root folder"
busybox=$(command -v busybox) || skip "no busybox here; scripts/install_deps.sh --tests installs it"
file_is_static() { ! ldd "$busybox" >/dev/null 2>&1; }
file_is_static || skip "$busybox needs a C library; install busybox-static"
unshare --mount --pid --fork true 2>/dev/null || skip "this kernel or container allows no mount namespaces"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAILED: $1"
    tail -n 20 "$folder/log"
    exit 1
}
"$source/scripts/bundle.sh" "$build" "$folder/bundle.tar.gz" >"$folder/log" 2>&1 || fail "making the archive"
size=$(tail -n 1 "$folder/log" | sed 's/.*gz: //')
bare=$folder/bare
mkdir -p "$bare"/{bin,proc,sys,dev,tmp,somewhere}
tar -C "$bare/somewhere" -xzf "$folder/bundle.tar.gz"
cp "$busybox" "$bare/bin/busybox"
for name in sh env dirname readlink cat ls; do ln -s busybox "$bare/bin/$name"; done
cat >"$bare/run.json" <<'JSON'
{"name": "bare", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 150, "size": 24}},
 "train": {"batch_size": 16, "epochs": 2}}
JSON
# inside COMMAND: a line for the shell of the bare root, with the archive's bin folder as $bin
inside() {
    unshare --mount --pid --fork --mount-proc sh -c '
        mount --bind /proc "$0/proc" && mount --rbind /sys "$0/sys" && mount --rbind /dev "$0/dev" &&
        exec chroot "$0" /bin/env -i PATH=/bin HOME=/tmp OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 \
            OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 /bin/sh -c "$1"' "$bare" "bin=\$(echo /somewhere/*/bin); $1" >"$folder/log" 2>&1
}
inside '$bin/xbench doctor' || fail "doctor"
grep -q '^ok     mpirun' "$folder/log" || fail "doctor finds no mpirun"
inside '$bin/xbench train --config run.json --out serial --quiet' || fail "one process"
inside '$bin/mpirun -n 2 --bind-to none --oversubscribe $bin/xbench train --config run.json --trainer cpu_ddp --out ranks --quiet' ||
    fail "two ranks"
cmp "$bare/serial/checkpoints/last.safetensors" "$bare/ranks/checkpoints/last.safetensors" || fail "other weights on two ranks"
tr -d ' \n' <"$bare/ranks/env.json" | grep -qF '"command_line":["/somewhere/' || fail "the command line in env.json"
echo "$size: doctor, one process and two ranks, in a root folder with busybox alone"
