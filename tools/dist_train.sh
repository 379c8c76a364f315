#!/usr/bin/env bash
# Train with one process for each GPU (or, without CUDA, that many on the CPU).
# Several nodes: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# Elastic: NNODES=MIN:MAX RDZV_ENDPOINT=HOST:PORT [MAX_RESTARTS=3] [RDZV_ID=...], see
# docs/clusters.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[ $# -ge 2 ] || fail 'usage: [PORT=...] dist_train.sh CONFIG GPUS [options of train.py]'
config="$1" gpus="$2"
shift 2
dist_launch train.py "$gpus" "$config" "$@"
