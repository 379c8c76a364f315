"""Where what a new run or preparation replaces goes: aside, not away."""

from itertools import count
from pathlib import Path


def free_place(work_dir: Path, name: str) -> Path:
    """A place for what is replaced, numbered from 1, whose parent is made.

    Args:
        work_dir (Path): Of the benchmark.
        name (str): Of what is replaced.

    Returns:
        Path: ``<work_dir>/replaced/<name>_<number>``, where nothing is yet.
    """
    folder = work_dir / 'replaced'
    folder.mkdir(parents=True, exist_ok=True)
    places = (folder / f'{name}_{number}' for number in count(1))
    return next(place for place in places if not place.exists())
