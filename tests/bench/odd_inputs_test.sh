#!/usr/bin/env bash
# Odd inputs of many kinds, as a table: what is wrong with a command line, a configuration, an output, weights, a set or an image is
# said in a line that names it, with the exit code that belongs to it; nothing is left behind, nothing dies by a signal, and no
# library's words are shown.
#
#   odd_inputs_test.sh XBENCH
set -uo pipefail
xbench=$1
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
log=$work/log
cd "$work" || exit 1
failures=0 lines=0

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
# odd CODE TEXT ARGUMENTS...: exit code and a part of what is said ("" for anything)
odd() {
    local want=$1 text=$2 code
    shift 2
    lines=$((lines + 1))
    timeout 20 "$xbench" "$@" >"$log" 2>&1 </dev/null
    code=$?
    [ $code = "$want" ] || fail "xbench $(printf '%.120s' "$*"): exit code $code, not $want: $(tail -n 2 "$log" | cut -c 1-300)"
    grep -aqF -- "$text" "$log" || fail "xbench $(printf '%.120s' "$*"): no \"$text\" in: $(tail -n 2 "$log" | cut -c 1-300)"
    ! grep -aqE "what\(\)|terminate called|json\.exception|filesystem error|basic_string|vector::|HDF5-DIAG|should not happen|CLI::" "$log" ||
        fail "xbench $(printf '%.120s' "$*"): a library's words: $(tail -n 2 "$log" | cut -c 1-300)"
}
gone() { [ ! -e "$1" ] && [ ! -L "$1" ] || fail "$1 was left behind"; }
long() { printf "%0$1d" 0; }

cat >good.json <<'JSON'
{"name": "good", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]}, "data": {"synthetic": {"count": 64, "size": 16}},
 "train": {"batch_size": 16}, "sweep": [{"trainer": "serial"}], "scaling": {"repeats": 1}}
JSON
"$xbench" data synth --out set.h5 --count 40 --size 16 --quiet >/dev/null 2>&1 || fail "the set that others need"
"$xbench" train --config good.json --data set.h5 --set data.synthetic=null --out run --quiet >/dev/null 2>&1 || fail "the run that others need"
weights=run/checkpoints/best.safetensors

# 1. Command lines: values that are empty, no number, not finite, too large; words that are mistyped.
odd 2 "--out: is empty" train --config good.json --out ""
odd 2 "--config: is empty" --config ""
odd 2 "--labels: is empty" data import run --labels "" --out x.h5
odd 2 "--model: is empty" eval --checkpoint run --data set.h5 --out x --model ""
odd 2 "--seconds: \"nan\" is not finite" step --model pneumonia_cnn --seconds nan
odd 2 "inf is not finite" kernels --min-time inf
odd 2 "--std: \"nan\" is not finite" predict --checkpoint run --data set.h5 --out x.csv --std nan
odd 2 "--factor: \"nan\" is not finite" comm -f nan
odd 2 "1 is no step from one size to the next" comm -f 1
odd 2 "1.0000001 is no step" comm -f 1.0000001
odd 2 "begins above the largest" comm -b 1M -e 1K
odd 2 "is no size" comm -b -5
odd 2 "is no size" comm -e 99999999999999999999G
odd 2 "--threads" train --config good.json --threads 100000
odd 2 "--threads" data import run --out x.h5 --threads -1
odd 2 "--ranks" comm --ranks 2000000000
odd 2 "--epochs" train --config good.json --epochs 99999999999999999999
odd 2 "--batch: 99999999999999999999 is too large" models pneumonia_cnn --memory --batch 99999999999999999999
odd 2 "--epochs" train --config good.json --epochs 1.5
odd 2 "--epochs" train --config good.json --epochs "$(long 100000)x"
odd 2 "did you mean import?" data imprt
odd 2 "did you mean pneumonia_cnn?" models pneumonia_cn
odd 2 "did you mean --trainer?" train --trainr serial
odd 2 "stage" train --config good.json --trainer serial --stage 3
odd 2 "--filter" kernels --list --filter '('
odd 2 "100000 characters" kernels --list --filter "$(long 100000)"
odd 2 "is not OPERATOR=IMPLEMENTATION" step --model pneumonia_cnn --impl conv2d
odd 2 "tset" eval --checkpoint run --data set.h5 --split tset --out x
odd 2 "--val-share" data import run --out x.h5 --val-share nan
odd 2 "--split" data import run --out x.h5 --split nan,1,1
odd 2 "--split" data import run --out x.h5 --split 1e999,1,1
gone x
gone x.h5
gone x.csv

# 2. Configurations: not JSON, too deep, of the wrong shape, with values out of bounds, and settings likewise.
config() { printf '%b' "$2" >"$1.json"; }
config empty ''
config comment '{"model": "pneumonia_cnn", // mine\n "data": {"path": "set.h5"}}'
config comma '{"model": "pneumonia_cnn", "data": {"path": "set.h5"},}'
config quotes "{'model': 'pneumonia_cnn'}"
config list '[1]'
config number '7'
config nothing 'null'
config binary '\x89PNG\r\n\x1a\n\x00\x00'
config latin1 '{"name": "L\xe9sion", "model": "pneumonia_cnn", "data": {"path": "set.h5"}}'
config huge '{"model": "pneumonia_cnn", "data": {"path": "set.h5"}, "train": {"epochs": 1e999}}'
config many '{"model": "pneumonia_cnn", "data": {"synthetic": {"count": 9e18}}}'
printf '{"model": %s' "$(printf '[%.0s' $(seq 20000))" >deep.json
odd 2 "empty.json:1:1" --config empty.json
odd 2 "comment.json:1:" train --config comment.json
odd 2 "comma.json:1:" train --config comma.json
odd 2 "quotes.json:1:" train --config quotes.json
odd 2 "expected an object" train --config list.json
odd 2 "" train --config list.json --set model.name=pneumonia_cnn
odd 2 "expected an object" train --config number.json
odd 2 "" train --config nothing.json
odd 2 "binary.json:1:" train --config binary.json
odd 2 "latin1.json:1:" train --config latin1.json
odd 2 "1e999" train --config huge.json
odd 2 "/data/synthetic/count" train --config many.json
odd 2 "nested" train --config deep.json
odd 2 "is a folder" train --config run
odd 2 "cannot be read" train --config /proc/self/mem
odd 2 "cannot be read" data import run --out x.h5 --labels /proc/self/mem
odd 2 "" train --config good.json --set "model=$(printf '[%.0s' $(seq 30000))"
odd 2 "" train --config good.json --set "model.a.b.c.d.e.f=1"
odd 2 "write key.path=value" train --config good.json --set train.epochs
odd 2 "write key.path=value" train --config good.json --set =3
odd 2 "expected a whole number" train --config good.json --set train.epochs=
odd 2 "did you mean /train/epochs?" train --config good.json --set epochs=3
odd 2 "no such place" train --config good.json --set sweep.7.trainer=serial --set sweep.x=1
odd 2 "" train --config good.json --set 'train=[]'
odd 2 "" train --config good.json --set 'model.widths=[4,4,4000000000000]'
odd 2 "" train --config good.json --set 'data.std=0'
odd 2 "" train --config good.json --set 'train.pos_weight=[1e999]'
odd 2 "did you mean cpu_ddp?" --config good.json --set 'sweep=[{"trainer":"cpu_dpd"}]' --out x
odd 2 "no rows to run" --config good.json --set 'sweep=[]' --out x
gone x

# 3. Sizes that no memory holds.
(ulimit -v 4000000
odd 1 "cannot allocate" train --config good.json --set model.widths=[4,65536,65536] --out x
odd 1 "not enough memory" data synth --out x.h5 --count 100000000 --size 64
exit $failures) || failures=$((failures + $?))
odd 2 "" data synth --out x.h5 --count 99999999999999999 --size 64
odd 2 "" data synth --out x.h5 --count 0 --size 64
odd 2 "" data synth --out x.h5 --count 8 --size 1000000
odd 2 "" data import run --out x.h5 --size 0
odd 2 "" data import run --out x.h5 --size 1000000
gone x
gone x.h5

# 4. Outputs that must not be replaced or cannot be made: tried before the work, and nothing is touched.
mkdir -p folder closed
mkfifo pipe
echo precious >precious
ln -s precious link
ln -s nowhere dangling
outputs() { # NAME CODE ARGUMENTS... with OUT in the place of the output
    local name=$1 out
    shift
    for out in pipe link dangling folder /dev/null /dev/full /proc/x "$(long 300)" folder/. .. /; do
        timeout 20 "$xbench" "${@//OUT/$out}" >"$log" 2>&1 </dev/null
        local code=$?
        lines=$((lines + 1))
        [ $code = 2 ] || [ $code = 1 ] || fail "$name --out $(printf %.30s "$out"): exit code $code: $(tail -n 1 "$log" | cut -c 1-200)"
        ! grep -aqE "what\(\)|json\.exception|filesystem error|should not happen" "$log" || fail "$name --out $out: $(tail -n 1 "$log")"
        [ "$(wc -l <"$log")" -le 3 ] || fail "$name --out $out: the work was begun: $(head -n 3 "$log")"
    done
}
outputs "data synth" data synth --out OUT --count 8 --size 16
outputs predict predict --checkpoint run --data set.h5 --out OUT
outputs "kernels --json" kernels --op flatten --min-time 0.001 --repetitions 1 --json OUT
outputs "kernels --passport" kernels --op flatten --min-time 0.001 --repetitions 1 --passport OUT
for out in pipe precious link /dev/null /proc/x precious/below "$(long 300)"; do
    odd 2 "" train --config good.json --out "$out"
    odd 2 "" --config good.json --out "$out"
    timeout 20 "$xbench" eval --checkpoint run --data set.h5 --out "$out" --quiet >"$log" 2>&1
    code=$?
    [ $code = 1 ] || [ $code = 2 ] || fail "eval --out $out: exit code $code"
done
[ -p pipe ] && [ -L link ] && [ -L dangling ] && [ "$(cat precious)" = precious ] && [ -c /dev/null ] || fail "an output replaced something"
[ -z "$(ls -A folder)" ] || fail "an output left $(ls -A folder)"
odd 1 "absent" eval --checkpoint absent --data set.h5 --out fresh
odd 1 "absent" eval --checkpoint run --data absent.h5 --out fresh
gone fresh
odd 2 "metrics.json" eval --checkpoint run --data set.h5 --out "$(mkdir -p taken/metrics.json && echo taken)"

# 5. Weights: other formats, other names, numbers that are not finite.
python3 - "$weights" <<'PY' || fail "the weights"
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header, body = json.loads(data[8:8 + size]), data[8 + size:]
foreign = {k: v for k, v in header.items() if k != "__metadata__"}
def write(name, header, body=body):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    open(name, "wb").write(struct.pack("<Q", len(text)) + text + body)
def renamed(rule):
    return {rule(k): v for k, v in foreign.items()}
write("plain.safetensors", foreign)
write("ddp.safetensors", renamed(lambda k: "module." + k))
write("compiled.safetensors", renamed(lambda k: "_orig_mod.module." + k))
write("half.safetensors", renamed(lambda k: ("module." if k.startswith("f.0") else "") + k))
first = sorted(k for k in foreign if k.endswith("weight"))[0]
missing = {k: v for k, v in foreign.items()}
begin, end = missing.pop(first)["data_offsets"]
open("nan.safetensors", "wb")
at = foreign[first]["data_offsets"][0]
write("nan.safetensors", foreign, body[:at] + struct.pack("<f", float("nan")) + body[at + 4:])
write("inf.safetensors", foreign, body[:at] + struct.pack("<f", float("inf")) + body[at + 4:])
variance = [k for k in foreign if k.endswith("running_var")][0]
at = foreign[variance]["data_offsets"][0]
write("negative.safetensors", foreign, body[:at] + struct.pack("<f", -4.0) + body[at + 4:])
write("text.safetensors", {**foreign, "__metadata__": {"xbench.model": "{", "xbench.class_names": "7"}})
write("types.safetensors", {**foreign, "__metadata__": {"xbench.model": "[1]", "xbench.class_names": "[]"}})
open("torch.pt", "wb").write(b"PK\x03\x04\x00\x00\x08\x08" + bytes(500))
open("old.pt", "wb").write(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46" + bytes(500))
open("keras.h5", "wb").write(b"\x89HDF\r\n\x1a\n" + bytes(500))
open("short.safetensors", "wb").write(b"1234")
open("none.safetensors", "wb")
open("length.safetensors", "wb").write(struct.pack("<Q", 2**63) + bytes(500))
PY
foreign() { odd "$1" "$2" predict --checkpoint "$3" --model pneumonia_cnn --widths 4,4,4 --data set.h5 --out p.csv; }
foreign 0 "not from xbench" plain.safetensors
cp p.csv plain.csv
foreign 0 "\"module.\" was taken off the names" ddp.safetensors
cmp -s p.csv plain.csv || fail "weights of DistributedDataParallel predict something else"
foreign 0 "\"_orig_mod.module.\" was taken off" compiled.safetensors
cmp -s p.csv plain.csv || fail "weights of a compiled model predict something else"
rm p.csv
foreign 1 "is missing" half.safetensors
foreign 1 "is nan" nan.safetensors
foreign 1 "is inf" inf.safetensors
foreign 1 "" negative.safetensors
foreign 1 "its metadata" text.safetensors
foreign 1 "its metadata" types.safetensors
foreign 1 "is a zip file, as torch.save() and Keras write them; save the weights with safetensors.torch.save_file" torch.pt
foreign 1 "is a pickle" old.pt
foreign 1 "is an HDF5 file" keras.h5
foreign 1 "shorter than 8 bytes" short.safetensors
foreign 1 "shorter than 8 bytes" none.safetensors
foreign 1 "claims" length.safetensors
foreign 1 "no such file" absent.safetensors
foreign 1 "holds 0 .safetensors files" folder
odd 2 "give --model NAME" predict --checkpoint plain.safetensors --data set.h5 --out p.csv
gone p.csv
odd 1 "training step" train --config good.json --set train.optimizer=sgd --set train.learning_rate=1e30 --out diverged
gone diverged/metrics.json

# 6. Sets and images: not HDF5, cut off, a folder without images, files that only look like images.
head -c 3000 set.h5 >cut.h5
: >empty.h5
echo text >text.h5
for set in cut.h5 empty.h5 text.h5 folder absent.h5 /dev/null pipe.h5; do
    [ "$set" != pipe.h5 ] || mkfifo pipe.h5
    odd 1 "$set" data info "$set"
    odd 1 "$set" eval --checkpoint run --data "$set" --out x
    odd 1 "$set" train --model pneumonia_cnn --data "$set" --out x
done
gone x
mkdir -p images/a images/b
cp set.h5 images/a/really_hdf5.png
: >images/a/empty.png
mkfifo images/a/pipe.png
ln -s loop.png images/a/loop.png
ln -s ../.. images/a/up
head -c 100 /dev/urandom >images/b/noise.jpg
printf '\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x00\x00\x00\x00' >images/b/vast.png
odd 1 "" data import images --out x.h5 --size 16
odd 1 "" predict --checkpoint run --data images --out p.csv
odd 1 "" predict --checkpoint run --data images/a/empty.png --out p.csv
odd 1 "" predict --checkpoint run --data good.json --out p.csv
gone p.csv
gone x.h5

# 7. A run's folder with files of others, or damaged ones.
cp -r run damaged
echo 'no json' >damaged/config.resolved.json
odd 2 "config.resolved.json:1:" train --resume --out damaged
cp run/config.resolved.json damaged/
for record in '{' '[]' '7' '{"schema": "xbench.record/1"}' '{"schema": 3}'; do
    printf '%s\n%s\n' "$record" "$record" >damaged/records.jsonl
    odd 1 "records.jsonl:1" train --resume --out damaged
done
for change in 's/"epochs":1,/"epochs":"many",/' 's/"params":{/"params":[],"was":{/' 's/"cores_shared":[a-z]*/"cores_shared":7/' 's/"trainer":"serial"/"trainer":null/'; do
    sed "$change" run/records.jsonl >damaged/records.jsonl
    cmp -s run/records.jsonl damaged/records.jsonl && fail "$change changes nothing"
    odd 1 "records.jsonl:1" train --resume --out damaged
done
mkdir -p damaged/checkpoints/step-00000009 damaged/checkpoints/step-x damaged/checkpoints/step-00000008
echo '{"schema": "xbench.checkpoint/1"}' >damaged/checkpoints/step-00000009/manifest.json
echo '{' >damaged/checkpoints/step-00000008/manifest.json
rm damaged/records.jsonl
odd 0 "nothing to resume in damaged" train --resume --out damaged

# 8. The working folder was deleted.
mkdir deleted
cd deleted && rmdir ../deleted
odd 1 "working folder" train --config ../good.json --out ../elsewhere 2>/dev/null
odd 0 "" models
odd 0 "" doctor
cd "$work" || exit 1

# 9. Standard streams that are closed, or lie on a full disk.
"$xbench" data synth --out streams.h5 --count 8 --size 16 <&- >&- 2>&- || fail "data synth without standard streams"
"$xbench" data info streams.h5 >"$log" 2>&1 || fail "a report was written into the set: $(tail -n 1 "$log")"
"$xbench" train --config good.json --out streams <&- >&- 2>&- || fail "train without standard streams"
"$xbench" --config good.json --out streams-sweep <&- >&- 2>&- || fail "a sweep without standard streams"
grep -q ',ok,' streams-sweep/scaling.csv || fail "a sweep without standard streams: $(cat streams-sweep/scaling.csv)"
"$xbench" predict --checkpoint run --data set.h5 --out - <&- 2>&- >streams.csv && [ "$(wc -l <streams.csv)" = 41 ] || fail "predict to a pipe without the others"
if [ -w /dev/full ]; then
    for command in "models" "doctor" "models pneumonia_cnn --explain" "predict --checkpoint run --data set.h5 --out -" "--print-schema"; do
        # shellcheck disable=SC2086
        "$xbench" $command >/dev/full 2>"$log"
        code=$?
        [ $code = 1 ] && grep -q "No space left on device\|is the reader gone" "$log" || fail "$command on a full disk: exit code $code: $(tail -n 1 "$log")"
    done
fi

[ $failures = 0 ] && echo "$lines odd inputs, each said rightly"
exit $((failures > 0))
