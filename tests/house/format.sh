#!/usr/bin/env bash
# Checks the format of all C++ files with clang-format 14 (other versions format differently). Exit code 77: not installed.
#
#   format.sh ROOT
set -euo pipefail
cd "$1"
tool=
for candidate in clang-format-14 clang-format; do
    if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
        tool=$candidate
        break
    fi
done
if [ -z "$tool" ]; then
    echo "skipped: no clang-format 14 here (scripts/install_deps.sh --tests installs it)"
    exit 77
fi
{ find core kernels models plan data eval parallel bench app tests -type f \( -name '*.cpp' -o -name '*.h' \) -print0 2>/dev/null || true; } |
    xargs -0 "$tool" --dry-run --Werror || exit 1
