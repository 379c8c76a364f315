#!/usr/bin/env bash
# Train under Slurm. GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PORT are read
# from the environment. SIGNAL, by default SIGUSR1 120 seconds before the time limit, lets
# the training save and exit with 75; in a batch job, requeue it then (docs/clusters.md).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[ $# -ge 4 ] || fail 'usage: [GPUS=8] [GPUS_PER_NODE=8] slurm_train.sh' \
    'PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]'
partition="$1" job_name="$2" config="$3" work_dir="$4"
shift 4
SIGNAL="${SIGNAL-USR1@120}"
slurm_launch train.py "$partition" "$job_name" "$config" --work-dir "$work_dir" "$@"
