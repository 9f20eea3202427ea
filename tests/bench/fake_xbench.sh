#!/bin/sh
# Stands for `xbench train` in the tests of the sweep: writes one raw record whose throughput depends on trainer and ranks.
# FAKE_FAIL, FAKE_HANG, FAKE_SILENT, FAKE_SHARED: shell patterns of the --out folder for which it fails, hangs, leaves no record, or
# says that its ranks share cores. FAKE_HASH=out makes the weights depend on the folder.
trainer=serial threads=1 out=
echo "$*" >> "$FAKE_CALLS"
[ -n "$XBENCH_COPY" ] && echo "$XBENCH_COPY" >> "${FAKE_CALLS%calls}copies"
while [ $# -gt 0 ]; do
    case $1 in
        --trainer) trainer=$2; shift ;;
        --threads) threads=$2; shift ;;
        --out) out=$2; shift ;;
    esac
    shift
done
ranks=${FAKE_RANKS:-1}
case $out in ${FAKE_FAIL:-none}) echo "xbench train, rank 0: the disk is full"; echo "bye"; exit 3 ;; esac
case $out in ${FAKE_HANG:-none}) echo "waiting"; sleep 30 ;; esac
case $out in ${FAKE_SILENT:-none}) exit 0 ;; esac
shared=false
case $out in ${FAKE_SHARED:-none}) shared=true ;; esac
hash=0123456789abcdef0123456789abcdef
[ "$FAKE_HASH" = out ] && hash=$(echo "$out" | cksum | cut -d' ' -f1)
rep=${out##*rep}
rep=${rep%%-*}
case $trainer in
    serial) value=$((1000 + rep)) ;;
    *) value=$((900 * ranks + rep)) ;;
esac
cat > "$out/records.jsonl" <<EOF
{"schema":"xbench.record/1","run_id":"","kind":"rep","bench":"train","params":{"model":"m","trainer":"$trainer","isa":"avx2"},"rep":1,"unit":"images/s","value":$value,"samples_ns":[1,2,3],"per_rank":[{"rank":0,"cpuset":"0"}],"steady":true,"check":{"ok":true,"max_rel_err":null},"counters":{"step_ms":1.5,"exposed_comm_ms":0.25,"rank_skew_ms":0.125,"images_trained":4000,"train_seconds":4,"test_accuracy":0.9,"test_balanced_accuracy":0.85,"test_majority_baseline":0.74,"test_loss":0.3,"cores_shared":$shared},"energy_j":null,"energy_why":"none","env_id":"child","config_sha":"c","data_sha":"d","weights_hash":"$hash"}
EOF
