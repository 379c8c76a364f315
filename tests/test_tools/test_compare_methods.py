"""A benchmark of toys: whole, interrupted, changed, and in parts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmlgd.errors import ConfigError, MMLGDError
from tests.test_tools.toy_benchmark import write_benchmark

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(load, monkeypatch):
    monkeypatch.chdir(ROOT)
    return load('benchmarks.compare_methods')


@pytest.fixture
def runs(load):
    return load('benchmarks.runs')


@pytest.fixture
def file(tmp_path):
    return write_benchmark(tmp_path)


@pytest.fixture
def processes(runs, load, monkeypatch):
    """Instead of processes: their results, and a list of what was asked for."""
    asked = []

    def train(cfg, threads, *options, keep_open=()):
        folder = Path(cfg.work_dir)
        asked.append(('train', folder.name, options))
        if cfg.get('broken'):
            raise MMLGDError('output.txt ends with the reason.')
        seconds = 10.0 + cfg.randomness['seed']
        cost = dict(iterations=4, cpu_seconds=seconds, wall_seconds=99.0)
        (folder / 'training_cost.json').write_text(json.dumps(cost))

    def evaluate(command, threads, output, keep_open=()):
        folder, settings = Path(command[1]), json.loads(command[2])
        asked.append(('evaluate', folder.name, tuple(sorted(settings))))
        value = dict(top1=80.0 + 2 * int(folder.name[-1]))
        probes = dict.fromkeys(('50', '100'), value)
        found = dict(zero_shot=value, probe=probes, knn=value)
        out = Path(command[command.index('--out') + 1])
        out.write_text(json.dumps({name: found[name] for name in settings}))

    monkeypatch.setattr(runs, 'run_training', train)
    monkeypatch.setattr(runs, 'run_process', evaluate)
    return asked


def test_a_benchmark_from_end_to_end(file, tmp_path):
    command = [sys.executable, str(ROOT / 'tools/benchmarks/compare_methods.py')]
    options = ['--seeds', '0', '--jobs', '2', '--work-dir', str(tmp_path / 'out')]
    publish = ['--publish', str(tmp_path / 'published')]
    done = subprocess.run(
        [*command, str(file), *options, *publish],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / 'out'
    told = json.loads((out / 'toys_test.json').read_text())
    assert told['split'] == 'test' and '--seeds 0' in told['command']
    measures = {row['method']: row['measures'] for row in told['rows']}
    # Colours are easy to tell for whoever sees the thumbnail.
    assert measures['teacher']['knn']['mean'] == 100
    assert measures['lgd']['probe_100']['mean'] > 50
    assert (
        measures['mimicry']['zero_shot'] is measures['untrained']['zero_shot'] is None
    )
    assert measures['lgd']['cpu_seconds']['mean'] > 0
    assert measures['untrained']['cpu_seconds'] is None
    (run,) = told['rows'][1]['runs']
    assert run['training']['iterations'] == 4 and run['training']['batch_size'] == 4
    # One of 12 test images is a multiple of 8.33 %.
    assert run['evaluations']['knn']['top1'] * 12 % 100 < 1e-1
    assert (out / 'runs/lgd_seed0/backbone.pth').is_file()
    for suffix in ('md', 'json', 'png'):
        published = (tmp_path / f'published/toys_test.{suffix}').read_bytes()
        assert published == (out / f'toys_test.{suffix}').read_bytes()
    assert '| LGD |' in done.stdout

    # All done: nothing is left for the same command to do.
    trained = (out / 'runs/lgd_seed0/iter_4.pth').stat().st_mtime_ns
    again = subprocess.run(
        [*command, str(file), *options], capture_output=True, text=True, cwd=tmp_path
    )
    assert again.returncode == 0
    assert (out / 'runs/lgd_seed0/iter_4.pth').stat().st_mtime_ns == trained
    assert json.loads((out / 'toys_test.json').read_text())['rows'] == told['rows']


def call(tool, file, *options):
    tool.main([str(file), '--work-dir', str(file.parent / 'out'), *options])


def table_row(capsys, title):
    lines = capsys.readouterr().out.splitlines()
    (row,) = {line for line in lines if line.startswith(f'| {title} |')}
    return [cell.strip() for cell in row.strip('|').split('|')]


def test_finished_parts_are_not_repeated(tool, file, processes, capsys):
    call(tool, file, '--methods', 'lgd')
    assert processes == [
        ('train', 'lgd_seed0', ('--resume', 'auto', '--no-validate')),
        ('evaluate', 'lgd_seed0', ('knn', 'probe', 'zero_shot')),
        ('train', 'lgd_seed1', ('--resume', 'auto', '--no-validate')),
        ('evaluate', 'lgd_seed1', ('knn', 'probe', 'zero_shot')),
    ]
    # Values 80 and 82, costs 10 and 11: means 81 and 10.5, deviations sqrt(2) and
    # sqrt(1/2).
    assert table_row(capsys, 'LGD') == ['LGD', *['81.0 ± 1.4'] * 4, '10 ± 1']
    call(tool, file, '--methods', 'lgd')
    assert len(processes) == 4
    # Another split, and an evaluation with other settings, need no training.
    call(tool, file, '--methods', 'lgd', '--split', 'val', '--evaluations', 'knn')
    file.write_text(file.read_text().replace('k=3', 'k=5'))
    call(tool, file, '--methods', 'lgd', '--seeds', '1')
    assert processes[4:] == [
        ('evaluate', 'lgd_seed0', ('knn',)),
        ('evaluate', 'lgd_seed1', ('knn',)),
        ('evaluate', 'lgd_seed1', ('knn',)),
    ]


def test_what_is_not_there_is_said(tool, file, processes, capsys):
    call(tool, file, '--methods', 'lgd', '--seeds', '1', '--evaluations', 'knn')
    cells = ['not run'] * 3 + ['82.0 (1 of 2)', '11 (1 of 2)']
    out = capsys.readouterr().out
    assert f'| LGD | {" | ".join(cells)} |' in out
    assert '| mimicry | – | not run | not run | not run | not run |' in out
    assert '| random | not run | not run | not run | not run | – |' in out
    call(tool, file, '--report-only')
    assert len(processes) == 2


def test_a_teacher_is_evaluated_once_and_never_trained(tool, file, processes):
    call(tool, file, '--methods', 'teacher', 'untrained')
    assert [name for kind, name, _ in processes] == [
        'teacher_seed0',
        'untrained_seed0',
        'untrained_seed1',
    ]


def test_a_changed_config_makes_a_run_anew(tool, file, processes, capsys):
    call(tool, file, '--methods', 'lgd', 'mimicry', '--seeds', '0')
    del processes[:]
    config = file.with_name('lgd.py')
    config.write_text(config.read_text().replace('lr=0.1', 'lr=0.2'))
    (file.parent / 'out/runs/lgd_seed0/iter_4.pth').touch()
    capsys.readouterr()
    # Before it is made anew, its old figures are no one's.
    call(tool, file, '--report-only')
    assert table_row(capsys, 'LGD')[1:] == ['not run'] * 5
    call(tool, file, '--methods', 'lgd', 'mimicry', '--seeds', '0')
    assert [asked[:2] for asked in processes] == [
        ('train', 'lgd_seed0'),
        ('evaluate', 'lgd_seed0'),
    ]
    assert 'lgd, seed 0: its config has changed' in capsys.readouterr().out
    # Nothing of the old training can be resumed.
    assert not (file.parent / 'out/runs/lgd_seed0/iter_4.pth').exists()


def test_changed_code_is_refused_kept_or_run_again(
    tool, file, processes, runs, monkeypatch, capsys
):
    options = ['--methods', 'lgd', '--seeds', '0']
    call(tool, file, *options)
    monkeypatch.setattr(runs, 'code_fingerprint', lambda: 'other')
    with pytest.raises(SystemExit, match='lgd_seed0'):
        call(tool, file, *options)
    assert '--code-change rerun' in capsys.readouterr().out
    call(tool, file, *options, '--code-change', 'keep')
    assert len(processes) == 2
    call(tool, file, *options, '--code-change', 'rerun')
    assert len(processes) == 4
    # Now the run is of this code.
    call(tool, file, *options)
    assert len(processes) == 4


def test_a_failure_is_shown_and_stops_no_other(tool, file, processes, capsys):
    config = file.with_name('lgd.py')
    whole = config.read_text()
    config.write_text(whole + 'broken = True\n')
    with pytest.raises(SystemExit, match='lgd_seed0'):
        call(tool, file, '--methods', 'lgd', 'mimicry', '--seeds', '0')
    out = capsys.readouterr().out
    assert 'lgd_seed0: FAILED: output.txt ends with the reason.' in out
    assert '| LGD | failed | failed | failed | failed | failed |' in out
    assert '| mimicry | – | 80.0 (1 of 2) |' in out
    config.write_text(whole)
    call(tool, file, '--methods', 'lgd', '--seeds', '0', '--evaluations', 'knn')
    row = table_row(capsys, 'LGD')
    assert row[1:] == [*['not run'] * 3, '80.0 (1 of 2)', '10 (1 of 2)']


def test_a_run_in_other_hands_is_left_alone(load, runs, file, processes, tmp_path):
    plan, locks = load('benchmarks.plan'), load('benchmarks.locks')
    benchmark = plan.load_benchmark(file, tmp_path / 'out')
    run = runs.Run(benchmark, benchmark.methods['lgd'], 0)
    with locks.hold(run.folder):
        with pytest.raises(ConfigError, match='another process works on this run'):
            run.complete(['knn'], 'test')
    assert not processes
    run.complete(['knn'], 'test')
    assert len(processes) == 2


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--methods', 'lgd', 'ldg'], 'no method ldg; there are teacher, lgd'),
        (['--seeds', '7'], 'no seed 7; there are 0, 1'),
        (['--evaluations', 'transfer'], 'no evaluation transfer'),
    ],
)
def test_unknown_names_are_refused(tool, file, processes, options, message):
    with pytest.raises(ConfigError, match=message):
        call(tool, file, *options)
    assert not processes


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ("title = 'Toys", "tilte = 'Toys", 'has no title'),
        ("role='teacher'", "role='techer'", 'no role of teacher techer'),
        ("'knn']", "'kn']", 'no evaluation kn'),
        (
            "title='LGD', config='lgd.py'",
            "title='LGD', config='l.py'",
            'lgd has no config',
        ),
    ],
)
def test_a_wrong_benchmark_file_is_refused(tool, file, processes, old, new, message):
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message):
        call(tool, file, '--methods', 'lgd')
