"""Memory of processes on Linux."""

from pathlib import Path

from mmlgd.errors import MMLGDError


def peak_host_mib() -> int:
    """This process's peak resident memory in MiB.

    ``ru_maxrss`` would include the parent's memory at the time of the fork.
    """
    return round(_kib('self', 'status', 'VmHWM') / 1024)


def own_mib(process: int) -> float:
    """Private memory of a process in MiB, which is freed when it ends.

    Args:
        process (int): Process id.
    """
    parts = ('Private_Clean', 'Private_Dirty')
    return sum(_kib(str(process), 'smaps_rollup', part) for part in parts) / 1024


def _kib(process: str, file: str, field: str) -> int:
    path = Path('/proc') / process / file
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith(f'{field}:'):
                return int(line.split()[1])
    raise MMLGDError(f'{path} has no {field}; memory is measured on Linux only.')
