"""Completes runs: trains, evaluates, and keeps one JSON file per run.

``result.json`` in a run's folder contains ``inputs``, the inputs of the training;
``command``, ``commit``, ``versions``, ``machine`` and ``date``; ``training``, its cost;
and ``evaluations``, by split and name, with their inputs.
"""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmengine.config import Config

from benchmarks import ROOT
from benchmarks.comparison.methods import Method, run_config
from benchmarks.comparison.plan import Benchmark
from benchmarks.comparison.scene_transfer import measure_transfer, prepare_scenes
from benchmarks.inputs import changed_inputs, describe_inputs
from benchmarks.provenance import provenance
from demo.scenes.runs import run_process
from mmlgd.errors import ConfigError, MMLGDError
from mmlgd.utils.atomic import write_atomically

_NO_TRAINING = {'work_dir', 'val_dataloader', 'test_dataloader', 'labelled_dataloader'}


@dataclass(frozen=True)
class Run:
    """A method with a seed, and its files on disk."""

    benchmark: Benchmark
    method: Method
    seed: int

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return f'{self.method.name}_seed{self.seed}'

    @property
    def folder(self) -> Path:
        """Its work directory."""
        return self.benchmark.work_dir / 'runs' / self.name

    @property
    def prepared(self) -> Path | None:
        """Output of its method's script, common to all runs that use it."""
        prepare = self.method.prepare
        return prepare and self.benchmark.work_dir / 'prepared' / prepare['out']

    def config(self, prepared: str = '') -> Config:
        """Config of its training."""
        return run_config(self.benchmark, self.method, self.seed, self.folder, prepared)

    @cached_property
    def settings(self) -> dict:
        """Inputs of its config, without the output of its method's script."""
        return self.config().to_dict()

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Inputs of its training, including those of the script's output."""
        settings = {k: v for k, v in self.settings.items() if k not in _NO_TRAINING}
        return describe_inputs([settings, self.method.prepare, self.method.role])

    def evaluation_inputs(self, name: str, split: str) -> dict[str, str]:
        """Inputs of an evaluation, in addition to the training."""
        parts = ('labelled', 'val', split)
        loaders = [self.settings[f'{part}_dataloader'] for part in parts]
        return describe_inputs([self.benchmark.settings[name], loaders])

    def read(self) -> dict:
        """Content of ``result.json``; {} if there is none."""
        path = self.folder / 'result.json'
        return json.loads(path.read_text('utf-8')) if path.is_file() else {}

    def write(self, state: dict) -> None:
        """Replace ``result.json``."""
        write_atomically(self.folder / 'result.json', json.dumps(state, indent=1))

    def result(self, split: str) -> dict:
        """Results of the run that match the current inputs.

        As in ``result.json``, with the ``evaluations`` of this split by name; {} without
        results; ``dict(stale=[...])`` if the results were made from other inputs.
        """
        if not (state := self.read()):
            return {}
        if changed := changed_inputs(state['inputs'], self.inputs):
            return dict(stale=changed)
        found = {}
        for name in self.benchmark.evaluations:
            kept = state['evaluations'].get(f'{split}/{name}')
            if kept and kept['inputs'] == self.evaluation_inputs(name, split):
                found[name] = kept['values']
        return dict(state, evaluations=found)


def complete(run: Run, evaluations: Sequence[str], split: str) -> None:
    """Complete a run whose method is prepared; MMLGDError if a process fails."""
    known = run.result(split)
    if 'stale' in known:
        changed = ', '.join(known.pop('stale'))
        print(f'{run.name}: stale, running again; changed: {changed}', flush=True)
    if not known:
        # Without its state, the folder cannot be resumed.
        shutil.rmtree(run.folder, ignore_errors=True)
        known = dict(inputs=run.inputs, **provenance(), evaluations={})
        run.write(known)
    done = {*known['evaluations'], *run.method.skip}
    missing = [name for name in evaluations if name not in done]
    if missing or (run.method.role == 'student' and 'training' not in known):
        state = {key: each for key, each in run.read().items() if key != 'failed'}
        try:
            _work(run, state, missing, split)
        except MMLGDError as error:
            state['failed'] = str(error)
            raise
        finally:
            run.write(state)


def _work(run: Run, state: dict, evaluations: Sequence[str], split: str) -> None:
    """Train and evaluate; ``state`` has the progress even after a failure."""
    folder, settings = run.folder, run.benchmark.settings
    cfg = run.config(str(run.prepared or ''))
    cfg.comparison = dict(role=run.method.role, seed=run.seed, split=split)
    quick = {name: settings[name] for name in evaluations if name != 'transfer'}
    cfg.comparison['evaluations'] = quick
    cfg.dump(folder / 'run.py')
    try:
        if run.method.program and not (folder / 'training_cost.json').is_file():
            _train_elsewhere(run.method.program, folder)
        command = ['-m', 'benchmarks.comparison.run', str(folder)]
        run_process(command, 1, folder / 'output.txt')
    finally:
        if (cost := folder / 'training_cost.json').is_file():
            state['training'] = json.loads(cost.read_text('utf-8'))
            state['training']['batch_size'] = run.benchmark.batch_size
            seconds = 0.0
            if run.prepared and run.method.prepare.get('is_counted', True):
                made = json.loads(_made(run.prepared).read_text('utf-8'))
                seconds = made['cpu_seconds']
            state['training']['preparation_seconds'] = seconds
    values = json.loads((folder / 'evaluations.json').read_text('utf-8'))
    if 'transfer' in evaluations:
        start = folder / 'backbone.pth' if run.method.role == 'student' else None
        place = run.benchmark.work_dir / 'transfer' / run.name
        found = measure_transfer(place, start, run.seed, settings['transfer'])
        values['transfer'] = found
    for name, value in values.items():
        inputs = run.evaluation_inputs(name, split)
        state['evaluations'][f'{split}/{name}'] = dict(inputs=inputs, values=value)


def interpreter(program: dict) -> Path:
    """The interpreter of another program.

    Raises:
        ConfigError: Its environment does not exist.
    """
    python = Path(program['python'])
    if not python.is_file():
        raise ConfigError(
            f'{python}, the environment of {program["module"]}, does not exist; '
            'docs/own_data.md says how to create it.'
        )
    return python.absolute()


def _train_elsewhere(program: dict, folder: Path) -> None:
    command = ['-m', program['module'], str(folder)]
    run_process(command, 1, folder / 'output.txt', python=interpreter(program))


def _made(out: Path) -> Path:
    """File with the inputs and the cost of a prepared file."""
    return out.with_name(f'{out.name}.made') / 'result.json'


def prepare(run: Run) -> None:
    """Run the script of a method, unless its output exists; MMLGDError if it fails."""
    settings, out, told = run.method.prepare, run.prepared, _made(run.prepared)
    method = run.benchmark.methods[settings.get('method', run.method.name)]
    # One seed for all runs: the images and the teacher are the same.
    cfg = run_config(run.benchmark, method, 0, told.parent)
    used = [cfg.train_dataloader.dataset, cfg.val_dataloader, cfg.model.teacher]
    inputs = describe_inputs([settings, *used])
    if told.is_file() and json.loads(told.read_text('utf-8'))['inputs'] == inputs:
        return
    for old in (told.parent, out):
        shutil.rmtree(old, ignore_errors=True)
    out.unlink(missing_ok=True)
    told.parent.mkdir(parents=True)
    path = told.parent / 'run.py'
    cfg.dump(path)
    options = ['--out', str(out), *settings.get('arguments', [])]
    command = [str(ROOT / settings['script']), str(path), *options]
    seconds = run_process(command, 1, told.parent / 'output.txt')
    made = dict(inputs=inputs, cpu_seconds=round(seconds, 2))
    write_atomically(told, json.dumps(made))


def complete_all(
    runs: Sequence[Run], evaluations: Sequence[str], split: str, jobs: int
) -> list[str]:
    """Complete runs in parallel; a failure does not stop others. Names those that fail."""
    reasons: dict[Path, str] = {}
    for run in runs:
        if run.prepared and run.prepared not in reasons:
            name = f'{run.method.name}: {run.method.prepare["script"]}'
            reasons[run.prepared] = _attempt(name, prepare, run)
    if 'transfer' in evaluations:
        folder = runs[0].benchmark.work_dir / 'transfer'
        prepare_scenes(folder, runs[0].benchmark.settings['transfer'])

    def finish(run: Run) -> bool:
        if run.prepared and reasons[run.prepared]:
            state = dict(inputs=run.inputs, **provenance(), evaluations={})
            run.write({**state, **run.read(), 'failed': reasons[run.prepared]})
            return False
        return not _attempt(run.name, complete, run, evaluations, split)

    with ThreadPoolExecutor(jobs) as pool:
        return [run.name for run, done in zip(runs, pool.map(finish, runs)) if not done]


def _attempt(name: str, step: object, *arguments: object) -> str:
    """Run a step; return the reason of a failure, or ''."""
    try:
        step(*arguments)
    except MMLGDError as error:
        print(f'{name}: FAILED: {error}', flush=True)
        return str(error)
    print(f'{name}: done', flush=True)
    return ''
