#!/usr/bin/env bash
# Tables of README.md, docs/ and results/ that come from records in results/ are those of their records: none was edited by
# hand, or left behind when its records changed.
#
#   results_tables.sh ROOT
set -euo pipefail
command -v python3 >/dev/null || { echo "no python3: not checked"; exit 77; }
exec python3 "$(dirname "$0")/../../scripts/results_tables.py" --check "$1"
