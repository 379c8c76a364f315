"""Does what is left of a run: trains it, evaluates it, keeps what came of it."""

import json
import shutil
from collections.abc import Mapping, Sequence

from benchmarks.aside import free_place
from benchmarks.locks import hold
from benchmarks.preparation import preparation_seconds
from benchmarks.provenance import provenance
from benchmarks.runs import Run
from benchmarks.scene_transfer import measure_transfer
from transfer.runs import ROOT, run_process, run_training

from mmlgd.errors import ConfigError, MMLGDError

CODE_CHANGES = ('refuse', 'keep', 'rerun')


def complete(
    run: Run,
    evaluations: Sequence[str],
    split: str,
    code_change: str = 'refuse',
    hindrances: Mapping[str, str] | None = None,
) -> None:
    """Do what is left to do.

    Args:
        run (Run): The run.
        evaluations (Sequence[str]): Those wanted.
        split (str): 'val' or 'test'.
        code_change (str): What becomes of a run that was made with another state
            of the code: 'refuse', 'keep' or 'rerun'. Defaults to 'refuse'.
        hindrances (Mapping[str, str], optional): Why a part, 'training' or an
            evaluation, cannot be made; it only matters where that is left to do.

    Raises:
        ConfigError: The code changed, and ``code_change`` is 'refuse'; or
            another process works on the run.
        MMLGDError: A process failed, or a part is hindered.
    """
    hindrances = hindrances or {}
    with hold(run.folder) as lock:
        state = _begin(run, code_change)
        state.pop('failure', None)
        try:
            if run.method.role == 'student' and 'training' not in state:
                _check('training', hindrances)
                made = provenance()
                state['training'] = _train(run, lock)
                state['made']['training'] = made
                run.write(state)
            _evaluate(run, state, evaluations, split, hindrances, lock)
        except MMLGDError as error:
            run.write(dict(state, failure=str(error)))
            raise


def _check(part: str, hindrances: Mapping[str, str]) -> None:
    if part in hindrances:
        raise MMLGDError(hindrances[part])


def _begin(run: Run, code_change: str) -> dict:
    """The state to go on from; a run of another config is moved aside."""
    state, now = run.read(), provenance()
    name = f'{run.method.name}, seed {run.seed}'
    if state and state['config'] != run.identity:
        _move_aside(run, f'{name}: its config has changed, so it is run anew')
        state = {}
    elif state and state['code'] != now['code']:
        told = f'the code has changed since commit {state["commit"] or "?"}'
        if code_change == 'refuse':
            raise ConfigError(
                f'{name}: {told}, which made it. Say --code-change rerun to run it '
                'anew, or --code-change keep if the change does not concern it.'
            )
        if code_change == 'rerun':
            _move_aside(run, f'{name}: {told}: rerun')
            state = {}
        else:
            print(f'{name}: {told}: keep.', flush=True)
    if not state:
        # Whatever lies there without a state cannot be gone on from.
        shutil.rmtree(run.folder, ignore_errors=True)
        state = dict(
            method=run.method.name,
            seed=run.seed,
            config=run.identity,
            code=now['code'],
            commit=now['commit'],
            evaluations={},
        )
        run.write(dict(state, made={}))
    # States of earlier versions have none.
    return dict(state, made=state.get('made', {}))


def _move_aside(run: Run, reason: str) -> None:
    """Keep the run and its transfers under ``replaced/``."""
    place = free_place(run.benchmark.work_dir, run.folder.name)
    shutil.move(run.folder, place)
    for folder in run.transfer_folder.parent.glob(f'{run.folder.name}_*'):
        (place / 'transfer').mkdir(exist_ok=True)
        shutil.move(folder, place / 'transfer')
    print(f'{reason}; the old one went to {place}.', flush=True)


def _train(run: Run, lock: int) -> dict:
    options = ('--resume', 'auto', '--overwrite', '--no-validate')
    run_training(run.config, 1, *options, keep_open=[lock])
    cost = (run.folder / 'training_cost.json').read_text(encoding='utf-8')
    return dict(
        json.loads(cost),
        batch_size=run.config.train_dataloader.batch_size,
        preparation_seconds=preparation_seconds(run.method),
    )


def _evaluate(
    run: Run,
    state: dict,
    evaluations: Sequence[str],
    split: str,
    hindrances: Mapping[str, str],
    lock: int,
) -> None:
    missing = [
        name
        for name in evaluations
        if name not in run.method.skip
        and run.key(name, split) not in state['evaluations']
    ]

    def keep(found: dict, made: dict) -> None:
        for name, values in found.items():
            state['evaluations'][run.key(name, split)] = values
            state['made'][run.key(name, split)] = made
        run.write(state)

    if quick := [name for name in missing if name != 'transfer']:
        # Taken before: the code may change while the process runs.
        made = provenance()
        keep(_evaluate_features(run, quick, split, lock), made)
    if 'transfer' in missing:
        _check('transfer', hindrances)
        made = provenance()
        keep(dict(transfer=_measure_transfer(run, lock)), made)


def _evaluate_features(run: Run, names: list[str], split: str, lock: int) -> dict:
    run.config.dump(run.folder / 'run.py')
    out = run.folder / 'evaluation.json'
    settings = {name: run.benchmark.settings.get(name, {}) for name in names}
    command = [
        str(ROOT / 'tools/benchmarks/evaluate_run.py'),
        *(str(run.folder), json.dumps(settings)),
        *('--role', run.method.role, '--seed', str(run.seed)),
        *('--split', split, '--out', str(out)),
    ]
    run_process(command, 1, run.folder / 'output.txt', [lock])
    return json.loads(out.read_text(encoding='utf-8'))


def _measure_transfer(run: Run, lock: int) -> dict:
    is_trained = run.method.role == 'student'
    checkpoint = run.folder / 'backbone.pth' if is_trained else None
    settings = run.benchmark.settings['transfer']
    return measure_transfer(run.transfer_folder, checkpoint, run.seed, settings, [lock])
