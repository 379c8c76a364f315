#!/usr/bin/env bash
# Test with one process for each GPU (or, without CUDA, that many on the CPU).
# Several nodes: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[ $# -ge 3 ] ||
    fail 'usage: [PORT=...] dist_test.sh CONFIG CHECKPOINT GPUS [options of test.py]'
config="$1" checkpoint="$2" gpus="$3"
shift 3
dist_launch test.py "$gpus" "$config" "$checkpoint" "$@"
