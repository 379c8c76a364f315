"""What a method needs before its first training, such as BINGO's bags; made once.

Beside the file or folder lie ``<name>.json``, what it is made from and, once it is
whole, what it cost; and a folder ``<name>`` with config, output and processor time.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from benchmarks.aside import free_place
from benchmarks.fingerprints import fingerprint
from benchmarks.locks import hold
from benchmarks.methods import Method, run_config
from mmengine.config import Config
from transfer.runs import ROOT, run_process

from mmlgd.errors import MMLGDError
from mmlgd.utils.atomic import write_atomically


def made_from(method: Method, short: bool) -> str:
    """Twelve hexadecimal digits of what the script makes its file from.

    Where the file lies, and where the repository, is no part of it.

    Args:
        method (Method): One with ``prepare``.
        short (bool): As for :func:`run_config`.
    """
    cfg = _script_config(method.reading(''), short)
    script, arguments = method.prepare['script'], method.prepare.get('arguments', [])
    parts = [cfg.train_dataloader.dataset, cfg.val_dataloader, cfg.model.teacher]
    return fingerprint([script, arguments, parts])


def prepare_method(method: Method, short: bool) -> None:
    """Run the method's script, unless what it writes is there.

    What a killed script left is gone on from; what was made from something else is
    moved aside.

    Args:
        method (Method): Its ``prepare`` tells the ``script``, which takes a config and
            ``--out``, and more ``arguments``.
        short (bool): As for :func:`run_config`.

    Raises:
        ConfigError: Another process makes it.
        MMLGDError: The script failed.
    """
    out, source = method.prepared, made_from(method, short)
    with hold(_folder(out)) as lock:
        told = _read(out)
        is_same, is_whole = told.get('made_from') == source, 'cpu_seconds' in told
        if is_same and is_whole and out.exists():
            return
        if is_whole or not is_same:
            _move_aside(out)
        print(f'{method.name}: {method.prepare["script"]}', flush=True)
        _tell(out, dict(made_from=source))
        seconds = _run_script(method, short, lock)
        _tell(out, dict(made_from=source, cpu_seconds=seconds))


def preparation_seconds(method: Method) -> float:
    """Processor time that the script took; 0 for a method that needs none."""
    return round(_read(method.prepared)['cpu_seconds'], 2) if method.prepared else 0.0


def _script_config(method: Method, short: bool) -> Config:
    read = method.prepare.get('config')
    source = replace(method, config=Path(read), options={}) if read else method
    # Of one seed for all: the images and their teacher are the same.
    return run_config(source, 0, _folder(method.prepared), short)


def _run_script(method: Method, short: bool, lock: int) -> float:
    """Run it; returns the processor time of this and of earlier attempts."""
    out, script = method.prepared, method.prepare['script']
    folder = _folder(out)
    folder.mkdir(exist_ok=True)
    _script_config(method, short).dump(folder / 'run.py')
    clock = folder / 'cpu_seconds.txt'
    command = [
        *(str(ROOT / 'tools/benchmarks/clocked.py'), str(clock)),
        *(str(ROOT / script), str(folder / 'run.py'), '--out', str(out)),
        *method.prepare.get('arguments', []),
    ]
    try:
        run_process(command, 1, folder / 'output.txt', [lock])
    except MMLGDError as error:
        raise MMLGDError(
            f'{script}, which prepares {out.name}, failed; {folder / "output.txt"} ends '
            'with the reason.'
        ) from error
    return float(clock.read_text(encoding='utf-8'))


def _move_aside(out: Path) -> None:
    there = [p for p in (out, out.with_suffix('.json'), _folder(out)) if p.exists()]
    if there:
        place = free_place(out.parents[1], out.stem)
        place.mkdir()
        for path in there:
            shutil.move(path, place)
        print(
            f'{out}: what it is made from has changed; the old one went to {place}.',
            flush=True,
        )


def _folder(out: Path) -> Path:
    return out.with_suffix('')


def _tell(out: Path, told: dict) -> None:
    write_atomically(out.with_suffix('.json'), json.dumps(told) + '\n')


def _read(out: Path) -> dict:
    path = out.with_suffix('.json')
    return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
