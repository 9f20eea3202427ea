#!/usr/bin/env bash
# Counts the places that know an operator by name. GELU and SiLU touch their folder and at most four files besides:
# core/ops.h, the table, and the builder that models use. No code outside of the operators' folders switches over OpKind: what
# it needs to know about an operator stands in the operator's row.
#
#   operator_places.sh ROOT      prints what breaks a rule; exit code 1 if anything does
set -euo pipefail
cd "$1"
allowed="core/ops.h kernels/operators.h models/graph_builder.cpp models/graph_builder.h"
problems=0
folders=""
for folder in core kernels models plan data eval parallel bench app cmake CMakeLists.txt; do
    [ ! -e "$folder" ] || folders="$folders $folder"
done
for operator in gelu silu; do
    if [ ! -d "kernels/$operator" ]; then
        echo "kernels/$operator: the folder is not there"
        problems=$((problems + 1))
        continue
    fi
    # shellcheck disable=SC2086
    for file in $({ grep -rlwE "$operator(_grad)?" $folders || true; } | { grep -v "^kernels/$operator/" || true; } | sort); do
        case " $allowed " in
            *" $file "*) ;;
            *)
                echo "$file: knows the operator $operator, which only its folder and $allowed may"
                problems=$((problems + 1))
                ;;
        esac
    done
done
# shellcheck disable=SC2086
switches=$(grep -rnE "case OpKind::" $folders --include='*.cpp' --include='*.h' --include='*.cu' --include='*.cuh' | grep -vE "^kernels/[a-z0-9_]+/" || true)
switches="$switches$(grep -rnE "case OpKind::" kernels/cases kernels/simd 2>/dev/null || true)"
if [ -n "$switches" ]; then
    echo "$switches"
    echo "a switch over operators: read the operator's row (kernels/op.h, kernels/cases/op_cases.h)"
    problems=$((problems + 1))
fi
[ "$problems" = 0 ] || exit 1
echo "gelu and silu: their folders and $(echo "$allowed" | wc -w) other files; no switch over operators"
