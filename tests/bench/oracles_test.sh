#!/usr/bin/env bash
# What other people's tools say of ours: each export of the sample run is read by the tool that it is for; change points by
# ruptures and two-class scores by mlscorecheck are compared with ours. Exit code 77, with the reason, without the environment
# that scripts/oracles.sh makes.
#
#   oracles_test.sh XBENCH TEST_BENCH SOURCE
set -euo pipefail
xbench=$1 test_bench=$2 source=$3
python=$source/.deps/oracles/bin/python
if [ ! -x "$python" ]; then
    echo "skipped: no oracles here (scripts/oracles.sh makes .deps/oracles)"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for format in google-benchmark mllog extrap extrap-jsonl openmetrics csv talp; do
    "$xbench" report "$source/tests/bench/sample_run" --export $format --out "$folder" >/dev/null
done
"$xbench" report "$source/tests/bench/sample_run" --out "$folder" >/dev/null
"$python" "$source/tests/bench/oracles/exports_check.py" "$folder" "$source/tests/bench/oracles/mllog_rules.yaml"

# The unit tests write their series and cases, with our answers beside them.
XBENCH_ORACLES=$folder "$test_bench" --gtest_filter='Oracles.*' >"$folder/log" || { cat "$folder/log"; exit 1; }
"$python" "$source/tests/bench/oracles/ruptures_check.py" "$folder/series.txt" >"$folder/series.theirs"
diff "$folder/series.ours" "$folder/series.theirs" && echo "$(wc -l <"$folder/series.txt") series: the change points of ruptures"
"$python" "$source/tests/bench/oracles/mlscore_check.py" "$folder/cases.txt" >"$folder/cases.theirs" 2>"$folder/log"
diff "$folder/cases.ours" "$folder/cases.theirs" && echo "$(wc -l <"$folder/cases.txt") cases: the verdicts of mlscorecheck"

# talp-pages finds POP's metrics of a row in its export, as the product of its factors says them: of a sweep that was made up,
# and of measured ones.
"$xbench" report "$folder/factors" >/dev/null
for run in "$folder/factors" "$source"/results/factors/*/; do
    rm -rf "$folder/exported"
    "$xbench" report "$run" --export talp --out "$folder/exported" >/dev/null
    "$python" "$source/tests/bench/oracles/factors_check.py" "$run" "$folder/exported"
done
