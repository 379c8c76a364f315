"""What a method needs before its first training, such as BINGO's bags; made once."""

import json
import resource
from dataclasses import replace
from pathlib import Path

from benchmarks.fingerprints import fingerprint
from benchmarks.locks import hold
from benchmarks.plan import Method, run_config
from transfer.runs import ROOT, run_process

from mmlgd.utils.atomic import write_atomically


def prepare_method(method: Method, short: bool) -> None:
    """Run the method's script, unless what it writes is there.

    Args:
        method (Method): Its ``prepare`` tells the ``script``, which takes a config and
            ``--out``, and more ``arguments``.
        short (bool): As for :func:`run_config`.

    Raises:
        MMLGDError: The script failed.
    """
    out = method.prepared
    folder = out.with_suffix('')
    # Of one seed for all: the images and their teacher are the same.
    read = method.prepare.get('config')
    source = replace(method, config=Path(read), options={}) if read else method
    cfg = run_config(source, 0, folder, short)
    parts = [cfg.train_dataloader.dataset, cfg.val_dataloader, cfg.model.teacher]
    made_from = fingerprint([method.prepare, parts])
    with hold(folder) as lock:
        if out.exists() and _read(out).get('made_from') == made_from:
            return
        print(f'{method.name}: {method.prepare["script"]}', flush=True)
        folder.mkdir(exist_ok=True)
        cfg.dump(folder / 'run.py')
        script = str(ROOT / method.prepare['script'])
        more = method.prepare.get('arguments', [])
        command = [script, str(folder / 'run.py'), '--out', str(out), *more]
        before = _children_seconds()
        run_process(command, 1, folder / 'output.txt', [lock])
        told = dict(made_from=made_from, cpu_seconds=_children_seconds() - before)
        write_atomically(out.with_suffix('.json'), json.dumps(told) + '\n')


def preparation_seconds(method: Method) -> float:
    """Processor time that the script took; 0 for a method that needs none."""
    return round(_read(method.prepared)['cpu_seconds'], 2) if method.prepared else 0.0


def _read(out: Path) -> dict:
    path = out.with_suffix('.json')
    return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}


def _children_seconds() -> float:
    """Processor time of the processes that have ended; nothing else runs meanwhile."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
