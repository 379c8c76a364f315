"""One method with one seed: trained, evaluated, and what came of it on disk.

A run's folder holds ``result.json``, whole or not at all: fingerprints of its config
and of the code, ``training`` once that is done, and ``evaluations`` by split and name.
"""

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.fingerprints import code_fingerprint, fingerprint
from benchmarks.locks import hold
from benchmarks.plan import Benchmark, Method, run_config
from benchmarks.preparation import preparation_seconds
from benchmarks.scene_transfer import measure_transfer
from mmengine.config import Config
from transfer.runs import ROOT, run_process, run_training

from mmlgd.errors import ConfigError, MMLGDError
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.collect_env import git_revision

CODE_CHANGES = ('refuse', 'keep', 'rerun')


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

    @cached_property
    def config(self) -> Config:
        """The config of its training."""
        return run_config(self.method, self.seed, self.folder, self.short)

    @cached_property
    def identity(self) -> str:
        """Changes with whatever makes another training of it."""
        return fingerprint([fingerprint(self.config), self.method.role])

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
            ``code`` they were made with. {} where there is nothing, or only something
            of another config.
        """
        state = self.read()
        if state.get('config') != self.identity:
            return {}
        found = {
            name: state['evaluations'][self.key(name, split)]
            for name in self.benchmark.evaluations
            if self.key(name, split) in state['evaluations']
        }
        return dict(state, evaluations=found)

    def key(self, evaluation: str, split: str) -> str:
        """Under which a state keeps an evaluation; names its settings, too."""
        settings = self.benchmark.settings.get(evaluation, {})
        return f'{split}/{evaluation}/{fingerprint(settings)}'

    def complete(
        self, evaluations: list[str], split: str, code_change: str = 'refuse'
    ) -> None:
        """Do what is left to do.

        Args:
            evaluations (list[str]): Those wanted.
            split (str): 'val' or 'test'.
            code_change (str): What becomes of a run that was made with another state
                of the package: 'refuse', 'keep' or 'rerun'. Defaults to 'refuse'.

        Raises:
            ConfigError: The package changed, and ``code_change`` is 'refuse'; or
                another process works on the run.
            MMLGDError: A process failed.
        """
        with hold(self.folder) as lock:
            state = self._begin(code_change)
            state.pop('failure', None)
            try:
                if self.method.role == 'student' and 'training' not in state:
                    state['training'] = self._train(lock)
                    self.write(state)
                self._evaluate(state, evaluations, split, lock)
            except MMLGDError as error:
                self.write(dict(state, failure=str(error)))
                raise

    def _begin(self, code_change: str) -> dict:
        """The state to go on from; a run of another config is removed."""
        state, code = self.read(), code_fingerprint()
        name = f'{self.method.name}, seed {self.seed}'
        if state and state['config'] != self.identity:
            print(f'{name}: its config has changed, so it is run anew.', flush=True)
            state = {}
        elif state and state['code'] != code:
            told = f'mmlgd/ has changed since commit {state["commit"] or "?"}'
            if code_change == 'refuse':
                raise ConfigError(
                    f'{name}: {told}, which made it. Say --code-change rerun to run it '
                    'anew, or --code-change keep if the change does not concern it.'
                )
            print(f'{name}: {told}: {code_change}.', flush=True)
            state = state if code_change == 'keep' else {}
        if not state:
            shutil.rmtree(self.folder, ignore_errors=True)
            state = dict(
                method=self.method.name,
                seed=self.seed,
                config=self.identity,
                code=code,
                commit=git_revision(ROOT),
                evaluations={},
            )
            self.write(state)
        return state

    def _train(self, lock: int) -> dict:
        options = ('--resume', 'auto', '--no-validate')
        run_training(self.config, 1, *options, keep_open=[lock])
        cost = (self.folder / 'training_cost.json').read_text(encoding='utf-8')
        return dict(
            json.loads(cost),
            batch_size=self.config.train_dataloader.batch_size,
            preparation_seconds=preparation_seconds(self.method),
        )

    def _evaluate(
        self, state: dict, evaluations: list[str], split: str, lock: int
    ) -> None:
        missing = [
            name
            for name in evaluations
            if name not in self.method.skip
            and self.key(name, split) not in state['evaluations']
        ]
        settings = self.benchmark.settings
        if quick := [name for name in missing if name != 'transfer']:
            told = {name: settings.get(name, {}) for name in quick}
            found = self._evaluate_features(told, split, lock)
            for name, values in found.items():
                state['evaluations'][self.key(name, split)] = values
            self.write(state)
        if 'transfer' in missing:
            found = self._measure_transfer(settings['transfer'], lock)
            state['evaluations'][self.key('transfer', split)] = found
            self.write(state)

    def _evaluate_features(self, settings: dict, split: str, lock: int) -> dict:
        self.config.dump(self.folder / 'run.py')
        out = self.folder / 'evaluation.json'
        command = [
            str(ROOT / 'tools/benchmarks/evaluate_run.py'),
            *(str(self.folder), json.dumps(settings)),
            *('--role', self.method.role, '--seed', str(self.seed)),
            *('--split', split, '--out', str(out)),
        ]
        run_process(command, 1, self.folder / 'output.txt', [lock])
        return json.loads(out.read_text(encoding='utf-8'))

    def _measure_transfer(self, settings: dict, lock: int) -> dict:
        folder = self.benchmark.work_dir / 'transfer' / self.folder.name
        is_trained = self.method.role == 'student'
        checkpoint = self.folder / 'backbone.pth' if is_trained else None
        return measure_transfer(folder, checkpoint, self.seed, settings, [lock])
