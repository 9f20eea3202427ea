#!/usr/bin/env bash
# Installs what xbench needs from Debian's archive (Debian 12, also recent Ubuntu), and nothing that is there already:
# run it as often as you like. As root, or through sudo where there is one.
#
#   scripts/install_deps.sh             build and run xbench
#   scripts/install_deps.sh --minimal   the same without MPI (no cpu_ddp trainer)
#   scripts/install_deps.sh --tests     also what the tests use: GoogleTest, Slurm, clang-format, shells, --cuda and --cutlass
#   scripts/install_deps.sh --cuda      also NVIDIA's compiler, from PyPI into .deps/cuda, where no toolkit is installed, and
#                                       what reads machine code (for the test sass_gate), where there is none
#   scripts/install_deps.sh --cutlass   also the headers of CUTLASS (BSD-3-Clause, 6 MB), from PyPI into .deps/cutlass: a test of
#                                       the emulated GPU runs kernels of it
#   scripts/install_deps.sh --list      only print the packages
set -euo pipefail

build=(g++ cmake ninja-build pkg-config git ca-certificates
    libhdf5-dev nlohmann-json3-dev libcli11-dev libfmt-dev libpng-dev libjpeg-dev libhwloc-dev libxxhash-dev
    libdcmtk-dev libopenjp2-7-dev libseccomp-dev libzip-dev libbenchmark-dev)
mpi=(openmpi-bin libopenmpi-dev)
tests=(libturbojpeg0-dev libgtest-dev libgmock-dev slurm-wlm munge libpmi2-0 procps clang-format-14 iproute2 busybox-static
    dpkg-dev man-db groff-base mandoc zsh fish)

# nvcc with what it needs: 13.0, as a driver takes no newer PTX than its own. And what reads machine code, which begins at 13.2.
compiler=(nvidia-cuda-nvcc==13.0.* nvidia-cuda-crt==13.0.* nvidia-cuda-runtime==13.0.* nvidia-cuda-cccl==13.0.* nvidia-nvvm==13.0.*)
readers=(nvidia-cuda-cuobjdump==13.2.* nvidia-cuda-nvdisasm==13.2.*)
cutlass=nvidia-cutlass==4.2.0.0
deps=$(cd "$(dirname "$0")/.." && pwd)/.deps

with_mpi=1 with_tests=0 with_cuda=0 with_cutlass=0 list=0
for argument in "$@"; do
    case "$argument" in
        --minimal) with_mpi=0 ;;
        --tests) with_tests=1 with_cuda=1 with_cutlass=1 ;;
        --cuda) with_cuda=1 ;;
        --cutlass) with_cutlass=1 ;;
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
has_toolkit() { [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] || command -v nvcc >/dev/null; }
has_reader() { [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvdisasm" ] || command -v nvdisasm >/dev/null; }
cuda=() cuda_folder=$deps/cuda cuda_program=nvcc
if [ "$with_cuda" = 1 ] && ! has_toolkit; then
    cuda=("${compiler[@]}" "${readers[@]}")
elif [ "$with_cuda" = 1 ] && ! has_reader; then
    cuda=("${readers[@]}") cuda_folder=$deps/cuda_readers cuda_program=nvdisasm
fi
[ ${#cuda[@]} = 0 ] && [ "$with_cutlass" = 0 ] || wanted+=(python3-pip)
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

# from_pypi FOLDER PACKAGES...: wheels are the same for every distribution. The folder is made whole or not at all.
from_pypi() {
    local folder=$1
    shift
    rm -rf "$folder.part"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --root-user-action=ignore \
        --target "$folder.part" "$@"
    chmod -R u+w "$folder.part"
    find "$folder.part" -path '*/bin/*' -type f -exec chmod +x {} +
    mv "$folder.part" "$folder"
}

install_cutlass() {
    [ "$with_cutlass" = 1 ] || return 0
    if [ -e "$deps/cutlass/cutlass_library/source/include/cutlass/cutlass.h" ]; then
        echo "install_deps: the headers of CUTLASS are there, in $deps/cutlass"
        return 0
    fi
    echo "install_deps: the headers of CUTLASS from PyPI into $deps/cutlass"
    from_pypi "$deps/cutlass" "$cutlass" || echo "install_deps: PyPI does not give them; their test will be skipped" >&2
}

install_cuda() {
    [ ${#cuda[@]} != 0 ] || return 0
    if [ -x "$cuda_folder/nvidia/cu13/bin/$cuda_program" ]; then
        echo "install_deps: NVIDIA's $cuda_program is there, in $cuda_folder"
        return 0
    fi
    case "$(uname -m)" in
        x86_64 | aarch64) ;;
        *)
            echo "install_deps: PyPI has no NVIDIA compiler for $(uname -m); the build goes without CUDA" >&2
            return 0
            ;;
    esac
    echo "install_deps: NVIDIA's $cuda_program from PyPI into $cuda_folder"
    from_pypi "$cuda_folder" "${cuda[@]}"
    "$cuda_folder/nvidia/cu13/bin/$cuda_program" --version | tail -n 2
}

if [ ${#missing[@]} = 0 ]; then
    install_cuda
    install_cutlass
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
install_cuda
install_cutlass
