#!/usr/bin/env bash
# Random whole trainings against PyTorch in double precision: scripts/search_trainings.py in a virtual environment with PyTorch,
# which is made on the first call (XBENCH_VENV, build/venv; several GB) and never needed by the tests.
#
#   scripts/search_trainings.sh --seconds 600 --seed 3
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${XBENCH_VENV:-build/venv}
if ! "$venv/bin/python" -c 'import torch, h5py, safetensors' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch==2.13.0 numpy h5py safetensors
fi
exec "$venv/bin/python" scripts/search_trainings.py "$@"
