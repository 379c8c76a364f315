"""A benchmark of toys: whole, interrupted, changed, and in parts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmlgd.errors import ConfigError

ROOT = Path(__file__).parents[2]


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
    assert told['split'] == 'test' and '--seeds 0' in told['reported']['command']
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

    # A third of the images for validation is not what it is called.
    options += ['--methods', 'teacher', '--split', 'val', '--evaluations', 'knn']
    on_val = subprocess.run([*command, str(file), *options], cwd=tmp_path)
    assert on_val.returncode == 0
    told = json.loads((out / 'toys_val.json').read_text())
    assert told['rows'][0]['measures']['knn']['mean'] == 66.67


def table_row(capsys, title):
    lines = capsys.readouterr().out.splitlines()
    (row,) = {line for line in lines if line.startswith(f'| {title} |')}
    return [cell.strip() for cell in row.strip('|').split('|')]


def test_finished_parts_are_not_repeated(call, file, processes, capsys):
    call('--methods', 'lgd')
    whole = ('knn', 'probe', 'zero_shot')
    assert processes == [
        ('train', 'lgd_seed0', ('--resume', 'auto', '--no-validate')),
        ('evaluate', 'lgd_seed0', whole, 'test', 'student', '0'),
        ('train', 'lgd_seed1', ('--resume', 'auto', '--no-validate')),
        ('evaluate', 'lgd_seed1', whole, 'test', 'student', '1'),
    ]
    # Values 80 and 82, costs 10 and 11: means 81 and 10.5, deviations sqrt(2) and
    # sqrt(1/2).
    assert table_row(capsys, 'LGD') == ['LGD', *['81.0 ± 1.4'] * 4, '10 ± 1']
    call('--methods', 'lgd')
    assert len(processes) == 4
    # Another split, and an evaluation with other settings, need no training.
    call('--methods', 'lgd', '--split', 'val', '--evaluations', 'knn')
    file.write_text(file.read_text().replace('k=3', 'k=5'))
    call('--methods', 'lgd', '--seeds', '1')
    assert processes[4:] == [
        ('evaluate', 'lgd_seed0', ('knn',), 'val', 'student', '0'),
        ('evaluate', 'lgd_seed1', ('knn',), 'val', 'student', '1'),
        ('evaluate', 'lgd_seed1', ('knn',), 'test', 'student', '1'),
    ]


def test_what_is_not_there_is_said(call, processes, capsys):
    call('--methods', 'lgd', '--seeds', '1', '--evaluations', 'knn')
    cells = ['not run'] * 3 + ['82.0 (1 of 2)', '11 (1 of 2)']
    out = capsys.readouterr().out
    assert f'| LGD | {" | ".join(cells)} |' in out
    assert '| mimicry | – | not run | not run | not run | not run |' in out
    assert '| random | not run | not run | not run | not run | – |' in out
    call('--report-only')
    assert len(processes) == 2


def test_a_teacher_is_evaluated_once_and_never_trained(call, processes):
    call('--methods', 'teacher', 'untrained')
    assert [(name, role) for _, name, _, _, role, _ in processes] == [
        ('teacher_seed0', 'teacher'),
        ('untrained_seed0', 'untrained'),
        ('untrained_seed1', 'untrained'),
    ]


def test_a_changed_config_makes_a_run_anew(call, file, processes, capsys):
    call('--methods', 'lgd', 'mimicry', '--seeds', '0')
    del processes[:]
    config = file.with_name('lgd.py')
    config.write_text(config.read_text().replace('lr=0.1', 'lr=0.2'))
    (file.parent / 'out/runs/lgd_seed0/iter_4.pth').touch()
    capsys.readouterr()
    # Before it is made anew, its old figures are no one's.
    call('--report-only')
    assert table_row(capsys, 'LGD')[1:] == ['not run'] * 5
    call('--methods', 'lgd', 'mimicry', '--seeds', '0')
    assert [asked[:2] for asked in processes] == [
        ('train', 'lgd_seed0'),
        ('evaluate', 'lgd_seed0'),
    ]
    assert 'lgd, seed 0: its config has changed' in capsys.readouterr().out
    # Nothing of the old training can be resumed.
    assert not (file.parent / 'out/runs/lgd_seed0/iter_4.pth').exists()


def test_changed_code_is_refused_kept_or_run_again(
    call, processes, load, monkeypatch, capsys
):
    options = ['--methods', 'lgd', '--seeds', '0']
    call(*options)
    provenance = load('benchmarks.provenance')
    monkeypatch.setattr(provenance, 'code_fingerprint', lambda: 'other')
    with pytest.raises(SystemExit, match='lgd_seed0'):
        call(*options)
    assert '--code-change rerun' in capsys.readouterr().out
    call(*options, '--code-change', 'keep')
    assert len(processes) == 2
    call(*options, '--code-change', 'rerun')
    assert len(processes) == 4
    # Now the run is of this code.
    call(*options)
    assert len(processes) == 4


def test_a_failure_is_shown_and_stops_no_other(call, file, processes, capsys):
    config = file.with_name('lgd.py')
    whole = config.read_text()
    config.write_text(whole + 'broken = True\n')
    with pytest.raises(SystemExit, match='lgd_seed0'):
        call('--methods', 'lgd', 'mimicry', '--seeds', '0')
    out = capsys.readouterr().out
    assert 'lgd_seed0: FAILED: output.txt ends with the reason.' in out
    assert '| LGD | failed | failed | failed | failed | failed |' in out
    assert '| mimicry | – | 80.0 (1 of 2) |' in out
    config.write_text(whole)
    call('--methods', 'lgd', '--seeds', '0', '--evaluations', 'knn')
    row = table_row(capsys, 'LGD')
    assert row[1:] == [*['not run'] * 3, '80.0 (1 of 2)', '10 (1 of 2)']


def test_a_run_in_other_hands_is_left_alone(load, file, processes, tmp_path):
    plan, locks = load('benchmarks.plan'), load('benchmarks.locks')
    runs, complete = load('benchmarks.runs'), load('benchmarks.completion').complete
    benchmark = plan.load_benchmark(file, tmp_path / 'out')
    run = runs.Run(benchmark, benchmark.methods['lgd'], 0)
    with locks.hold(run.folder):
        with pytest.raises(ConfigError, match='another process works on this run'):
            complete(run, ['knn'], 'test')
    assert not processes
    complete(run, ['knn'], 'test')
    assert len(processes) == 2


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--methods', 'lgd', 'ldg'], 'no method ldg; there are teacher, lgd'),
        (['--seeds', '7'], 'no seed 7; there are 0, 1'),
        (['--evaluations', 'transfer'], 'no evaluation transfer'),
    ],
)
def test_unknown_names_are_refused(call, processes, options, message):
    with pytest.raises(ConfigError, match=message):
        call(*options)
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
        (
            "'knn']",
            "'knn', 'transfer']",
            r"teacher is a teacher, .* give it skip=\['transfer'\]",
        ),
    ],
)
def test_a_wrong_benchmark_file_is_refused(call, file, processes, old, new, message):
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message):
        call('--methods', 'lgd')
