#!/usr/bin/env bash
# The tables and pages of sweeps in results/ are those that xbench makes of their records now.
#
#   results_fresh_test.sh XBENCH ROOT      to renew them: xbench report results/NAME
set -uo pipefail
xbench=$1 root=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failures=0 compared=0
while read -r records; do
    run=$(dirname "$records")
    [ -e "$run/config.resolved.json" ] || continue
    rm -rf "$out/report"
    "$xbench" report "$run" --out "$out/report" >"$out/said.txt" 2>&1 || { echo "FAILED: report of $run: $(tail -n 2 "$out/said.txt")"; failures=$((failures + 1)); continue; }
    for file in "$out/report"/*; do
        name=$(basename "$file")
        [ -e "$run/$name" ] || continue
        compared=$((compared + 1))
        cmp -s "$file" "$run/$name" || { echo "FAILED: ${run#"$root"/}/$name is not that of its records: run xbench report ${run#"$root"/}"; failures=$((failures + 1)); }
    done
done < <(find "$root/results" -name records.jsonl | sort)
[ "$compared" -gt 0 ] || { echo "FAILED: no table in results/ was compared"; exit 1; }
echo "$compared files compared"
[ "$failures" = 0 ]
