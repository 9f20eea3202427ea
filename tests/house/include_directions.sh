#!/usr/bin/env bash
# Checks every #include of a file of the project: written from the root, and only in the directions of the architecture
# (docs/architecture.md). Also: an optional library's header has one user, and code built for one instruction set (*.isa.cpp)
# includes nothing whose inline functions the linker could keep for everybody.
#
#   include_directions.sh ROOT      prints the lines that break a rule; exit code 1 if there are any
set -euo pipefail
cd "$1"

# file<TAB>line<TAB>"path" or <path>, for every include of the given folders
list_includes() {
    # A folder that does not exist (yet) is no mistake.
    { find "$@" -type f \( -name '*.cpp' -o -name '*.h' \) -print0 2>/dev/null || true; } | sort -z |
        xargs -0 -r awk '/^[ \t]*#[ \t]*include[ \t]*["<]/ {
            text = $0; sub(/^[ \t]*#[ \t]*include[ \t]*/, "", text)
            close_at = substr(text, 1, 1) == "<" ? ">" : "\""
            text = substr(text, 1, 1 + index(substr(text, 2), close_at))
            printf "%s\t%d\t%s\n", FILENAME, FNR, text
        }'
}

directions() {
    awk -F '\t' '
        BEGIN {
            allowed["core"]     = "core"
            allowed["kernels"]  = "core kernels"
            allowed["models"]   = "core models"              # and kernels/op.h
            allowed["plan"]     = "core kernels plan"
            allowed["data"]     = "core data"
            allowed["eval"]     = "core kernels plan data eval"
            allowed["parallel"] = "core kernels plan data eval models parallel"
            allowed["bench"]    = allowed["parallel"] " bench"
            allowed["app"]      = allowed["bench"] " app"
            # Rooms of a folder, each with those below it. Files that lie in no room of the list see all of the folder.
            rooms["parallel/train"]      = "strategy comm checkpoint"
            rooms["parallel/strategy"]   = "comm checkpoint"
            rooms["parallel/comm"]       = ""
            rooms["parallel/checkpoint"] = ""
            rooms["bench/report"]        = "sweep efficiency laws base draw runs tune"
            rooms["bench/export"]        = "sweep efficiency laws base"
            rooms["bench/sweep"]         = "efficiency laws base draw"
            rooms["bench/efficiency"]    = "base"
            rooms["bench/audit"]         = "laws base"
            rooms["bench/laws"]          = "base"
            rooms["bench/runs"]          = "base draw"
            rooms["bench/tune"]          = "base draw"
            rooms["bench/kernels"]       = "base"
            rooms["bench/comm"]          = "base"
            rooms["bench/base"]          = ""
            rooms["bench/draw"]          = ""
            rooms["data/explore"]        = "import load set"
            rooms["data/import"]         = "load set"
            rooms["data/synthetic"]      = "load set"
            rooms["data/load"]           = "set"
            rooms["data/set"]            = ""
            rooms["kernels/simd"]        = ""
        }
        # Whether a file of one room may include a file of another room of the same folder.
        function room_allows(from_folder, from_room, to_room) {
            if (!((from_folder "/" from_room) in rooms) || from_room == to_room) return 1
            if (!((from_folder "/" to_room) in rooms)) return to_room ~ /\.h$/ && from_folder == "kernels"
            return index(" " rooms[from_folder "/" from_room] " ", " " to_room " ") > 0
        }
        substr($3, 1, 1) == "\"" {
            split($1, from, "/")
            path = substr($3, 2, length($3) - 2)
            if (path == "build_info.h") next   # written by cmake/xb_build_info.cmake
            if (index(path, "/") == 0 || path ~ /^\.\.?\//) {
                printf "%s:%d: %s: write the path from the root of the project\n", $1, $2, $3
                next
            }
            split(path, to, "/")
            if (from[1] == "models" && path == "kernels/op.h") next
            if (index(" " allowed[from[1]] " ", " " to[1] " ") == 0)
                printf "%s:%d: %s/ must not include %s\n", $1, $2, from[1], path
            else if (from[1] == to[1] && !room_allows(from[1], from[2], to[2]))
                printf "%s:%d: %s/%s/ must not include %s\n", $1, $2, from[1], from[2], path
        }'
}

# hdf5.h and its like: one file each, so that an optional dependency stays in one place.
single_users() {
    awk -F '\t' '
        $3 ~ /^<((hdf5|mpi|cuda|nccl|png|turbojpeg|jpeglib|hwloc|openjpeg|seccomp|zip)\.h>$|simde\/)/ {
            user[$3] = user[$3] " " $1 ":" $2
            count[$3]++
        }
        END { for (header in count) if (count[header] > 1) printf "%s: one file may include it, not all of:%s\n", header, user[header] }'
}

# A *.isa.cpp and every header of the project that it includes, directly or not: C headers and plain types only.
isa_files() {
    awk -F '\t' '
        { includes[$1] = includes[$1] "\n" $2 "\t" $3; if ($1 ~ /\.isa\.cpp$/) todo[++n] = $1 }
        END {
            for (i = 1; i <= n; ++i) {
                file = todo[i]
                if (seen[file]++) continue
                count = split(substr(includes[file], 2), lines, "\n")
                for (j = 1; j <= count; ++j) {
                    split(lines[j], part, "\t")
                    if (substr(part[2], 1, 1) == "\"") { todo[++n] = substr(part[2], 2, length(part[2]) - 2); continue }
                    if (part[2] ~ /^<(immintrin|stddef|stdint|string|float|math)\.h>$/ || part[2] == "<simde/x86/avx512.h>" || part[2] ~ /^<cstd(def|int)>$/) continue
                    printf "%s:%d: %s in code that is built for one instruction set\n", file, part[1], part[2]
                }
            }
        }'
}

includes=$(list_includes core kernels models plan data eval parallel bench app)
if [ -z "$includes" ]; then
    echo "no includes found under $1: nothing was checked"
    exit 1
fi
problems=$(printf '%s\n' "$includes" | directions
    printf '%s\n' "$includes" | single_users
    printf '%s\n' "$includes" | isa_files)
if [ -n "$problems" ]; then
    printf '%s\n' "$problems"
    exit 1
fi
printf '%d includes, all in the right direction\n' "$(printf '%s\n' "$includes" | wc -l)"
