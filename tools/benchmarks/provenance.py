"""Who made a figure: command, commit, code, machine, versions, date."""

import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from benchmarks.fingerprints import code_fingerprint
from transfer.runs import ROOT

from mmlgd.dependencies import GATES, installed_distributions
from mmlgd.utils.collect_env import git_revision


def provenance() -> dict:
    """What is to be kept with a figure that this process makes now.

    Returns:
        dict: ``date`` (str, UTC), ``command``, ``commit`` ('' outside of git),
        ``code``, ``machine`` and ``versions`` (dict, by distribution).
    """
    versions = dict(Python=platform.python_version())
    for gate in GATES:
        for name, number in installed_distributions(gate).items():
            versions[name] = str(number)
    return dict(
        date=datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        command=shlex.join(['python', *sys.argv]),
        commit=git_revision(ROOT),
        code=code_fingerprint(),
        machine=f'{os.cpu_count()} cores, {_processor()}, {platform.system()}',
        versions=versions,
    )


def _processor() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as lines:
            names = [
                line.split(':')[1].strip() for line in lines if 'model name' in line
            ]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def describe_makers(runs: Sequence[dict]) -> list[str]:
    """Lines of Markdown on who made the figures of some runs.

    Args:
        runs (Sequence[dict]): Those of ``Run.result``. What was made before runs kept
            it tells commit and code alone.
    """
    made = [part for run in runs for part in run['made'].values()]
    # A killed training may have ended with another code than it began with.
    begun = [run for run in runs if 'training' in run['made']]
    commits = sorted({part['commit'] for part in [*made, *begun]} - {''})
    codes = {part['code'] for part in [*made, *begun]}
    told = sorted((part for part in made if 'date' in part), key=lambda p: p['date'])
    partly = ' (of the runs that tell)' if len(told) < len(made) else ''
    versions = (
        ', '.join(f'{name} {number}' for name, number in part['versions'].items())
        for part in told
    )
    return [
        f'- runs made at commit {", ".join(commits) or "?"}; one state of the code: '
        f'{"yes" if len(codes) < 2 else "no"}',
        *_distinct(
            (f'`{part["command"]}`' for part in told), f'- measured by{partly} '
        ),
        *_distinct((part['machine'] for part in told), f'- measured on{partly} '),
        *_distinct(versions, f'- measured with{partly} '),
    ]


def _distinct(texts: Iterable[str], beginning: str) -> list[str]:
    return [beginning + text for text in dict.fromkeys(texts)]
