#!/usr/bin/env bash
# What is measured on a GPU (docs/log.md), in parts of at most nine minutes: bash benchmarks/gpu.sh [PART ...]
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" exec python benchmarks/gpu.py "$@"
