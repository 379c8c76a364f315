"""Which versions to install into an interpreter, given what it holds already."""

from __future__ import annotations

from pathlib import Path

from .common import Target, constraint_lines, distribution_name, requirement_lines

INSTALLED = ('mminstall', 'runtime', 'tests')
# The forks' original names, whose modules are the same: never install both.
ORIGINALS = {
    'onedl-mmengine': 'mmengine',
    'onedl-mmcv': 'mmcv',
    'onedl-mmpretrain': 'mmpretrain',
    'onedl-mmdetection': 'mmdet',
    'onedl-mmsegmentation': 'mmsegmentation',
}


def wanted_requirements(target: Target) -> list[str]:
    """The requirement lines to install, less the forks whose original is there."""
    lines = [line for name in INSTALLED for line in requirement_lines(name)]
    here = target.distributions()
    return [
        line for line in lines if ORIGINALS.get(distribution_name(line)) not in here
    ]


def write_constraints(target: Target) -> Path:
    """Write the constraints file for this interpreter, and return it.

    In our own environment these are the pins of ``requirements/constraints.txt``.
    In a foreign one a pin gives way to the version that is installed, so that
    nothing of a cluster's or a container's set is replaced.
    """
    lines = constraint_lines()
    if target.foreign:
        here = target.distributions()
        lines = [line for line in lines if distribution_name(line) not in here]
        lines += [f'{name}=={version}' for name, version in sorted(here.items())]
    target.constraints.parent.mkdir(parents=True, exist_ok=True)
    target.constraints.write_text('\n'.join(lines) + '\n')
    return target.constraints
