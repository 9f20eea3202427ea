# shellcheck shell=bash disable=SC2154
# Sourced by the tests of what is installed: $work, a folder that goes away in the end; fail and skip with a reason; and
# options_of COMMAND: what `xbench COMMAND --help` lists, one option a line, -b as well as --begin.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
skip() { echo "$1" && exit 77; }
finish() {
    [ "$failures" = 0 ] || exit 1
    echo "$1"
    exit 0
}
commands=("" train tune eval predict explain models step kernels comm doctor audit report data "data import" "data synth" "data info" "data explore" "data augment" "data leaks")
options_of() {
    # shellcheck disable=SC2086
    "$xbench" $1 --help | grep -oE '^  (-[a-z],)?--?[a-z-]+' | grep -oE -- '--?[a-z][a-z-]*'
}
# No command is forgotten here.
for known in $("$xbench" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    [[ " ${commands[*]} " == *" $known "* ]] || fail "packaging.sh does not know the command $known"
done
