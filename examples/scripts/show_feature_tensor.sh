#!/usr/bin/env bash
# Show the newest feature tensor of a group: shape and first rows.
set -euo pipefail

usage() {
    echo "usage: examples/scripts/show_feature_tensor.sh --group GROUP [--head N]" >&2
    exit "$1"
}

head=5
group=""
while [ $# -gt 0 ]; do
    case "$1" in
        --head) [ $# -ge 2 ] || usage 2; head="$2"; shift 2 ;;
        --group) [ $# -ge 2 ] || usage 2; group="$2"; shift 2 ;;
        -h | --help) usage 0 ;;
        *) usage 2 ;;
    esac
done
[ -n "$group" ] || usage 2
[[ "$head" =~ ^[1-9][0-9]*$ ]] || { echo "--head must be a whole number, got '$head'" >&2; exit 2; }

exec "${PYTHON:-python3}" - "$head" "$group" <<'PY'
import sys

from fastpanel.errors import FastPanelError
from fastpanel.pipelines import dotenv, show_feature_tensor

try:
    with dotenv():
        print(show_feature_tensor(sys.argv[2], int(sys.argv[1])))
except FastPanelError as error:
    sys.exit(f"error: {error}")
PY
