#!/usr/bin/env bash
# The records of results/pneumonia: five seeds of pneumonia_cnn on the Kaggle chest X-rays, and the sweep over serial and two
# ranks. Needs the unpacked images and their table (columns file, class, split_701515, patient_group); takes about 4 minutes.
#
#   scripts/results_pneumonia.sh XBENCH IMAGES LABELS.csv OUT
set -euo pipefail
[ $# = 4 ] || { sed -n '2,5p' "$0" >&2; exit 2; }
xbench=$1 images=$2 labels=$3 out=$4
root=$(dirname "$0")/..
mkdir -p "$out"
"$xbench" data import "$images" --labels "$labels" --size 64 --out "$out/pneumonia64.h5" \
    --columns path=file,label=class,split=split_701515,group=patient_group | tee "$out/import.txt"
for seed in 1 2 3 4 5; do
    "$xbench" train --config "$root/configs/pneumonia_kaggle.json" --set data.path="$out/pneumonia64.h5" --set train.seed="$seed" \
        --out "$out/seed-$seed" --quiet
done
"$xbench" --config "$root/configs/pneumonia_kaggle.json" --set data.path="$out/pneumonia64.h5" --out "$out/sweep"
python3 "$root/scripts/results_pneumonia.py" "$out"
