"""Results as JSON, with their origin: command, commit, versions, machine, date."""

import json
import os
import platform
import shlex
import sys
from datetime import datetime, timezone

import torch

from benchmarks import ROOT
from mmlgd.dependencies import REQUIREMENTS, installed_distributions
from mmlgd.utils.collect_env import git_revision


def machine_class() -> str:
    """Hardware that determines the speed: processor, instruction set, cores, GPU.

    The instruction set is the one that torch uses. Without AVX-512, the backward pass
    of a depthwise convolution takes up to twice the time.
    """
    parts = [
        f'{os.cpu_count()} cores, {_processor_name()}',
        torch.backends.cpu.get_cpu_capability(),
        platform.system(),
    ]
    if torch.cuda.is_available():
        parts.insert(0, torch.cuda.get_device_name())
    return ', '.join(parts)


def _processor_name() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as lines:
            for line in lines:
                if line.startswith('model name'):
                    return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def provenance() -> dict:
    """Information to store with a result of this process.

    Returns:
        dict: ``date`` (str, UTC), ``command``, ``commit`` ('' outside of git),
        ``machine`` and ``versions`` (dict, by distribution).
    """
    versions = dict(Python=platform.python_version())
    for requirement in REQUIREMENTS:
        for name, number in installed_distributions(requirement).items():
            versions[name] = str(number)
    return dict(
        date=datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        command=shlex.join(['python', *sys.orig_argv[1:]]),
        commit=git_revision(ROOT),
        machine=machine_class(),
        versions=versions,
    )


def dump_rows(result: dict) -> str:
    """A dict as JSON with one line for each of its ``rows``, for readable diffs."""
    rows = [json.dumps(row, ensure_ascii=False) for row in result.get('rows', [])]
    head = json.dumps({**result, 'rows': None}, indent=1, ensure_ascii=False)
    listed = ',\n  '.join(rows)
    return head.replace('"rows": null', f'"rows": [\n  {listed}\n ]') + '\n'
