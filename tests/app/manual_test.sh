#!/usr/bin/env bash
# The manual pages hold every command and option of --help, name every XBENCH_ variable that the program reads, and have
# nothing to complain about for groff and mandoc; no line of --help is wider than 80 columns, examples and all.
#
#   manual_test.sh SOURCE XBENCH
set -uo pipefail
source=$1 xbench=$2
. "$source/tests/app/packaging.sh"

"$xbench" --print-pages "$work/pages" || fail "--print-pages"
tools=()
for page in "$work"/pages/*.1; do
    if command -v groff >/dev/null; then
        complaints=$(groff -man -ww -Tutf8 -z "$page" 2>&1)
        [ -z "$complaints" ] || fail "groff: $complaints"
    fi
    if command -v mandoc >/dev/null; then
        complaints=$(mandoc -Tlint -W style "$page" 2>&1)
        [ -z "$complaints" ] || fail "mandoc: $complaints"
    fi
done
for tool in groff mandoc; do command -v $tool >/dev/null && tools+=("$tool") || tools+=("no $tool here"); done

count=0
for command in "${commands[@]}"; do
    page=$work/pages/xbench${command:+-${command// /-}}.1
    [ -s "$page" ] || fail "no page for xbench $command"
    plain=$(sed -e 's/\\f[BIR]//g' -e 's/\\-/-/g' "$page")
    for option in $(options_of "$command"); do
        grep -qE "^($option|.*, $option)([ ,]|\$)" <<<"$plain" || fail "$page has no $option"
        count=$((count + 1))
    done
    # shellcheck disable=SC2086
    wide=$("$xbench" $command --help | awk 'length > 80')
    [ -z "$wide" ] || fail "xbench $command --help is wider than 80 columns: $wide"
done
for variable in $(grep -rhoE '(getenv|is_set)\("XBENCH_[A-Z_]+"' "$source"/{app,bench,core,data,eval,kernels,models,parallel,plan} |
    grep -oE 'XBENCH_[A-Z_]+' | sort -u); do
    [ "$variable" = XBENCH_NODE_OF_RANK ] && continue   # for tests
    grep -q "$variable" "$work/pages/xbench.1" || fail "xbench.1 does not know $variable"
done
finish "${#commands[@]} pages, $count options, ${tools[*]}"
