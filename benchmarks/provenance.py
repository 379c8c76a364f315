"""Figures as JSON, and who made them: command, commit, versions, machine, date."""

import json
import os
import platform
import shlex
import sys
from datetime import datetime, timezone

import torch

from benchmarks import ROOT
from mmlgd.dependencies import GATES, installed_distributions
from mmlgd.utils.collect_env import git_revision


def machine_class() -> str:
    """What decides the speed of a process: processor, instructions, cores, GPU.

    The instructions are those that torch uses: a processor without AVX-512 takes up to
    twice the time for the backward pass of a depthwise convolution.
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
    """What is to be kept with a figure that this process makes now.

    Returns:
        dict: ``date`` (str, UTC), ``command``, ``commit`` ('' outside of git),
        ``machine`` and ``versions`` (dict, by distribution).
    """
    versions = dict(Python=platform.python_version())
    for gate in GATES:
        for name, number in installed_distributions(gate).items():
            versions[name] = str(number)
    return dict(
        date=datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        command=shlex.join(['python', *sys.orig_argv[1:]]),
        commit=git_revision(ROOT),
        machine=machine_class(),
        versions=versions,
    )


def dump_rows(result: dict) -> str:
    """A dict as JSON, one line for each of its ``rows``: short, and plain in a diff."""
    rows = [json.dumps(row, ensure_ascii=False) for row in result.get('rows', [])]
    head = json.dumps({**result, 'rows': None}, indent=1, ensure_ascii=False)
    listed = ',\n  '.join(rows)
    return head.replace('"rows": null', f'"rows": [\n  {listed}\n ]') + '\n'
