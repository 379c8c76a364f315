"""Remember a finished set-up, so that the next call can see there is nothing to do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from .common import ROOT, Target, distribution_name
from .mmcv import mmcv_fits
from .selection import wanted_requirements


def defining_files() -> list[Path]:
    """The files whose contents decide what is installed."""
    files = [ROOT / 'setup.py', ROOT / 'pyproject.toml', ROOT / 'mmlgd/version.py']
    files += [ROOT / 'tools/setup_env.py', *(ROOT / 'tools/env_setup').glob('*.py')]
    return sorted([*files, *(ROOT / 'requirements').glob('*.txt')])


def current_stamp(target: Target) -> dict:
    """The stamp that describes the files and the interpreter as they are now."""
    digest = hashlib.sha256(target.fingerprint().encode())
    for file in defining_files():
        digest.update(file.name.encode() + file.read_bytes())
    names = {distribution_name(line) for line in wanted_requirements(target)}
    here = target.distributions()
    versions = {name: here[name] for name in sorted({*names, 'mmlgd'} & set(here))}
    return {'key': digest.hexdigest(), 'versions': versions}


def write_stamp(target: Target) -> None:
    """Note that the set-up of this interpreter is complete."""
    target.stamp.write_text(json.dumps(current_stamp(target), indent=1))


def is_ready(target: Target) -> bool:
    """Whether an earlier call finished and nothing it relied on has changed."""
    try:
        stamp = json.loads(target.stamp.read_text())
    except (OSError, ValueError):
        return False
    return stamp == current_stamp(target) and mmcv_fits(target)
