#!/usr/bin/env python3
"""Set up an environment for mmlgd: what `make env` and `make env-lite` run.

    python3 tools/setup_env.py                  # creates or repairs .venv
    python3 tools/setup_env.py --python PATH    # installs into that interpreter
    python3 tools/setup_env.py --lite           # without what needs a compiler

pip installs everything except mmcv, whose operators are compiled for the installed
torch. The compiled wheel is cached in ``~/.cache/mmlgd/wheels``. Only detection and
segmentation need the operators: ``--lite`` installs mmcv-lite in their place, leaves out
mmdet, mmseg and the tools of the tests, and keeps a full set-up as it is. In the user's own
interpreter, installed packages keep their versions. A second call needs no network: a
stamp records that the last one finished. Only the standard library is used.
"""

import argparse
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / '.cache/env'
MMCV = 'onedl-mmcv'
GROUPS = ('mminstall', 'runtime', 'export', 'export_openvino', 'tests')
#: mmcv without operators.
LITE = 'mmcv-lite'
LITE_GROUPS = ('mminstall', 'runtime')
#: What needs the operators.
LEFT_OUT = {MMCV, 'onedl-mmdetection', 'onedl-mmsegmentation'}
#: The forks install the same modules as the originals: never install both.
ORIGINALS = {
    'onedl-mmengine': 'mmengine',
    'onedl-mmcv': 'mmcv',
    'onedl-mmpretrain': 'mmpretrain',
    'onedl-mmdetection': 'mmdet',
    'onedl-mmsegmentation': 'mmsegmentation',
}
LITE_LIBS = 'torchvision, mmcv, mmpretrain.models, open_clip'
LIBS = f'{LITE_LIBS}, mmcv.ops, mmdet.models, mmseg.models'

_LIST = """
from importlib.metadata import distributions
for d in distributions(): print(d.metadata['Name'], d.version)
"""
# `import mmcv` alone succeeds with operators compiled for another torch release.
_OPERATORS = """
import torch, mmcv._ext
from mmcv.ops import get_compiling_cuda_version
print('cpu' if get_compiling_cuda_version() == 'not available' else 'cuda')
"""
_WHEEL_TAG = """
import sys, sysconfig, torch
device = 'cuda' if torch.cuda.is_available() else 'cpu'
print(torch.__version__, sys.implementation.cache_tag, sysconfig.get_platform(), device)
"""


class SetupFailed(Exception):
    """A step failed; the message states how to fix it."""


say = functools.partial(print, flush=True)  # unbuffered, also into a pipe


def normalise(requirement: str) -> str:
    """The normalised name in a requirement line: ``Open_CLIP>=2`` -> ``open-clip``."""
    name = re.split(r'[\s<>=!~;\[@]', requirement.strip(), maxsplit=1)[0]
    return re.sub(r'[-_.]+', '-', name).lower()


def requirement_lines(*files: str) -> list[str]:
    """The lines of requirement files, without comments and empty lines."""
    texts = [(ROOT / file).read_text() for file in files]
    lines = (line.partition('#')[0].strip() for line in '\n'.join(texts).splitlines())
    return [line for line in lines if line]


def make_venv(folder: Path) -> Path:
    """Create a virtual environment if there is none; return its interpreter."""
    python = folder / 'bin/python'
    if python.exists() and subprocess.run([python, '-c', '']).returncode == 0:
        return python
    say(f'Creating {folder} with Python {sys.version.split()[0]}')
    if subprocess.run([sys.executable, '-m', 'venv', '--clear', folder]).returncode:
        raise SetupFailed(
            'The virtual environment could not be created. On Debian and Ubuntu: apt-get install '
            'python3-venv. Or use an interpreter that has pip: make env PYTHON=/path'
        )
    return python


class Target:
    """The interpreter to set up.

    Args:
        python (str | Path): Its path.
        foreign (bool): It is the user's own.
        lite (bool): It gets mmcv-lite, and nothing that needs mmcv's operators.
    """

    def __init__(self, python: str | Path, foreign: bool, lite: bool = False) -> None:
        if shutil.which(python) is None:
            raise SetupFailed(f'PYTHON={python} is not an executable file.')
        # Links are not resolved: a virtual environment's python is a link.
        self.python = os.path.abspath(shutil.which(python))
        self.foreign = foreign
        self.lite = lite
        digest = hashlib.sha256(self.python.encode()).hexdigest()[:12]
        self.stamp = CACHE / f'stamp-{digest}{"-lite" if lite else ""}.txt'
        self.constraints = CACHE / f'constraints-{digest}.txt'

    def ask(self, code: str) -> str | None:
        """Output of Python code; None if it fails."""
        command = [self.python, '-W', 'ignore', '-c', code]
        result = subprocess.run(command, capture_output=True, text=True)
        return result.stdout.strip() if result.returncode == 0 else None

    def installed(self) -> dict[str, str]:
        """Versions of installed distributions, by normalised name."""
        lines = (self.ask(_LIST) or '').splitlines()
        return {normalise(line): line.split()[-1] for line in lines}

    def pip(self, *args: str, **options: object) -> None:
        """Run pip in the interpreter; its messages go to the terminal."""
        command = [self.python, '-m', 'pip', *args]
        # Compilers started by pip find ninja next to the interpreter.
        path = os.path.dirname(self.python) + os.pathsep + os.environ.get('PATH', '')
        env = {**os.environ, 'PATH': path, **options.pop('env', {})}
        if subprocess.run(command, env=env, **options).returncode != 0:
            raise SetupFailed(
                f'{" ".join(command)} failed. pip reads your own index configuration; '
                'without network access, set PIP_FIND_LINKS to a folder of wheels.'
            )


def wanted_requirements(installed: dict[str, str], lite: bool = False) -> list[str]:
    """All requirement lines, except forks whose original is installed."""
    groups = LITE_GROUPS if lite else GROUPS
    lines = requirement_lines(*(f'requirements/{name}.txt' for name in groups))
    if lite:
        lines = [line for line in lines if normalise(line) not in LEFT_OUT]
        # The full set gets it through mmdetection.
        if 'opencv-python-headless' not in installed:
            lines.append('opencv-python')
    return [line for line in lines if ORIGINALS.get(normalise(line)) not in installed]


def constraint_lines(kept: dict[str, str]) -> list[str]:
    """The pinned versions, replaced by those in ``kept``."""
    pins = [x for x in requirement_lines('constraints.txt') if normalise(x) not in kept]
    return pins + [f'{name}=={version}' for name, version in kept.items()]


def current_stamp(target: Target) -> str:
    """Stamp of the files that define the environment and of the installed versions."""
    files = [ROOT / 'setup.py', ROOT / 'constraints.txt', Path(__file__)]
    files += (ROOT / 'requirements').glob('*.txt')
    digest = hashlib.sha256(b''.join(file.read_bytes() for file in sorted(files)))
    installed = target.installed()
    names = {*map(normalise, wanted_requirements(installed, target.lite)), 'mmlgd'}
    versions = [f'{name}=={installed.get(name)}' for name in sorted(names)]
    return '\n'.join([digest.hexdigest(), *versions])


def operators_fit(target: Target) -> bool:
    """Whether mmcv's operators load, for CUDA if ``FORCE_CUDA=1`` is set."""
    state = target.ask(_OPERATORS)
    return state == 'cuda' if os.environ.get('FORCE_CUDA') == '1' else state is not None


def is_ready(target: Target) -> bool:
    """Whether the last set-up of this kind finished and nothing has changed since."""
    if not target.stamp.exists() or target.stamp.read_text() != current_stamp(target):
        return False
    return has_mmcv(target) if target.lite else operators_fit(target)


def has_mmcv(target: Target) -> bool:
    """Whether an mmcv is installed, with operators or without."""
    return not {MMCV, ORIGINALS[MMCV], LITE}.isdisjoint(target.installed())


def provide_mmcv_lite(target: Target) -> None:
    """Provide mmcv-lite, unless there is an mmcv.

    Without its requirements: it names the original mmengine, which is the same module
    as its fork.
    """
    if has_mmcv(target):
        say('      The installed mmcv is kept')
        return
    pin = next(x for x in requirement_lines('constraints.txt') if normalise(x) == LITE)
    target.pip('install', '-q', '--no-deps', pin)


def provide_mmcv(target: Target) -> None:
    """Provide mmcv with working operators: the installed one, a cached or a new wheel.

    pip's cache identifies compiled wheels by version only and could return one for
    another torch release, so it is not used.
    """
    if operators_fit(target):
        say('      The installed mmcv works and is kept')
        return
    installed = target.installed()
    if 'mmcv' in installed:
        where = f'The mmcv in {target.python} does not load with its torch'
        raise SetupFailed(f'{where}: install one that does, or uninstall it.')
    pin = next(x for x in requirement_lines('constraints.txt') if normalise(x) == MMCV)
    cache = os.environ.get('MMLGD_WHEELS') or Path.home() / '.cache/mmlgd/wheels'
    tag = f'{target.ask(_WHEEL_TAG)}{os.environ.get("FORCE_CUDA", "")}'
    folder = Path(cache) / re.sub(r'[^\w.-]', '_', tag)
    name = f'onedl_mmcv-{pin.partition("==")[2]}-*.whl'
    if not list(folder.glob(name)):
        compile_mmcv(target, pin, folder)
    (wheel,) = folder.glob(name)
    say(f'      {wheel}')
    if LITE in installed:  # the same module
        target.pip('uninstall', '-q', '-y', LITE)
    target.pip('install', '-q', '--force-reinstall', '--no-deps', str(wheel))
    if not operators_fit(target):
        wheel.unlink()
        raise SetupFailed('mmcv is installed, but mmcv._ext does not import.')


def compile_mmcv(target: Target, pin: str, folder: Path) -> None:
    """Compile a wheel of mmcv into a folder, atomically."""
    if not (shutil.which('c++') or shutil.which('g++')):
        raise SetupFailed('mmcv must be compiled: apt-get install g++, or similar.')
    say(f'      Compiling {pin}: 10 to 25 CPU minutes, several times that for CUDA;')
    say(f'      FORCE_CUDA=0 compiles for the CPU only. Log: {CACHE}/mmcv_build.log')
    part = folder.with_name(f'{folder.name}.part{os.getpid()}')
    jobs = os.environ.get('MAX_JOBS') or str(os.cpu_count())
    # Takes less than half the time of Python's default flags, -g -O3.
    env = dict(CFLAGS='-g0 -O2', MAX_JOBS=jobs)
    flags = '-v --no-cache-dir --no-deps --no-build-isolation --no-binary'.split()
    with open(CACHE / 'mmcv_build.log', 'w') as log:
        wheel = ('wheel', *flags, MMCV, '--wheel-dir', str(part), pin)
        target.pip(*wheel, env=env, stdout=log, stderr=log)
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in part.glob('*.whl'):
        wheel.replace(folder / wheel.name)
    shutil.rmtree(part)


def install(target: Target) -> None:
    """Install everything into the interpreter; pip skips installed packages."""
    installed = target.installed()
    lines = wanted_requirements(installed, target.lite)
    constraints = constraint_lines(installed if target.foreign else {})
    target.constraints.write_text('\n'.join(constraints) + '\n')

    def constrained(*requirements: str) -> None:
        target.pip('install', '-q', '-c', str(target.constraints), *requirements)

    say('[1/4] Build tools and torch (up to 3 GB with CUDA)')
    torch = [line for line in lines if normalise(line) in ('torch', 'torchvision')]
    constrained('setuptools', 'wheel', 'ninja', 'packaging', *torch)
    say('[2/4] OpenMMLab libraries, open_clip and the rest')
    constrained(*[line for line in lines if normalise(line) != MMCV])
    say(f'[3/4] {LITE if target.lite else "mmcv"}')
    (provide_mmcv_lite if target.lite else provide_mmcv)(target)
    say('[4/4] mmlgd, in editable form')
    target.pip('install', '-q', '--no-deps', '--no-build-isolation', '-e', str(ROOT))
    modules = LITE_LIBS if target.lite else LIBS
    if target.ask(f'import {modules}') is None:
        libraries = 'for libGL.so.1: apt-get install libgl1 libglib2.0-0'
        raise SetupFailed(f'{target.python} cannot import {modules} ({libraries}).')
    subprocess.run([target.python, str(ROOT / 'tools/collect_env.py')])
    target.stamp.write_text(current_stamp(target))


def main() -> None:
    """Set up from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--python', help='install into this interpreter, not .venv')
    parser.add_argument(
        '--lite',
        action='store_true',
        help='for distillation and classification only, in minutes and without compiling',
    )
    args = parser.parse_args()
    started = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        python, foreign = args.python or make_venv(ROOT / '.venv'), bool(args.python)
        target = full = Target(python, foreign)
        if args.lite:
            target = Target(python, foreign, lite=True)
        # The full set-up serves both.
        if not is_ready(full) and (target is full or not is_ready(target)):
            say(f'Setting up {target.python}')
            install(target)
    except SetupFailed as error:
        sys.exit(f'make env{"-lite" if args.lite else ""}: {error}')
    say(f'Environment is ready: {target.python} ({time.monotonic() - started:.0f} s)')


if __name__ == '__main__':
    if sys.version_info < (3, 10):  # noqa: UP036 - may be started by any Python
        sys.exit('mmlgd needs Python 3.10 or newer: make env BOOTSTRAP=python3.11')
    main()
