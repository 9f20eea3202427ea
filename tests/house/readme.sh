#!/usr/bin/env bash
# Checks the README against the tree: each script, configuration and document that it names exists, scripts are executable and
# parse, and the two commands at its top are the ones that CI and newcomers run.
#
#   readme.sh ROOT
set -euo pipefail
cd "$1"
problems=0
problem() {
    echo "README.md: $1"
    problems=$((problems + 1))
}
# Paths in `code`, in fenced blocks and in links.
mentioned=$(grep -oE '(scripts|configs|docs|slurm|tests|results|\.ci)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' README.md | sort -u)
[ -n "$mentioned" ] || problem "names no file at all"
for path in $mentioned; do
    case "$path" in
        results/runs*) continue ;;   # made by a run
    esac
    [ -e "$path" ] || problem "$path does not exist"
    if [[ "$path" == *.sh ]]; then
        [ -x "$path" ] || problem "$path is not executable"
        bash -n "$path" || problem "$path does not parse"
    fi
done
commands=$(awk '/^```/ { inside = !inside; next } inside' README.md)
for script in scripts/first_run.sh scripts/test.sh; do
    grep -qF "$script" <<<"$commands" || problem "no command runs $script"
done
grep -qF scripts/test.sh .ci/run || problem ".ci/run does not run scripts/test.sh"
[ "$problems" = 0 ] || exit 1
echo "$(wc -w <<<"$mentioned") paths"
