#!/usr/bin/env bash
# Checks object files of code that was compiled for one instruction set: every symbol that they define for others must lie in
# that instruction set's namespace. A weak symbol (an inline function, a template) outside of it would be merged with everybody
# else's copy, and the linker might keep the AVX-512 one for a processor that has none.
#
#   isa_symbols.sh FILE        a list of object files, one a line
#   isa_symbols.sh -o OBJECT...
set -euo pipefail
if [ "$1" = -o ]; then
    shift
    objects=("$@")
else
    mapfile -t objects <<<"$(grep . "$1")"
fi
if [ ${#objects[@]} = 0 ]; then
    echo "no object files: nothing was checked"
    exit 1
fi
problems=0 symbols=0
for object in "${objects[@]}"; do
    # Upper case: external; u: unique, V and v: weak objects, W and w: weak; U (undefined) is somebody else's.
    while read -r name; do
        [ -n "$name" ] || continue
        symbols=$((symbols + 1))
        case "$name" in
            xbench::isa_*::*) ;;
            *)
                echo "$object: $name"
                problems=$((problems + 1))
                ;;
        esac
    done <<<"$(nm --demangle --defined-only "$object" | awk '$2 ~ /^[A-TV-Zuvw]$/ { sub(/^[^ ]* [^ ] /, ""); print }' |
        sed -E 's/^(vtable|typeinfo|typeinfo name|guard variable) for //')"
done
if [ "$problems" != 0 ]; then
    echo "$problems symbols outside of the namespaces isa_*"
    exit 1
fi
echo "$symbols symbols of ${#objects[@]} objects, all inside"
