#!/usr/bin/env bash
# Checks that each source file and script opens with a comment that says what it is for.
#
#   file_headers.sh ROOT
set -euo pipefail
cd "$1"
files=0 problems=0
list=$(mktemp)  # not <(find ...), which needs /dev/fd
trap 'rm -f "$list"' EXIT
find core kernels models plan data eval parallel bench app tests scripts slurm cmake .ci CMakeLists.txt \
    -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' -o -name CMakeLists.txt -o -path '.ci/*' \) \
    -print0 >"$list" 2>/dev/null || true
while IFS= read -r -d '' file; do
    files=$((files + 1))
    case "$file" in
        *.cpp | *.h | *.cu) pattern='^(//|/[*])' ;;
        *) pattern='^(#([^!]|$)|""")' ;;   # below a #! line
    esac
    if ! awk -v pattern="$pattern" 'NR == 1 && /^#!/ { next } { good = $0 ~ pattern; exit } END { exit !good }' "$file"; then
        echo "$file: no comment at its head that says what it is for"
        problems=$((problems + 1))
    fi
done <"$list"
if [ "$files" = 0 ]; then
    echo "no files found under $1: nothing was checked"
    exit 1
fi
[ "$problems" = 0 ] || exit 1
echo "$files files"
