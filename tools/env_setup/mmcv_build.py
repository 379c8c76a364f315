"""Compile mmcv's operators: for which devices, and how."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from .common import (
    ROOT,
    SetupFailed,
    Target,
    constraint_lines,
    distribution_name,
    say,
)

MMCV = 'onedl-mmcv'
LOG = ROOT / '.cache/env/mmcv_build.log'


def mmcv_pin() -> str:
    """The pinned requirement, such as ``onedl-mmcv==2.3.6``."""
    return next(line for line in constraint_lines() if distribution_name(line) == MMCV)


def wheels_in(folder: Path) -> list[Path]:
    """The wheels of the pinned mmcv in a folder."""
    version = mmcv_pin().partition('==')[2].partition(';')[0].strip()
    return sorted(folder.glob(f'onedl_mmcv-{version}-*.whl'))


def cuda_architectures(facts: dict) -> str:
    """The GPU architectures to compile for; '' asks for CPU operators.

    ``FORCE_CUDA=1`` asks for CUDA operators on a machine without a GPU (a login
    node; name the architectures in ``TORCH_CUDA_ARCH_LIST``), ``FORCE_CUDA=0``
    for none on a machine with one. Without an nvcc of torch's own major version
    the operators cannot be compiled: that is said, and the CPU's are.
    """
    forced = os.environ.get('FORCE_CUDA')
    listed = os.environ.get('TORCH_CUDA_ARCH_LIST', '')
    architectures = listed or ';'.join(facts['capabilities']) or 'default'
    if forced == '0' or (forced != '1' and not facts['capabilities']):
        return ''
    release = nvcc_release(facts['cuda_home'])
    if release.split('.')[0] == str(facts['cuda']).split('.')[0]:
        return architectures
    say(
        f'      A GPU is to be served, but torch {facts["torch"]} needs nvcc '
        f'{facts["cuda"]} and {release or "none"} was found (CUDA_HOME='
        f'{facts["cuda_home"]}). Operators for the CPU only: enough for distillation '
        f'and classification. For the others, point CUDA_HOME at a matching toolkit '
        f'and call `make env` again.'
    )
    return ''


def nvcc_release(cuda_home: str | None) -> str:
    """Release of a toolkit's nvcc, such as ``13.0``; '' where there is none."""
    nvcc = Path(cuda_home or '') / 'bin/nvcc'
    if not cuda_home or not nvcc.exists():
        return ''
    text = subprocess.run([nvcc, '--version'], capture_output=True, text=True).stdout
    found = re.search(r'release (\d+\.\d+)', text)
    return found.group(1) if found else ''


def build_environment(target: Target, architectures: str) -> dict[str, str]:
    """The environment variables that mmcv's setup script reads.

    ``-g0 -O2`` in place of Python's own ``-g -O3`` takes less than half the time.
    """
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, 'sched_getaffinity')
        else os.cpu_count()
    )
    env = {**target.environment(), 'CFLAGS': '-g0 -O2'}
    env.setdefault('MAX_JOBS', str(cores))
    env['FORCE_CUDA'] = '1' if architectures else '0'
    if not architectures:
        env['CUDA_VISIBLE_DEVICES'] = ''  # the script builds for a GPU it sees
    return env


def compile_wheel(target: Target, folder: Path, architectures: str) -> Path:
    """Compile mmcv into ``folder``, telling how far it is; the log is kept.

    Raises:
        SetupFailed: If there is no compiler, or it fails.
    """
    if shutil.which('c++') is None and shutil.which('g++') is None:
        raise SetupFailed(
            'mmcv has to be compiled, and there is no C++ compiler. On Debian and '
            'Ubuntu: apt-get install g++. Or hand over a wheel built elsewhere: '
            'MMLGD_FIND_LINKS=/folder make env'
        )
    env = build_environment(target, architectures)
    kind = f'CUDA ({architectures})' if architectures else 'CPU'
    say(f'      Compiling {mmcv_pin()} for {kind}, {env["MAX_JOBS"]} jobs at once:')
    say('      10 to 20 CPU-minutes for CPU operators, several times that for CUDA')
    command = [
        *(target.python, '-m', 'pip', 'wheel', '-v', '--no-cache-dir', '--no-deps'),
        *('--no-build-isolation', '--no-binary', MMCV, '--wheel-dir', str(folder)),
        mmcv_pin(),
    ]
    started = time.monotonic()
    with open(LOG, 'w') as stream:
        job = subprocess.Popen(command, env=env, stdout=stream, stderr=stream)
        watch(job, started)
    built = wheels_in(folder)
    if job.returncode != 0 or not built:
        tail = '\n'.join(LOG.read_text(errors='replace').splitlines()[-30:])
        raise SetupFailed(f'mmcv did not compile. The end of {LOG}:\n{tail}')
    say(f'      compiled in {time.monotonic() - started:.0f} s')
    return built[0]


def watch(job: subprocess.Popen, started: float) -> None:
    """Wait for the compilation, with a sign of life every half minute."""
    while True:
        try:
            job.wait(timeout=30)
            return
        except subprocess.TimeoutExpired:
            steps = re.findall(r'\[(\d+/\d+)\]', LOG.read_text(errors='replace'))
            done = f'{steps[-1]} files, ' if steps else ''
            say(f'      {done}{time.monotonic() - started:.0f} s')
