#!/usr/bin/env bash
# Weights from PyTorch: what `xbench predict` and `xbench eval` give for a state dict that safetensors.torch.save_file() wrote is
# what PyTorch gives for it, for one label, several labels and a model with dropout, with mean and standard deviation of each
# channel. The golden files are make_pytorch.py's.
#
#   pytorch_test.sh XBENCH SOURCE_DIR
set -uo pipefail
xbench=$1 golden=$2/tests/eval/pytorch
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0
fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
# check CASE OPTIONS...
check() {
    local name=$1 want got
    shift
    "$xbench" predict --checkpoint "$golden/$name.safetensors" --data "$golden/$name.h5" --out "$dir/$name.csv" --quiet "$@" ||
        fail "$name: predict"
    # id,label,predicted,p_0.. against id,p_0..: the same images, and probabilities within single precision
    paste -d, "$golden/$name.csv" "$dir/$name.csv" | awk -F, -v name="$name" '
        NR == 1 { k = (NF - 4) / 2; next }
        $1 != $(k + 2) { print name ": another image " $(k + 2); wrong = 1 }
        { for (i = 1; i <= k; ++i) { d = $(i + 1) - $(k + 4 + i); if (d < 0) d = -d; if (d > most) most = d; ++numbers } }
        END { if (wrong || numbers < 20 || most > 2e-6) { print name ": off by " most " in " numbers " numbers"; exit 1 } }' ||
        fail "$name: not what PyTorch predicts"
    "$xbench" eval --checkpoint "$golden/$name.safetensors" --data "$golden/$name.h5" --out "$dir/$name" --quiet "$@" ||
        fail "$name: eval"
    want=$(cat "$golden/$name.loss") got=$(awk -F '[:,]' '/^  "loss"/ { print $2 }' "$dir/$name/metrics.json")
    awk -v a="$want" -v b="${got:-nan}" 'BEGIN { d = (a - b) / a; exit !(d < 2e-6 && d > -2e-6) }' ||
        fail "$name: a loss of $got, PyTorch has $want"
}
check one_label --model pneumonia_cnn --classes c0,c1,c2
check several_labels --model pneumonia_cnn --classes c0,c1,c2,c3 --multilabel --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
check with_dropout --model cifar_cnn --classes 2 --mean 0.4 --std 0.3 --widths 4,4
# A training that starts from them and hardly moves stays where it is.
"$xbench" train --model pneumonia_cnn --data "$golden/one_label.h5" --weights "$golden/one_label.safetensors" --out "$dir/x" \
    --quiet 2>"$dir/log" && fail "a set without a training split was trained on"
grep -q 'no images in split train' "$dir/log" || fail "the missing split is not named: $(cat "$dir/log")"
[ $failures = 0 ] && echo "what PyTorch predicts, in three cases"
exit $((failures > 0))
