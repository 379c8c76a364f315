"""The results of the rows as JSON, as text, and as a section of docs/speed.md."""

import json
import platform
import subprocess
from pathlib import Path

import torch

from benchmarks import ROOT
from benchmarks.gpu.rows import ROWS
from benchmarks.provenance import dump_rows, provenance
from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import write_atomically

PUBLISHED = ROOT / 'docs/benchmarks/speed/gpu_acceptance.json'
DOCS = ROOT / 'docs/speed.md'
_BEGIN, _END = '<!-- gpu_acceptance: begin -->', '<!-- gpu_acceptance: end -->'
#: Results are merged if these are equal.
_SAME = ('commit', 'machine', 'driver', 'dry_run')


def conditions(dry: bool) -> dict:
    """Machine, driver, versions and commit."""
    query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    try:
        done = subprocess.run(query, capture_output=True, text=True)
        driver = ' '.join(done.stdout.split()[:1])
    except OSError:
        driver = ''
    found = provenance()
    found['versions'].update(cuda=torch.version.cuda, system=platform.platform())
    if torch.backends.cudnn.is_available():
        found['versions']['cudnn'] = torch.backends.cudnn.version()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return dict(found, driver=driver, gpus=gpus, dry_run=dry)


def read(path: Path) -> dict:
    """A result file.

    Raises:
        ConfigError: It is missing, or is not a result.
    """
    try:
        result = json.loads(path.read_text(encoding='utf-8'))
        if {'rows', *_SAME} <= set(result):
            return result
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f'{path} cannot be read: {error}.') from error
    raise ConfigError(f'{path} is not a result of benchmarks.gpu_acceptance.')


def merge(path: Path, head: dict, rows: list[dict]) -> dict:
    """Write rows to a result file, with those of other parts that are already there.

    Rows of another commit, machine or driver are dropped.
    """
    kept = {}
    if path.is_file():
        before = read(path)
        if all(before[key] == head[key] for key in _SAME):
            kept = {row['name']: row for row in before['rows']}
    kept.update({row['name']: row for row in rows})
    order = [row.name for row in ROWS]
    result = dict(head, rows=[kept[name] for name in order if name in kept])
    write_atomically(path, dump_rows(result))
    return result


def section(result: dict | None) -> str:
    """The table of docs/speed.md, between its marks; without a result, 'not run'."""
    found = {row['name']: row for row in result['rows']} if result else {}
    lines = [_BEGIN]
    if result:
        versions = result['versions']
        lines += [
            f'{result["machine"]}, driver {result["driver"]}, torch '
            f'{versions.get("torch")}, CUDA {versions.get("cuda")}, commit '
            f'{result["commit"][:7]}, {result["date"]}.',
            '',
        ]
    lines += ['| row | wanted | found | |', '|---|---|---|---|']
    for row in ROWS:
        done = found.get(row.name, dict(figure='', state='not run'))
        figure = done['figure'].replace('|', '/')
        lines.append(f'| {row.name} | {row.wanted} | {figure} | {done["state"]} |')
    return '\n'.join([*lines, _END])


def published_section() -> str:
    """The section of the published result, if there is one."""
    return section(read(PUBLISHED) if PUBLISHED.is_file() else None)


def write_docs(path: Path | None) -> None:
    """Publish a result (None: the one that is published) in docs/speed.md.

    Raises:
        ConfigError: The result is of a dry run or cannot be read, or the page has no
            marks.
    """
    if path is not None:
        result = read(path)
        if result['dry_run']:
            raise ConfigError(f'{path} is of a dry run, which shows nothing of a GPU.')
        rows = [{k: v for k, v in row.items() if k != 'data'} for row in result['rows']]
        write_atomically(PUBLISHED, dump_rows(dict(result, rows=rows)))
    text = DOCS.read_text(encoding='utf-8')
    if _BEGIN not in text or _END not in text:
        raise ConfigError(f'{DOCS} has no lines {_BEGIN} and {_END}.')
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    write_atomically(DOCS, f'{before}{published_section()}{after}')
    print(f'Written: {DOCS}')
