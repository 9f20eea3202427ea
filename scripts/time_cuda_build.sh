#!/usr/bin/env bash
# How long all kernels for GPUs take to build, from nothing: PTX of sm_80 and machine code of sm_80 and sm_90a, on so many cores. It should
# stay under 8 minutes on 2. Run it on a machine that does nothing else.
#
#   scripts/time_cuda_build.sh [JOBS=2]
#
# Prints each file's seconds, longest first, and the whole. A file that takes a fifth of it holds up a build of many cores: split it.
# Exit code 77: no nvcc here.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-2}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DXB_CUDA=ON -DXB_TESTS=OFF "-DXB_CUDA_CUBINS=80;90a" \
    >"$build/configure.log" 2>&1 || {
    ! grep -q 'no nvcc' "$build/configure.log" || { echo "time_cuda_build.sh: no nvcc here; scripts/install_deps.sh --cuda brings it" >&2 && exit 77; }
    tail -n 5 "$build/configure.log"
    exit 1
}
mapfile -t fatbins < <(ninja -C "$build" -t targets all | sed -n 's/^\(.*\.fatbin\): .*/\1/p')
[ ${#fatbins[@]} -gt 0 ] || { echo "time_cuda_build.sh: the build has no kernels for GPUs" >&2 && exit 1; }
start=$(date +%s%N)
ninja -C "$build" -j "$jobs" "${fatbins[@]}" >"$build/build.log" 2>&1 || { tail -n 20 "$build/build.log" && exit 1; }
seconds=$((($(date +%s%N) - start) / 1000000000))
awk -F '\t' '$4 ~ /\.fatbin$/ { sub(".*/", "", $4); sub(".fatbin", ".cu", $4); print ($2 - $1) / 1000, $4; all += ($2 - $1) / 1000 }
    END { print all, "sum" }' "$build/.ninja_log" | sort -rn | awk '
    $2 == "sum" { sum = $1; next }
    { printf "%7.1f s  %s%s\n", $1, $2, $1 > sum / 5 ? "  more than a fifth of all" : "" }'
echo "${#fatbins[@]} files on $jobs cores in $seconds s"
[ "$seconds" -lt 480 ] || { echo "time_cuda_build.sh: more than 8 minutes" >&2 && exit 1; }
