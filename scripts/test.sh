#!/usr/bin/env bash
# Installs what the build and the tests need, builds everything with warnings as errors, and runs all tests but those of
# scripts/check_more.sh.
# Ends with ctest's summary, and with its exit code. This is also what CI runs (.ci/run).
#
#   scripts/test.sh [ctest options, such as -R safetensors, or -LE slow]
#
# XBENCH_BUILD (build/test) names the build folder, XBENCH_JOBS (all cores) the compile jobs and parallel tests.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${XBENCH_BUILD:-build/test} jobs=${XBENCH_JOBS:-$(nproc)}

bash scripts/install_deps.sh --tests
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DXB_TESTS=ON -DXB_WERROR=ON
cmake --build "$build" -j "$jobs"

if [ "$(id -u)" = 0 ]; then   # Open MPI refuses to start as root (a container's usual user) unless told twice
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
result=0
ctest --test-dir "$build" --output-on-failure --no-tests=error --output-log "$build/ctest.log" -j "$jobs" -LE '^gpu_modes$' "$@" || result=$?

# ctest names the skipped tests but not their reasons: the line below GoogleTest's "Skipped", or a script's first line.
[ ! -f "$build/ctest.log" ] || awk '
    NR == FNR { if (/\(Skipped\)$/) skipped[$3] = 1; next }
    / Testing: / { name = $3; reason = ""; inside = 0 }
    inside && (reason == "" || below) { reason = $0 }
    { below = /: Skipped$/ }
    /^Output:$/ { inside = 1; getline; next }
    /^<end of output>/ { if (name in skipped) print "skipped " name ": " reason; inside = 0 }
' "$build/ctest.log" "$build/Testing/Temporary/LastTest.log"
exit "$result"
