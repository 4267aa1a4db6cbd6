#!/usr/bin/env bash
# Show the newest return tensor: shape and first rows.
set -euo pipefail

usage() {
    echo "usage: examples/scripts/show_return_tensor.sh [--head N] [DATA_CLEANING_DIR]" >&2
    exit "$1"
}

head=5
folder=""
while [ $# -gt 0 ]; do
    case "$1" in
        --head) [ $# -ge 2 ] || usage 2; head="$2"; shift 2 ;;
        -h | --help) usage 0 ;;
        -*) usage 2 ;;
        *) [ -z "$folder" ] || usage 2; folder="$1"; shift ;;
    esac
done
[[ "$head" =~ ^[1-9][0-9]*$ ]] || { echo "--head must be a whole number, got '$head'" >&2; exit 2; }

exec "${PYTHON:-python3}" - "$head" "$folder" <<'PY'
import sys

from fastpanel.errors import FastPanelError
from fastpanel.pipelines import dotenv, show_return_tensor

try:
    with dotenv():
        print(show_return_tensor(sys.argv[2] or None, int(sys.argv[1])))
except FastPanelError as error:
    sys.exit(f"error: {error}")
PY
