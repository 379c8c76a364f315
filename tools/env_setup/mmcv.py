"""Provide mmcv with its compiled operators.

In this order: keep what imports; a wheel from our cache; a prebuilt wheel from
pip's index or ``MMLGD_FIND_LINKS``; compile. Whatever is installed counts only
once ``mmcv._ext`` imports: a wheel built for another torch installs, and even
``import mmcv`` passes, but its operators do not load. For the same reason pip's
own cache, which knows a built wheel by its version only, is never used for mmcv.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from .common import SetupFailed, Target, say
from .mmcv_build import (
    LOG,
    MMCV,
    compile_wheel,
    cuda_architectures,
    mmcv_pin,
    wheels_in,
)

_STATE = """
import torch, mmcv._ext
from mmcv.ops import get_compiling_cuda_version
print('cpu' if get_compiling_cuda_version() == 'not available' else 'cuda')
"""
_PLATFORM = """
import json, sys, sysconfig, torch
from torch.utils.cpp_extension import CUDA_HOME
visible = torch.cuda.is_available()
print(json.dumps({
    'torch': torch.__version__, 'cuda': torch.version.cuda, 'cuda_home': CUDA_HOME,
    'abi': 'cp%d%d' % sys.version_info[:2], 'platform': sysconfig.get_platform(),
    'capabilities': sorted({'%d.%d' % torch.cuda.get_device_capability(i)
        for i in range(torch.cuda.device_count())}) if visible else []}))
"""


def mmcv_state(target: Target) -> str | None:
    """'cuda' or 'cpu' for the operators that import; None where none do."""
    result = target.run('-W', 'ignore', '-c', _STATE, quiet=True)
    return result.stdout.split()[-1] if result.returncode == 0 else None


def platform_facts(target: Target) -> dict:
    """What decides which mmcv wheel fits the target."""
    return json.loads(target.run('-c', _PLATFORM, quiet=True).stdout)


def mmcv_fits(target: Target) -> bool:
    """Whether the operators import and serve the devices they are wanted for.

    Looks for devices only where there may be one: that costs seconds.
    """
    state = mmcv_state(target)
    if state != 'cpu' or target.foreign:
        return state is not None
    gpu = shutil.which('nvidia-smi') or os.environ.get('FORCE_CUDA') == '1'
    return not (gpu and cuda_architectures(platform_facts(target)))


def cache_folder(facts: dict, architectures: str) -> Path:
    """Where wheels for this torch, Python, platform and device kind are kept."""
    default = Path.home() / '.cache/mmlgd/wheels'
    ops = 'cpuops'
    if architectures:
        ops = 'cudaops-' + re.sub(r'[^0-9A-Za-z.+]+', '_', architectures)
    torch = facts['torch'].replace('+', '-')
    platform = re.sub(r'[^0-9A-Za-z]+', '_', facts['platform'])
    folder = f'torch{torch}-{facts["abi"]}-{platform}-{ops}'
    return Path(os.environ.get('MMLGD_WHEELS') or default) / folder


def try_wheel(target: Target, wheel: Path, wanted: str) -> bool:
    """Install a wheel; take it out again unless its operators import."""
    command = ('-m', 'pip', 'install', '-q', '--force-reinstall', '--no-deps')
    installed = target.run(*command, '--no-cache-dir', str(wheel), quiet=True)
    if installed.returncode == 0 and mmcv_state(target) in (wanted, 'cuda'):
        return True
    say(f'      {wheel.name} does not fit this torch: not used')
    target.run('-m', 'pip', 'uninstall', '-y', '-q', MMCV, quiet=True)
    return False


def download_wheel(target: Target, folder: Path) -> list[Path]:
    """Ask pip's index, and the user's links, for a prebuilt wheel."""
    links = os.environ.get('MMLGD_FIND_LINKS')
    extra = ('--find-links', links) if links else ()
    target.run(
        *('-m', 'pip', 'download', '-q', '--no-cache-dir', '--only-binary=:all:'),
        *('--no-deps', '--dest', str(folder), *extra, mmcv_pin()),
        quiet=True,
    )
    return wheels_in(folder)


def keep_wheel(wheel: Path, folder: Path) -> None:
    """Put a wheel that works into the cache, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f'{wheel.name}.part{os.getpid()}'
    shutil.copyfile(wheel, part)
    part.replace(folder / wheel.name)


def provide_mmcv(target: Target) -> None:
    """See to it that ``mmcv._ext`` imports in the target, as this module says.

    Raises:
        SetupFailed: If nothing fits and compiling fails, or if the interpreter is
            the user's and holds an original mmcv that does not load.
    """
    facts = platform_facts(target)
    architectures = cuda_architectures(facts)
    wanted = 'cuda' if architectures else 'cpu'
    state = mmcv_state(target)
    original = target.distributions().get('mmcv')
    if state == 'cuda' or state == wanted or (state and target.foreign):
        say(f'      The installed mmcv imports ({state} operators): kept')
        return
    if original:
        raise SetupFailed(
            f'mmcv {original} is installed in {target.python}, but mmcv._ext does not '
            f'import with torch {facts["torch"]}. Install an mmcv built for this torch '
            f'(mim install mmcv), or uninstall it and call `make env` again.'
        )
    install_wheel(target, cache_folder(facts, architectures), architectures)


def install_wheel(target: Target, cache: Path, architectures: str) -> None:
    """Install the first wheel that works: cached, prebuilt, or compiled now."""
    wanted = 'cuda' if architectures else 'cpu'
    for wheel in wheels_in(cache):
        say(f'      From the cache: {wheel}')
        if try_wheel(target, wheel, wanted):
            return
        wheel.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        for wheel in download_wheel(target, Path(scratch)):
            say(f'      Prebuilt: {wheel.name}')
            if try_wheel(target, wheel, wanted):
                keep_wheel(wheel, cache)
                return
            wheel.unlink()
        wheel = compile_wheel(target, Path(scratch), architectures)
        if not try_wheel(target, wheel, wanted):
            raise SetupFailed(
                f'mmcv compiled, but mmcv._ext does not import afterwards. Log: {LOG}'
            )
        keep_wheel(wheel, cache)
