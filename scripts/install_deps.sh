#!/usr/bin/env bash
# Installs what xbench needs from Debian's archive (Debian 12, also recent Ubuntu), and nothing that is there already:
# run it as often as you like. As root, or through sudo where there is one.
#
#   scripts/install_deps.sh             build and run xbench
#   scripts/install_deps.sh --minimal   the same without MPI (no cpu_ddp trainer)
#   scripts/install_deps.sh --tests     also what the tests use: GoogleTest, Slurm, clang-format
#   scripts/install_deps.sh --list      only print the packages
set -euo pipefail

build=(g++ cmake ninja-build pkg-config git ca-certificates
    libhdf5-dev nlohmann-json3-dev libcli11-dev libfmt-dev libpng-dev libjpeg-dev libhwloc-dev libxxhash-dev
    libdcmtk-dev libopenjp2-7-dev libseccomp-dev libzip-dev libbenchmark-dev)
mpi=(openmpi-bin libopenmpi-dev)
tests=(libturbojpeg0-dev libgtest-dev libgmock-dev slurm-wlm munge procps clang-format-14 iproute2 busybox-static)

with_mpi=1 with_tests=0 list=0
for argument in "$@"; do
    case "$argument" in
        --minimal) with_mpi=0 ;;
        --tests) with_tests=1 ;;
        --list) list=1 ;;
        *)
            sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
            exit 2
            ;;
    esac
done

wanted=("${build[@]}")
[ "$with_mpi" = 1 ] && wanted+=("${mpi[@]}")
[ "$with_tests" = 1 ] && wanted+=("${tests[@]}")
if [ "$list" = 1 ]; then
    printf '%s\n' "${wanted[@]}"
    exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "install_deps: no apt-get here: this script knows Debian and Ubuntu; the packages it would install are named by --list" >&2
    exit 1
fi

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=()
for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then
    echo "install_deps: everything is there"
    exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install_deps: run this as root, or ask an administrator for: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "install_deps: installing ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c '
    set -e
    apt-get update -q
    apt-get install -q -y --no-install-recommends "$@"' install "${missing[@]}"
