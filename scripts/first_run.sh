#!/usr/bin/env bash
# From a bare clone to a scaling table, in one command: installs what is needed from Debian, builds xbench without its tests,
# and runs configs/scaling.json, which draws its own images (no download). Ends with the path of scaling.md.
#
#   scripts/first_run.sh [xbench options, such as --set train.epochs=2]
#
# XBENCH_BUILD (build/release) names the build folder, XBENCH_JOBS (all cores) the compile jobs.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${XBENCH_BUILD:-build/release} jobs=${XBENCH_JOBS:-$(nproc)}

bash scripts/install_deps.sh
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DXB_TESTS=OFF
cmake --build "$build" -j "$jobs" --target xbench

# Open MPI refuses to start as root (a container's usual user) unless told twice.
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
out=results/runs/first-$(date -u +%Y%m%dT%H%M%SZ)
exec "$build/xbench" --config configs/scaling.json --out "$out" "$@"   # prints the table, and its path last
