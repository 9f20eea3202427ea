#!/usr/bin/env bash
# Makes the Python environment .deps/oracles with the tools that xbench's files are read by and its numbers checked against in
# tests/bench/oracles: mlscorecheck, ruptures, mlperf-logging, Extra-P, talp-pages, prometheus-client. The tests are skipped
# aloud without it.
#
#   scripts/oracles.sh
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$here/.deps/oracles
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
    'numpy<2' ruptures==1.1.10 prometheus-client==0.26.* mlscorecheck==1.0.3 mlperf-logging==4.1.68
# Extra-P's window is not needed to read files, so its Qt is left out; the same holds for talp-pages' pictures.
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps extrap==4.2.5 talp-pages==3.8.0
"$folder/bin/pip" install --quiet --disable-pip-version-check 'numpy<2' matplotlib scikit-learn tqdm 'marshmallow<4' 'pandas<3' packaging jinja2 \
    'pycubexr<3' plotly
echo "$folder"
