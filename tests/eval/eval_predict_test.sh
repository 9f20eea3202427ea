#!/usr/bin/env bash
# `xbench eval` and `xbench predict` from a shell: a short training leaves a checkpoint; eval must find the accuracy, loss and
# confusion that the training found, predict the same predictions, for the set and for files in a folder; what does not fit is refused.
#
#   eval_predict_test.sh XBENCH
set -euo pipefail
xbench=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() {
    echo "FAIL: $1"
    exit 1
}
# refused CODE TEXT COMMAND...: the exit code and what the message must say
refused() {
    local code=0 want=$1 text=$2 output
    shift 2
    output=$("$@" 2>&1) || code=$?
    [ "$code" = "$want" ] || fail "exit code $code, not $want: $* ($output)"
    grep -qF -- "$text" <<<"$output" || fail "no '$text' in: $output"
}
# The figures of metrics.json that both must agree on; the loss is summed over batches of another size, hence 10 digits.
figures() { awk -F '[:,]' '/^  "(accuracy|balanced_accuracy|loss|majority_baseline)"/ { printf "%s %.10f\n", $1, $2 }' "$1"; }

"$xbench" data synth --out set.h5 --count 200 --size 32 >/dev/null
"$xbench" train --model pneumonia_cnn --data set.h5 --epochs 2 --set train.batch_size=8 --out run --quiet
"$xbench" eval --checkpoint run --data set.h5 --split test --out ev --threads 2 >ev.txt

[ "$(figures ev/metrics.json)" = "$(figures run/metrics.json)" ] || fail "eval's figures are not those of the training"
[ "$(figures ev/metrics.json | wc -l)" = 4 ] || fail "metrics.json lacks a figure"
cmp -s ev/confusion_matrix.csv run/confusion_matrix.csv || fail "another confusion matrix"
cmp -s ev/classification_report.txt run/classification_report.txt || fail "another report"
grep -q '"roc_auc": [0-9.]*' ev/metrics.json || fail "no roc_auc"
python3 - ev/metrics.json <<'PY' || fail "metrics.json lacks intervals, thresholds or calibration"
import json, sys
m = json.load(open(sys.argv[1]))
low, high = m["bootstrap"]["scores"]["accuracy"]["interval"]
assert low <= m["accuracy"] <= high and low < high, (low, high)
for name in ("normal", "pneumonia"):
    low, high = m["bootstrap"]["scores"][name + " roc_auc"]["interval"]
    assert abs(m["bootstrap"]["scores"][name + " roc_auc"]["value"] - m["curves"][name]["roc_auc"]) < 1e-12
    assert 0 < m["at_thresholds"]["classes"][name]["threshold"] < 1
assert 0 <= m["calibration"]["top class"]["ece_15_equal_bins"] <= 1
PY
grep -q "roc_auc  *0[.]" ev/intervals.txt && grep -q "^top class,equal width," ev/calibration.csv || fail "no intervals or bins"
head -n 1 ev/roc.csv | grep -q '^class,threshold,' && head -n 1 ev/pr.csv | grep -q '^class,threshold,' || fail "no curves"
"$xbench" eval --checkpoint run/checkpoints/best.safetensors --data set.h5 --split val --out ev_val >/dev/null
cmp -s ev/metrics.json ev_val/metrics.json && fail "val and test cannot be equal"

"$xbench" predict --checkpoint run/checkpoints --data set.h5 --split test --out test.csv >/dev/null
"$xbench" predict --checkpoint run/checkpoints --data set.h5 --out all.csv --threads 1 >/dev/null
[ "$(head -n 1 all.csv)" = "id,label,predicted,p_0,p_1" ] || fail "header of all.csv"
[ "$(wc -l <all.csv)" = 201 ] || fail "all.csv has no row for each image"
count=$(grep -o '"count": [0-9]*' ev/metrics.json | head -n 1 | tr -dc 0-9)
[ "$(wc -l <test.csv)" = $((count + 1)) ] || fail "test.csv has no row for each image of the split"
while read -r row; do grep -qxF "$row" all.csv || fail "other numbers for $row"; done <test.csv
awk -F , 'NR > 1 { s = $4 + $5; if (s < .99999 || s > 1.00001 || $3 != ($4 >= $5 ? "normal" : "pneumonia")) exit 1 }' all.csv ||
    fail "probabilities do not add up, or what is predicted is not the most probable class"

cmp -s test.csv ev/predictions.csv || fail "eval's predictions.csv is not what predict gives"
right=$(awk -F , 'NR > 1 && $2 == $3' test.csv | wc -l)
[ "$(awk -v n="$count" -v r="$right" 'BEGIN { printf "%.10f", r / n }')" = "$(figures ev/metrics.json | grep '"accuracy"' | awk '{ print $2 }')" ] ||
    fail "the labels of test.csv are not the truth"

# Weights of others, without metadata: as safetensors.torch.save_file(model.state_dict()) writes them.
python3 - run/checkpoints/best.safetensors torch.safetensors <<'PY' || fail "no Python"
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
del header["__metadata__"]
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + size:])
PY
refused 2 "give --model NAME" "$xbench" predict --checkpoint torch.safetensors --data set.h5 --out x.csv
refused 2 "did you mean pneumonia_cnn?" "$xbench" predict --checkpoint torch.safetensors --model pneumonia_cn --data set.h5 --out x.csv
refused 1 "these weights are not those of cifar_cnn" "$xbench" predict --checkpoint torch.safetensors --model cifar_cnn --data set.h5 --out x.csv
refused 2 "says itself: pneumonia_cnn" "$xbench" predict --checkpoint run --model cifar_cnn --data set.h5 --out x.csv
"$xbench" predict --checkpoint torch.safetensors --model pneumonia_cnn --classes 2 --data set.h5 --out torch.csv --quiet
cmp -s torch.csv all.csv || fail "the same weights without metadata predict something else"
"$xbench" eval --checkpoint torch.safetensors --model pneumonia_cnn --data set.h5 --out ev_torch 2>note.txt >/dev/null
grep -q "not from xbench" note.txt || fail "no note on weights without a hash"
cmp -s ev_torch/confusion_matrix.csv ev/confusion_matrix.csv || fail "the same weights without metadata are worth something else"
"$xbench" train --model pneumonia_cnn --data set.h5 --weights torch.safetensors --set train.learning_rate=1e-30 --set model.bn_momentum=0 --out start --quiet
grep -q '"weights": "/.*torch.safetensors"' start/config.resolved.json || fail "the start is not in the resolved configuration"
"$xbench" predict --checkpoint start --data set.h5 --out start.csv --quiet
[ "$(cut -d, -f1-3 start.csv)" = "$(cut -d, -f1-3 all.csv)" ] || fail "a training that does not move does not start from --weights"
refused 1 "these weights are not those of cifar_cnn" "$xbench" train --model cifar_cnn --data set.h5 --weights torch.safetensors --out x --quiet

# A flipped bit in the numbers, and one in a class name.
cp run/checkpoints/best.safetensors flipped.safetensors
printf '\xff' | dd of=flipped.safetensors bs=1 seek=$(($(wc -c <flipped.safetensors) - 3)) conv=notrunc 2>/dev/null
refused 1 "damaged: the hash of its numbers" "$xbench" eval --checkpoint flipped.safetensors --data set.h5 --out x
sed 's/pneumonia\\"\]/pneumonja\\"]/' run/checkpoints/best.safetensors >flipped.safetensors
refused 1 "damaged: the hash of its header" "$xbench" predict --checkpoint flipped.safetensors --data set.h5 --out x.csv

refused 1 "no such file" "$xbench" eval --checkpoint absent --data set.h5 --split test --out x
refused 2 "" "$xbench" eval --checkpoint run --data set.h5 --split tset --out x
"$xbench" data synth --out big.h5 --count 20 --size 48 >/dev/null
refused 1 "import them with --size 32 --channels 1" "$xbench" predict --checkpoint run --data big.h5 --out x.csv
refused 1 "import them with --size 32 --channels 1" "$xbench" eval --checkpoint run --data big.h5 --out x
head -c 5000 run/checkpoints/best.safetensors >cut.safetensors
rm -rf x x.csv
refused 1 "cut.safetensors" "$xbench" eval --checkpoint cut.safetensors --data set.h5 --out x

# A folder: one good image (a gray 2x2 PNG), one file that is none.
mkdir -p folder/sub
printf 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGNgaGBo+A8ABAUCAFfUMz8AAAAASUVORK5CYII=' | base64 -d >folder/sub/one.png
echo text >folder/two.png
"$xbench" predict --checkpoint run --data folder --out folder.csv 2>folder.log >/dev/null || fail "a folder: $(cat folder.log)"
[ "$(wc -l <folder.csv)" = 2 ] && grep -q '^sub/one.png,' folder.csv || fail "folder.csv: $(cat folder.csv)"
grep -q 'left out two.png' folder.log || fail "the broken file is not named"
echo "eval and predict agree with the training"
