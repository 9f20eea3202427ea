#!/usr/bin/env bash
# Sizes of functions and files (CONTRIBUTING.md): no function over 60 lines, 95% of them up to 25; 95% of the files up to 300.
# Counts functions as clang-format lays them out. Tables are no functions: listed here, by file and what their line begins with.
set -euo pipefail
cd "$1"

# core/config_fields.cpp: the rows of the configuration keys under /train.
tables='core/config_fields.cpp:std::vector<ConfigField> train_fields() '

code() { git ls-files -- '*.cpp' '*.h' '*.cu' '*.cuh' 2>/dev/null | grep -v '^tests/' || find . -type f -name '*.cpp' -o -name '*.h' -o -name '*.cu' | sed 's|^\./||'; }

functions() {
    code | xargs awk '
        FNR == 1 { inside = 0; head = "" }
        inside { if ($0 == close_line) { print FNR - start + 1, FILENAME ":" head; inside = 0; head = "" } next }
        # A head at the margin, or one step in for a member, may go on over several lines.
        /^(    )?[^ }#\/]/ && !/^ *(if|for|while|switch|else|do|namespace|struct|class|enum|union|case|using|return)[ (]/ && /\(/ && !/^ *:/ && !/= *\[|\[[^\]]*\]\(/ {
            match($0, /^ */); close_line = substr($0, 1, RLENGTH) "}"; head = substr($0, RLENGTH + 1); start = FNR
        }
        head != "" && /\{$/ { inside = 1; next }
        /[;}]$/ { head = "" }'
}

# of_95 NUMBERS: the number that 95 of 100 are at most.
of_95() { sort -n | awk '{ a[NR] = $1 } END { print a[int(NR * 0.95 + 0.5)] + 0 }'; }

failed=0
all=$(functions)
while read -r lines what; do
    [ "${lines:-0}" -le 60 ] && continue
    known=
    while read -r table; do [[ "$what" == "$table"* ]] && known=1; done <<< "$tables"
    [ -n "$known" ] || { echo "$what has $lines lines; at most 60 are allowed"; failed=1; }
done <<< "$all"
typical=$(echo "$all" | of_95)
[ "$typical" -le 25 ] || { echo "95% of the functions have up to $typical lines; at most 25 are allowed"; failed=1; }
typical=$(code | xargs wc -l | grep -v ' total$' | of_95)
[ "$typical" -le 300 ] || { echo "95% of the files have up to $typical lines; at most 300 are allowed"; failed=1; }
exit $failed
