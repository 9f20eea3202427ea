#!/bin/bash
# gpu_ddp and sharded without MPI: ranks that a script starts, which meet by a file and sum over the double of NCCL, on emulated GPUs.
# The weights are those of one GPU. Then what the others do when a rank does not come, hangs, is killed, or when NCCL says an error:
# each ends within the time limit, with a line that names rank, step, operation and bytes.
# gpu_no_mpi_test.sh XBENCH EMULATOR
set -u
xbench=$1 emulator=$2
folder=$(mktemp -d)
ranks=()
trap 'kill -9 "${ranks[@]}" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder" || exit 1
unset SLURM_JOB_ID XBENCH_JOB
export LD_LIBRARY_PATH=$emulator XBENCH_EMULATED_GPUS=3
cat >job.json <<'JSON'
{"name": "job", "model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "data": {"synthetic": {"count": 120, "size": 24}},
 "train": {"batch_size": 16, "epochs": 2}}
JSON
fail() {
    echo "FAILED: $*"
    tail -n 5 ./*.log
    exit 1
}
# start RANKS OPTIONS...: the log of each is RANK.log
start() {
    local count=$1 rank
    shift
    ranks=()
    rm -rf out ./*.log
    for ((rank = 0; rank < count; ++rank)); do
        RANK=$rank WORLD_SIZE=$count LOCAL_RANK=$rank LOCAL_WORLD_SIZE=$count \
            "$xbench" train --config job.json --quiet --out out "$@" >$rank.log 2>&1 &
        ranks+=($!)
    done
}
ended() {
    local code=0 rank
    for rank in "${ranks[@]}"; do wait "$rank" || code=$?; done
    return $code
}
hash_of() { grep -o '"weights_hash":"[0-9a-f]*"' "$1/records.jsonl"; }

"$xbench" train --config job.json --device cuda --quiet --out one >one.txt 2>&1 || fail "one GPU"
for way in "2 --trainer gpu_ddp" "3 --trainer gpu_ddp" "2 --trainer sharded --device cuda --stage 3"; do
    # shellcheck disable=SC2086
    start $way
    ended || fail "$way: exit code $?"
    [ "$(hash_of out)" = "$(hash_of one)" ] || fail "$way: other weights than one GPU"
    grep -q '"communicator":"nccl"' out/records.jsonl || fail "$way: not over NCCL"
    grep -q '"overlap":"stream"' out/records.jsonl || fail "$way: no order of its own"
    ! grep -q '^emulated GPU:' ./*.log || fail "$way: a report of the emulated GPU"
done
[ -z "$(find . -name '.xbench-ranks-*')" ] || fail "a file of the meeting stays behind"

# On a machine of two NUMA nodes, in hwloc's form, GPU 0 hangs on the second core and GPU 1 on the first. Ranks that each see their own
# GPU alone, as with --gpus-per-task=1, tell each other, and run beside them; the record says it.
node() { # NUMBER CPU BUS
    local sets="cpuset=\"0x0000000$((1 << $2))\" complete_cpuset=\"0x0000000$((1 << $2))\" nodeset=\"0x0000000$((1 << $1))\" complete_nodeset=\"0x0000000$((1 << $1))\""
    cat <<XML
<object type="Package" os_index="$1" $sets gp_index="${1}10"><object type="NUMANode" os_index="$1" $sets gp_index="${1}11" local_memory="1048576"/>
<object type="Core" os_index="$1" $sets gp_index="${1}12"><object type="PU" os_index="$2" $sets gp_index="${1}13"/></object>
<object type="Bridge" gp_index="${1}14" bridge_type="0-1" depth="0" bridge_pci="0000:[$3-$3]">
<object type="PCIDev" gp_index="${1}15" pci_busid="0000:$3:00.0" pci_type="0302 [10de:2330] [10de:16c1] a1" pci_link_speed="15.75"/></object></object>
XML
}
{
    echo '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology version="2.0">'
    echo '<object type="Machine" os_index="0" cpuset="0x00000003" complete_cpuset="0x00000003" allowed_cpuset="0x00000003" nodeset="0x00000003" complete_nodeset="0x00000003" allowed_nodeset="0x00000003" gp_index="1">'
    node 0 0 02
    node 1 1 01
    echo '</object></topology>'
} >topology.xml
if [[ "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)" =~ ^0-[1-9] ]]; then
    ranks=()
    for rank in 0 1; do
        HWLOC_XMLFILE=topology.xml HWLOC_THISSYSTEM=1 CUDA_VISIBLE_DEVICES=$rank RANK=$rank WORLD_SIZE=2 LOCAL_RANK=$rank LOCAL_WORLD_SIZE=2 \
            "$xbench" train --config job.json --quiet --out beside --trainer gpu_ddp --set train.epochs=1 >$rank.log 2>&1 &
        ranks+=($!)
    done
    ended || fail "ranks that each see one GPU"
    for place in 1:01 0:02; do
        grep -q "\"cpuset\":\"${place%:*}\",\"bound\":true,\"oversubscribed\":false,\"gpu\":\"0000:${place#*:}:00.0\",\"cpuset_near_gpu\":\"${place%:*}\"" \
            beside/records.jsonl || fail "not beside their GPUs: $(grep -o '"per_rank":[^]]*' beside/records.jsonl)"
    done
fi

# The collectives, checked, in nccl-tests' columns and without times.
"$xbench" comm --device cuda --ranks 3 -b 4K -e 128K -f 32 --rounds 1 >comm.txt 2>&1 || fail "comm: $(tail -n 1 comm.txt)"
[ "$(grep -oE 'emulated +0' comm.txt | wc -l)" = 30 ] || fail "comm: not 5 operations of 2 sizes on 3 ways, emulated and right"
grep -qE '#wrong.*nccl' <<<"$(tr '\n' ' ' <comm.txt)" || fail "comm: no way over NCCL"
"$xbench" comm --device cuda --ranks 2 -b 4K -e 4K --op sendrecv --json >comm.txt 2>&1 || fail "comm --json"
[ "$(grep -c '"time_us":null.*"emulated":true' comm.txt)" = 3 ] || fail "comm --json has times of an emulated GPU"
"$xbench" comm --device cuda --ranks 4 >comm.txt 2>&1 && fail "comm on more ranks than GPUs"
grep -q 'this machine has 3' comm.txt || fail "comm does not say how many GPUs there are"

# A rank that never comes.
RANK=0 WORLD_SIZE=2 LOCAL_RANK=0 LOCAL_WORLD_SIZE=2 timeout 20 "$xbench" train --config job.json --quiet --out out --overwrite \
    --trainer gpu_ddp --set train.collective_timeout_seconds=1 >0.log 2>&1
[ $? = 1 ] || fail "a rank alone"
grep -q 'rank 0 of 2 waited 1 s for rank 1 in connecting' 0.log || fail "a rank that never comes is not named"

# The others' last moments. say RANK WHAT PATTERN: within the limit and a few seconds, one line of rank RANK.
sed -i 's/"epochs": 2/"epochs": 100000, "checkpoint_steps": 1, "collective_timeout_seconds": 2/' job.json
begin() {
    local tries
    start 2 --trainer gpu_ddp "$@"
    for ((tries = 0; tries < 300; ++tries)); do
        compgen -G "out/checkpoints/step-*/manifest.json" >/dev/null && return 0
        kill -0 "${ranks[0]}" 2>/dev/null || return 0
        sleep 0.1
    done
    fail "no step within 30 s"
}
says() {
    local rank=$1 what=$2 pattern=$3 since=$SECONDS code
    wait "${ranks[$rank]}"
    code=$?
    [ $code = 1 ] || fail "$what: exit code $code"
    [ $((SECONDS - since)) -le 10 ] || fail "$what: rank $rank went on for $((SECONDS - since)) s"
    grep -m 1 -E "^xbench train, rank $rank: .*$pattern" $rank.log || fail "$what: no line that says it"
    [ "$(grep -c '^xbench' $rank.log)" = 1 ] || fail "$what: not one line"
}
where='in ([a-z_]+|the recorded collectives) of [0-9]+ (bytes|KiB|MiB) at step [0-9]+'

for dead in 1 0; do
    begin
    kill -9 "${ranks[$dead]}"
    says $((1 - dead)) "rank $dead is killed" "(rank $dead (has ended|\(process [0-9]+\) is dead); rank $((1 - dead)) waited for it|remote process exited or there was a network error,) $where"
    wait "${ranks[$dead]}" 2>/dev/null
done

begin
kill -STOP "${ranks[1]}"
says 0 "rank 1 hangs" "rank 0 waited 2 s .*$where"
kill -9 "${ranks[1]}"
wait "${ranks[1]}" 2>/dev/null

XBENCH_NCCL_ERROR=1:150:1 begin
says 1 "NCCL's error" "unhandled cuda error, $where: an error that was asked for"
wait "${ranks[0]}"
[ $? = 1 ] || fail "the peer of a rank with an error does not end with 1"

# Both wait, and who is the first to say so ends the other.
XBENCH_NCCL_ERROR=1:150:0 begin
since=$SECONDS
for rank in 0 1; do
    wait "${ranks[$rank]}"
    [ $? = 1 ] || fail "an operation that hangs: rank $rank does not end with 1"
done
[ $((SECONDS - since)) -le 10 ] || fail "an operation that hangs: the ranks went on for $((SECONDS - since)) s"
grep -hE "^xbench train, rank [01]: .*rank [01] waited 2 s .*$where" 0.log 1.log || fail "an operation that hangs: no line that says it"
echo "without MPI, and ended in time"
