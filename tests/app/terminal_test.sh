#!/usr/bin/env bash
# On a terminal of 60 columns: progress is rewritten in place and never wraps, a training of 300 epochs does not flood the
# screen, --help fits, and --quiet shows nothing of it.
#
#   terminal_test.sh XBENCH        exit code 77: `script` is not here
set -uo pipefail
xbench=$1 columns=60
command -v script >/dev/null || { echo "no script here, which makes a terminal (bsdutils)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
# on_terminal FILE ARGUMENTS...: what xbench shows there, a line for each time that it begins one
on_terminal() {
    local file=$1
    shift
    script -qefc "stty cols $columns rows 30; exec $xbench $*" /dev/null </dev/null >raw 2>&1 || fail "$*: $(tail -n 3 raw)"
    tr '\r' '\n' <raw | sed 's/\x1b\[[0-9]*K//g' >"$file"
}
wide() { awk -v columns=$columns 'length > columns' "$1" | head -n 1; }

on_terminal synth data synth --out a_set_with_a_long_name.h5 --count 300 --size 24
grep -q '% .* of 300 images' synth || fail "data synth shows no progress"
on_terminal train train --model pneumonia_cnn --data a_set_with_a_long_name.h5 --epochs 300 --set train.batch_size=64 --out run
[ "$(grep -c '^epoch .*/300' train)" -lt 60 ] || fail "300 epochs are $(grep -c '^epoch' train) lines"
grep -q '^epoch 300/300' train || fail "the last epoch is not shown"
grep -q '% .*step' train || fail "train shows no progress"
grep -E '^epoch|%' train >train_lines
[ -z "$(wide train_lines)" ] || fail "train: a line of progress is wider than the terminal: $(wide train_lines)"
grep '%' synth >synth_lines
[ -z "$(wide synth_lines)" ] || fail "data synth: wider than the terminal: $(wide synth_lines)"
on_terminal eval eval --checkpoint run --data a_set_with_a_long_name.h5 --split train --out scores
grep -q '% .*images' eval || fail "eval shows no progress"
on_terminal predict predict --checkpoint run --data a_set_with_a_long_name.h5 --out p.csv
grep -q '% .*images' predict || fail "predict shows no progress"
on_terminal help train --help
sed '/^The run folder/,$d' help >help_options   # the examples stay on one line
[ -z "$(wide help_options)" ] || fail "--help: $(wide help_options)"
on_terminal quiet train --model pneumonia_cnn --data a_set_with_a_long_name.h5 --epochs 2 --out quiet_run --quiet
[ ! -s quiet ] || fail "--quiet shows: $(head -n 2 quiet)"
[ "$failures" = 0 ] || exit 1
echo "synth, train, eval, predict and --help in $columns columns"
