#!/usr/bin/env bash
# Train with one process for each GPU (or, without CUDA, that many on the CPU).
# Several nodes: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# Elastic: NNODES=MIN:MAX, RDZV_ENDPOINT=HOST:PORT, RDZV_ID, MAX_RESTARTS=3; on one machine
# MAX_RESTARTS alone (docs/clusters.md).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[ $# -ge 2 ] || fail 'usage: [PORT=...] dist_train.sh CONFIG GPUS [options of train.py]'
config="$1" gpus="$2"
shift 2
dist_launch train.py "$gpus" "$config" "$@"
