# Sourced by dist_*.sh and slurm_*.sh: common functions.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# The interpreter: PYTHON, else the active environment's, else that of `make env`.
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python
    if [ -z "${VIRTUAL_ENV:-}" ] && [ "${CONDA_DEFAULT_ENV:-base}" = base ] &&
        [ -x "$ROOT/.venv/bin/python" ]; then
        PYTHON="$ROOT/.venv/bin/python"
    fi
fi

# check_count NAME VALUE
check_count() {
    [[ "$2" =~ ^[1-9][0-9]*$ ]] || fail "$1 must be a whole number of 1 or more, not '$2'"
}

# elastic_launch SCRIPT PROCESSES [OPTIONS OF THE SCRIPT]...: the rendezvous numbers the
# nodes. If a process fails or a node joins or leaves, all processes start again.
elastic_launch() {
    local script="$1" processes="$2" nodes="${NNODES:-1}" restarts="${MAX_RESTARTS:-3}"
    local endpoint="${RDZV_ENDPOINT:-}" id="${RDZV_ID:-${SLURM_JOB_ID:-}}"
    shift 2
    [[ "$nodes" =~ ^[1-9][0-9]*(:[1-9][0-9]*)?$ ]] ||
        fail "NNODES must be a number of nodes or MIN:MAX, not '$nodes'"
    [ "${nodes%:*}" -le "${nodes#*:}" ] || fail "NNODES=$nodes: MIN is greater than MAX"
    [[ "$restarts" =~ ^[0-9]+$ ]] ||
        fail "MAX_RESTARTS must be a whole number, not '$restarts'"
    if [ "${nodes#*:}" -eq 1 ]; then
        endpoint="${endpoint:-localhost:0}"
        # An identity of this launch only, see mmlgd/utils/launch_id.py.
        id="${id:-$(uname -n)-$$-$(date +%s)}"
    fi
    [ -n "$endpoint" ] ||
        fail "NNODES=$nodes needs RDZV_ENDPOINT=HOST:PORT, the same on each node"
    [ -n "$id" ] ||
        fail "NNODES=$nodes needs RDZV_ID, a new name for each run and the same on each node"
    exec "$PYTHON" -m mmlgd.utils.torchrun \
        --nnodes="$nodes" \
        --rdzv-backend=c10d \
        --rdzv-endpoint="$endpoint" \
        --rdzv-id="$id" \
        --max-restarts="$restarts" \
        --nproc_per_node="$processes" \
        "$ROOT/tools/$script" "$@" --launcher pytorch
}

# dist_launch SCRIPT PROCESSES [OPTIONS OF THE SCRIPT]...
dist_launch() {
    local script="$1" processes="$2" nodes="${NNODES:-1}" port="${PORT:-29500}"
    check_count 'GPUS (processes on this machine)' "$processes"
    if [ -n "${RDZV_ENDPOINT:-}${MAX_RESTARTS:-}" ] || [[ "$nodes" == *:* ]]; then
        elastic_launch "$@"
    fi
    shift 2
    check_count NNODES "$nodes"
    if [ "$nodes" -gt 1 ] && [ -z "${MASTER_ADDR:-}" -o -z "${NODE_RANK:-}" ]; then
        fail "NNODES=$nodes needs MASTER_ADDR (address of node 0) and NODE_RANK (0 to $((nodes - 1)))"
    fi
    # Only node 0 listens. The check prints the port, or why it cannot be used.
    if [ "${NODE_RANK:-0}" -eq 0 ]; then
        port="$("$PYTHON" -m mmlgd.utils.ports --nnodes "$nodes" ${PORT:+--port "$PORT"})"
    fi
    exec "$PYTHON" -m mmlgd.utils.torchrun \
        --nnodes="$nodes" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="$port" \
        --nproc_per_node="$processes" \
        "$ROOT/tools/$script" "$@" --launcher pytorch
}

# slurm_launch SCRIPT PARTITION JOB_NAME [OPTIONS OF THE SCRIPT]...
slurm_launch() {
    local script="$1" partition="$2" job_name="$3" gpus="${GPUS:-8}"
    local per_node="${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}"
    shift 3
    check_count GPUS "$gpus"
    check_count GPUS_PER_NODE "$per_node"
    # The node of rank 0 is not known yet, so no port can be checked there; a random
    # port is unlikely to be used by another job.
    export MASTER_PORT="${PORT:-$((20000 + RANDOM % 12000))}"
    # SRUN_ARGS contains several options and is split on purpose. shellcheck
    # disable=SC2086
    exec srun -p "$partition" \
        --job-name="$job_name" \
        --gres="gpu:$per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SIGNAL:+--signal="$SIGNAL"} \
        ${SRUN_ARGS:-} \
        "$PYTHON" -u "$ROOT/tools/$script" "$@" --launcher slurm
}
