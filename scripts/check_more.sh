#!/usr/bin/env bash
# The checks that are too slow for every submission; each has a build of its own in build/NAME. Run them before a release and after
# changes to threads, memory or shared headers.
#
#   scripts/check_more.sh [asan] [tsan] [clang] [search] [gpu]      all where none is named
#
#   asan    AddressSanitizer and UndefinedBehaviorSanitizer over all fast tests
#   tsan    ThreadSanitizer over core, data and parallel, whose ranks are threads of one process
#   clang   a build with Clang 14, warnings as errors, and its fast tests
#   search  the random searches for XBENCH_SEARCH_SECONDS (600) from XBENCH_SEARCH_SEED (the date), and whole trainings against PyTorch
#   gpu     every kernel for GPUs on every problem, on the emulated GPU with its checks for races and with its counts
#
# XBENCH_JOBS (all cores): compile jobs. Ends with a line for each check; exit code 1 where one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
jobs=${XBENCH_JOBS:-$(nproc)}
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

build() { cmake --preset "$1" >/dev/null && cmake --build "build/$1" -j "$jobs" ${2:+--target} ${2:-}; }
# House tests read the sources alone, and assertions on time mean nothing in a slow build.
fast() { ctest --preset "$1" -j "$jobs" -L fast -LE "house|timing${2:+|$2}" --no-tests=error; }

check_asan() { build asan && fast asan no_asan; }
check_clang() { build clang && fast clang; }
check_tsan() {
    build tsan "test_core test_data test_parallel" || return 1
    local failed=0
    for program in core data parallel; do
        # halt_on_error: a race ends the program with an exit code.
        TSAN_OPTIONS="ignore_noninstrumented_modules=1:halt_on_error=1:suppressions=$PWD/tests/tsan.supp" \
            "build/tsan/tests/test_$program" --gtest_filter='-*Slow*:*Timing*' --gtest_brief=1 || failed=1
    done
    return $failed
}
check_search() {
    export XBENCH_SEARCH_SECONDS=${XBENCH_SEARCH_SECONDS:-600} XBENCH_SEARCH_SEED=${XBENCH_SEARCH_SEED:-$(date +%Y%m%d)}
    build cpu && ctest --preset cpu -L search --timeout $((XBENCH_SEARCH_SECONDS + 300)) --no-tests=error &&
        scripts/search_trainings.sh --xbench build/cpu/xbench --seconds "$XBENCH_SEARCH_SECONDS" --seed "$XBENCH_SEARCH_SEED"
}
check_gpu() { build cpu && ctest --preset cpu -j "$jobs" -L gpu_modes --no-tests=error; }

[ $# -gt 0 ] || set -- asan tsan clang search gpu
result=0 summary=""
for name in "$@"; do
    declare -F "check_$name" >/dev/null || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2; }
    "check_$name" && verdict=passed || { verdict=FAILED && result=1; }
    summary+="$name $verdict"$'\n'
done
printf '%s' "$summary"
exit $result
