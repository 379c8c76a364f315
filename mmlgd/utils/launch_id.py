"""Whether a training is a restart of one that this launch has already begun."""

import os
from pathlib import Path

from mmengine.dist import master_only

from .atomic import write_atomically

#: File of the work dir: identity of the launch that trains into it.
LAUNCH_FILE = 'launch_id'


def launch_identity() -> str | None:
    """Identity that a launch keeps when it restarts its processes; None without one.

    It is torchrun's ``--rdzv-id``, which ``tools/dist_train.sh`` sets for elastic
    launches, or the number of a Slurm job.
    """
    # torchrun's default, without a rendezvous.
    elastic = os.environ.get('TORCHELASTIC_RUN_ID', 'none')
    if elastic != 'none':
        return f'torchrun {elastic}'
    job = os.environ.get('SLURM_JOB_ID')
    return f'slurm {job}' if job else None


def is_restart(work_dir: str) -> bool:
    """Whether the launch of this process has already trained into a work dir.

    A counter of restarts is not enough: torchrun does not count a restart for a machine
    that joins or leaves, and it also restarts a training that was refused.
    """
    identity, path = launch_identity(), Path(work_dir, LAUNCH_FILE)
    if identity is None or not path.is_file() or path.read_bytes() != identity.encode():
        return False
    # A job may train several times; only a requeued one starts its script again.
    return identity.startswith('torchrun') or 'SLURM_RESTART_COUNT' in os.environ


def has_saved(work_dir: str) -> bool:
    """Whether the launch that claimed a work dir has saved a checkpoint there."""
    pointer, claim = Path(work_dir, 'last_checkpoint'), Path(work_dir, LAUNCH_FILE)
    return pointer.is_file() and pointer.stat().st_mtime_ns > claim.stat().st_mtime_ns


@master_only
def claim(work_dir: str) -> None:
    """Record that this launch trains into a work dir, once all ranks have started.

    A restart leaves the file as it is, and thereby its time, see :func:`has_saved`.
    """
    identity, path = launch_identity(), Path(work_dir, LAUNCH_FILE)
    if identity is None:
        path.unlink(missing_ok=True)
    elif not path.is_file() or path.read_bytes() != identity.encode():
        write_atomically(path, identity.encode())
