#!/usr/bin/env python3
"""Set up an environment for mmlgd: what `make env` runs.

    python3 tools/setup_env.py                  # creates or mends .venv
    python3 tools/setup_env.py --python PATH    # installs into that interpreter

A second call does no network access: it compares a stamp with the files that
define the environment and with what is installed, imports mmcv's compiled part,
and returns. In an interpreter of yours, packages it already has are kept as they
are. Only the standard library is used, so any Python 3.10 or newer can start it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from env_setup.common import ROOT, SetupFailed, Target, distribution_name, pip, say
from env_setup.mmcv import MMCV, provide_mmcv
from env_setup.selection import wanted_requirements, write_constraints
from env_setup.stamp import is_ready, write_stamp

BUILD_TOOLS = ['setuptools', 'wheel', 'ninja', 'packaging']
OPENCV = ('opencv-python', 'opencv-python-headless')
IMPORTS = (
    'torch torchvision mmengine mmcv mmcv._ext mmcv.ops mmpretrain.models '
    'mmdet.models mmseg.models open_clip cv2 mmlgd.registry'
).split()


def make_venv(folder: Path) -> Path:
    """Create a virtual environment where there is none; return its interpreter."""
    python = folder / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    if python.exists() and subprocess.run([python, '-c', '']).returncode == 0:
        return python
    say(f'Creating {folder} with Python {sys.version.split()[0]}')
    command = [sys.executable, '-m', 'venv', '--clear', str(folder)]
    if subprocess.run(command).returncode != 0:
        raise SetupFailed(
            f'{" ".join(command)} failed. On Debian and Ubuntu the module is a package '
            f'of its own: apt-get install python3-venv. Or name an interpreter that '
            f'has pip: make env PYTHON=/path/to/python'
        )
    return python


def keep_one_opencv(target: Target, before: dict[str, str]) -> None:
    """Leave one of ``opencv-python`` and ``-headless``: a user's own, or the first.

    Both own the folder ``cv2/``: with both installed, an update of one leaves a
    mixture. imaug, which the mmdetection fork asks for, wants both.

    Args:
        target (Target): The interpreter.
        before (dict[str, str]): What was installed before the set-up.
    """
    here = target.distributions()
    theirs = set(OPENCV) & set(before) if target.foreign else set()
    if not set(OPENCV) <= set(here) or len(theirs) == 2:
        return
    kept, dropped = OPENCV if theirs != {OPENCV[1]} else OPENCV[::-1]
    say(f'      {kept} and {dropped} share the folder cv2: keeping the first')
    pip(target, 'uninstall', '-y', dropped)
    exact = f'{kept}=={here[kept]}'
    pip(target, 'install', '--force-reinstall', '--no-deps', exact)


def install(target: Target) -> None:
    """Install everything into the interpreter; each step skips what is there."""
    before = target.distributions()
    requirements = wanted_requirements(target)
    write_constraints(target)
    say('[1/5] Build tools')
    pip(target, 'install', *BUILD_TOOLS, constrained=True)
    say('[2/5] torch (the long step where it is absent: up to 3 GB with CUDA)')
    names = ('torch', 'torchvision')
    torch = [line for line in requirements if distribution_name(line) in names]
    pip(target, 'install', *torch, constrained=True)
    say('[3/5] OpenMMLab libraries, open_clip and the rest')
    rest = [line for line in requirements if distribution_name(line) != MMCV]
    pip(target, 'install', *rest, constrained=True)
    say('[4/5] mmcv')
    provide_mmcv(target)
    pip(target, 'install', *requirements, constrained=True)
    keep_one_opencv(target, before)
    say('[5/5] mmlgd, in editable form')
    editable = ('--no-deps', '--no-build-isolation', '-e', str(ROOT))
    pip(target, 'install', *editable)


def check_imports(target: Target) -> None:
    """Import everything once, then print the versions."""
    code = 'import importlib, sys\nfor m in sys.argv[1:]: importlib.import_module(m)'
    result = target.run('-W', 'ignore', '-c', code, *IMPORTS, quiet=True)
    if result.returncode != 0:
        raise SetupFailed(
            f'An import failed after the installation:\n{result.stderr.strip()}\n'
            f'If libGL.so.1 is missing: apt-get install libgl1 libglib2.0-0.'
        )
    say(f'Imported: {" ".join(IMPORTS)}')
    target.run(str(ROOT / 'tools/collect_env.py'))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--python', help='install into this interpreter, not .venv')
    parser.add_argument('--force', action='store_true', help='ignore the stamp')
    args = parser.parse_args()
    started = time.monotonic()
    try:
        target = Target(args.python or make_venv(ROOT / '.venv'), bool(args.python))
        if not args.force and is_ready(target):
            say(f'Environment is ready: {target.python}')
            return 0
        say(f'Setting up {target.python}')
        target.stamp.unlink(missing_ok=True)
        install(target)
        check_imports(target)
        write_stamp(target)
    except SetupFailed as error:
        print(f'make env: {error}', file=sys.stderr)
        return 1
    say(f'Environment is ready after {time.monotonic() - started:.0f} s')
    return 0


if __name__ == '__main__':
    if sys.version_info < (3, 10):  # noqa: UP036 - any Python may start it
        sys.exit(
            f'mmlgd needs Python 3.10 or newer; {sys.executable} is '
            f'{sys.version.split()[0]}. Name another: make env BOOTSTRAP=python3.11'
        )
    sys.exit(main())
