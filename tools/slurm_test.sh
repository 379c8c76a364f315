#!/usr/bin/env bash
# Test under Slurm. GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PORT are read
# from the environment.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[ $# -ge 4 ] || fail 'usage: [GPUS=8] [GPUS_PER_NODE=8] slurm_test.sh' \
    'PARTITION JOB_NAME CONFIG CHECKPOINT [options of test.py]'
partition="$1" job_name="$2" config="$3" checkpoint="$4"
shift 4
# A test has nothing to save.
SIGNAL=''
slurm_launch test.py "$partition" "$job_name" "$config" "$checkpoint" "$@"
