"""One method with one seed: what it is, and what came of it on disk.

A run's folder holds ``result.json``, whole or not at all: fingerprints of its config
and of the code it was begun with, ``training`` once that is done, ``evaluations`` by
split and name, and ``made``, by the same names, who made them.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.fingerprints import fingerprint
from benchmarks.methods import Method, run_config
from benchmarks.plan import Benchmark
from benchmarks.preparation import made_from
from mmengine.config import Config

from mmlgd.utils.atomic import write_atomically


@dataclass(frozen=True)
class Run:
    """A method, a seed, and their place on disk."""

    benchmark: Benchmark
    method: Method
    seed: int
    short: bool = False

    @property
    def folder(self) -> Path:
        """Its work folder."""
        return self.benchmark.folder(self.method.name, self.seed)

    @property
    def transfer_folder(self) -> Path:
        """Its name among the transfers; each task adds its own."""
        return self.benchmark.work_dir / 'transfer' / self.folder.name

    @cached_property
    def config(self) -> Config:
        """The config of its training."""
        return run_config(self.method, self.seed, self.folder, self.short)

    @cached_property
    def identity(self) -> str:
        """Changes with whatever makes another training of it.

        Of a prepared file, that is what it is made from, not where it lies.
        """
        method = self.method
        if method.prepare:
            method = method.reading(made_from(method, self.short))
        cfg = run_config(method, self.seed, self.folder, self.short)
        return fingerprint([fingerprint(cfg), method.role])

    def read(self) -> dict:
        """What ``result.json`` says; {} where there is none."""
        path = self.folder / 'result.json'
        return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}

    def write(self, state: dict) -> None:
        """Replace ``result.json``."""
        write_atomically(
            self.folder / 'result.json', json.dumps(state, indent=2) + '\n'
        )

    def result(self, split: str) -> dict:
        """What is known of the run as it is configured now.

        Args:
            split (str): 'val' or 'test'.

        Returns:
            dict: ``failure`` (str, optional), ``training`` (dict, optional) and
            ``evaluations`` (dict, values by name) of this config; ``commit`` and
            ``code`` it was begun with; and ``made``, what
            :func:`benchmarks.provenance.provenance` said of the training and of these
            evaluations, by name: of older ones, commit and code alone. {} where there
            is nothing, or only something of another config.
        """
        state = self.read()
        if state.get('config') != self.identity:
            return {}
        keys = {name: self.key(name, split) for name in self.benchmark.evaluations}
        found = {
            name: state['evaluations'][key]
            for name, key in keys.items()
            if key in state['evaluations']
        }
        kept = {name: keys[name] for name in found}
        if 'training' in state:
            kept['training'] = 'training'
        old = dict(commit=state['commit'], code=state['code'])
        made = {name: state.get('made', {}).get(key, old) for name, key in kept.items()}
        return dict(state, evaluations=found, made=made)

    def key(self, evaluation: str, split: str) -> str:
        """Under which a state keeps an evaluation; names its settings, too."""
        settings = self.benchmark.settings.get(evaluation, {})
        return f'{split}/{evaluation}/{fingerprint(settings)}'
