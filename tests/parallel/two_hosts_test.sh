#!/bin/bash
# Training over two hosts (network namespaces, scripts/two_hosts.sh) ends with the weights of one process: with one rank a host,
# which talk by MPI alone, with two, which also share memory, and with the sharded trainer.
#
#   two_hosts_test.sh XBENCH SOURCE_DIR
set -u
xbench=$1 hosts=$2/scripts/two_hosts.sh
letters=$(tr -dc a-z </dev/urandom | head -c 6)
"$hosts" start "t$letters" || exit $?
folder=$(mktemp -d)
trap '"$hosts" stop "t$letters"; rm -rf "$folder"' EXIT
cat >"$folder/run.json" <<'JSON'
{"name": "hosts", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 150, "size": 24}},
 "train": {"batch_size": 16, "epochs": 2, "collective_timeout_seconds": 30}}
JSON

fail() {
    echo "FAILED: $1"
    tail -n 5 "$folder/log"
    exit 1
}
weights() { sha256sum <"$folder/$1/checkpoints/last.safetensors"; }

"$xbench" train --config "$folder/run.json" --out "$folder/serial" --quiet >"$folder/log" 2>&1 || fail "one process"
# over RANKS_PER_HOST COMMUNICATOR NODES options...
over() {
    local ranks=$1 communicator=$2 nodes=$3 out=$1$4
    shift 3
    "$hosts" run "t$letters" "$ranks" "$xbench" train --config "$folder/run.json" --out "$folder/$out" --quiet --trainer "$@" \
        >"$folder/log" 2>&1 || fail "two hosts with $ranks ranks, $*"
    [ "$(weights "$out")" = "$(weights serial)" ] || fail "other weights on two hosts with $ranks ranks, $*"
    tr -d ' \n' <"$folder/$out/env.json" | grep -qF "\"communicator\":{\"name\":\"$communicator\",\"nodes\":[$nodes]}" ||
        fail "the ranks are not connected as $communicator over nodes $nodes"
}
over 1 mpi 0,1 cpu_ddp
over 2 shm+mpi 0,0,1,1 cpu_ddp
over 2 shm+mpi 0,0,1,1 sharded
echo "2 hosts with 1 and 2 ranks: the weights of one process"
