"""A comparison on user data: planned, run, interrupted, changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.comparison import __main__ as tool
from benchmarks.comparison import runs
from benchmarks.comparison.methods import run_config
from benchmarks.comparison.plan import load_benchmark
from mmlgd.errors import ConfigError, DataError, MMLGDError

ROOT = Path(__file__).parents[2]


def lines(path) -> list[str]:
    return Path(path).read_text().splitlines()


def planned(file):
    benchmark = load_benchmark(file)
    benchmark.read_data()
    return benchmark


def config_of(file, method):
    benchmark = planned(file)
    return run_config(benchmark, benchmark.methods[method], 1, Path('work'))


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_labels_are_indices_into_the_names_not_the_folders(file):
    cfg = config_of(file, 'lgd')
    # Names: red, Blue green, blue; folders: blue, blue_green, red. Of each class a
    # tenth is held out for validation, rounded down: 3 of 30, 1 of 12, none of 5.
    found = {
        split: [
            line.split() for line in lines(cfg[f'{split}_dataloader'].dataset.ann_file)
        ]
        for split in ('labelled', 'val', 'test')
    }
    classes = dict(red='0', blue_green='1', blue='2')
    for listed in found.values():
        assert all(classes[path.split('/')[0]] == label for path, label in listed)
    counts = {
        split: [[label for _, label in listed].count(c) for c in '012']
        for split, listed in found.items()
    }
    assert counts == dict(labelled=[27, 11, 5], val=[3, 1, 0], test=[8, 4, 2])
    assert not {*map(tuple, found['labelled'])} & {*map(tuple, found['val'])}
    # The training images, without labels, are the first ones.
    assert cfg.train_dataloader.dataset.dataset.ann_file == (
        cfg.labelled_dataloader.dataset.ann_file
    )


def test_names_reach_every_method(file):
    names = ['red', 'Blue green', 'blue']
    cfg = config_of(file, 'lgd')
    assert cfg.model.textual_bank.categories == names
    assert cfg.model.zero_shot_bank.categories == names
    supervised = config_of(file, 'supervised').model
    assert (supervised.head.num_classes, supervised.head.in_channels) == (3, 576)
    assert cfg.randomness.seed == cfg.train_dataloader.dataset.seed == 1


def test_folders_may_be_given_their_names(file):
    path = str(file.parent / 'names.txt')
    change(
        file,
        f"{str(file.parent)!r} + '/names.txt'",
        "dict(red='a', blue='b', blue_green='c')",
    )
    assert planned(file).names == ['a', 'b', 'c']
    assert Path(path).is_file()


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ('red\nBlue green\nviolet\n', "blue'"),
        ('red\nBlue green\nblue-green\nblue\n', 'blue'),
    ],
)
def test_names_that_are_not_the_folders_are_refused(file, names, message):
    (file.parent / 'names.txt').write_text(names)
    with pytest.raises(ConfigError, match=message):
        planned(file)


def test_lists_serve_as_well_as_folders(file):
    folder = file.parent
    (folder / 'data/t.txt').write_text('train/red/0.png 0\ntrain/blue/0.png 2\n')
    change(
        file,
        "'/data/train'",
        "'/data/t.txt'\nval = test = {!r}".format(str(folder / 'data/t.txt')),
    )
    change(file, f"\ntest = {str(folder)!r} + '/data/test'", '')
    dataset = config_of(file, 'lgd').labelled_dataloader.dataset
    assert dataset.data_root == str(folder / 'data')
    assert lines(dataset.ann_file) == ['train/red/0.png 0', 'train/blue/0.png 2']
    (folder / 'data/t.txt').write_text('train/red/0.png 3\n')
    with pytest.raises(DataError, match='t.txt, line 1: .*class from 0 to 2'):
        planned(file)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('iterations', 'iteration', "unknown field iteration; .*'iterations'"),
        ("'lgd'", "'ldg'", 'unknown method ldg; .*lgd'),
        ('teacher =', '_teacher =', 'has no teacher'),
        ('seeds', "split = 'tset'\nseeds", 'unknown split tset'),
        ('seeds', "student = 'mbv4'\nseeds", 'unknown student mbv4; .*mbv3'),
        (
            "['teacher', 'lgd', 'supervised']",
            'dict(lgd=dict(tilte=1))',
            "unknown entry of method lgd tilte.*'title'",
        ),
        ('seeds', 'settings = dict(kn=dict(k=3))\nseeds', 'unknown evaluation kn'),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(file, old, new, message):
    change(file, old, new)
    with pytest.raises(ConfigError, match=message):
        load_benchmark(file)


def test_scenes_are_not_for_choosing(file):
    change(file, 'seeds', "evaluations = ['transfer']\nseeds")
    with pytest.raises(ConfigError, match='--split val'):
        tool.main([str(file), '--split', 'val'])


@pytest.fixture
def started(monkeypatch):
    """Names of the started runs; the processes are replaced by stubs."""
    names = []

    def run_process(command, threads, output):
        folder = Path(command[-1])
        cfg = runs.Config.fromfile(folder / 'run.py')
        names.append(folder.name)
        if cfg.comparison.role == 'student':
            cost = dict(iterations=4, cpu_seconds=10.0 + cfg.comparison.seed)
            (folder / 'training_cost.json').write_text(json.dumps(cost))
        if cfg.model.get('alpha') == 0.125:
            raise MMLGDError('the reason')
        value = dict(top1=80.0 + 2 * cfg.comparison.seed, balanced=70.0)
        parts = cfg.comparison.evaluations.get('probe', {}).get('percentages', {})
        values = dict(zero_shot=value, knn=value, probe=dict.fromkeys(parts, value))
        found = {name: values[name] for name in cfg.comparison.evaluations}
        (folder / 'evaluations.json').write_text(json.dumps(found))
        return 1.0

    monkeypatch.setattr(runs, 'run_process', run_process)
    return names


def row(capsys, title) -> list[str]:
    text = capsys.readouterr().out
    (found,) = {line for line in text.splitlines() if line.startswith(f'| {title} | 8')}
    return [cell.strip() for cell in found.strip('|').split('|')]


@pytest.mark.slow
def test_finished_runs_are_not_repeated(file, started, capsys):
    tool.main([str(file), '--methods', 'teacher', 'lgd'])
    # A teacher is the same for all seeds.
    assert started == ['teacher_seed0', 'lgd_seed0', 'lgd_seed1']
    # Values 80 and 82, costs 10 and 11: means 81 and 10.5.
    assert row(capsys, 'LGD')[1:3] == ['81.0 ± 1.4', '70.0 ± 0.0']
    tool.main([str(file), '--methods', 'teacher', 'lgd'])
    assert len(started) == 3
    # Changing the setting of an evaluation only repeats that evaluation.
    change(file, 'seeds', 'settings = dict(knn=dict(k=5))\nseeds')
    tool.main([str(file), '--methods', 'lgd', '--seeds', '1'])
    asked = runs.Config.fromfile(file.parent / 'work/runs/lgd_seed1/run.py')
    assert list(asked.comparison.evaluations) == ['knn']
    assert started[3:] == ['lgd_seed1']
    result = json.loads((file.parent / 'work/runs/lgd_seed1/result.json').read_text())
    assert {'command', 'commit', 'versions', 'machine', 'date'} <= result.keys()


@pytest.mark.slow
@pytest.mark.parametrize('what', ['weights', 'names', 'pictures', 'setting'])
def test_changes_under_the_same_path_are_noticed(file, started, capsys, what):
    tool.main([str(file), '--methods', 'lgd', '--seeds', '0'])
    folder = file.parent
    if what == 'weights':
        with open(folder / 'weights.pt', 'ab') as stream:
            stream.write(b'more')
    elif what == 'names':
        # Their order.
        (folder / 'names.txt').write_text('blue\nBlue green\nred\n')
    elif what == 'pictures':
        os.utime(folder / 'data/train/red/3.png', (1, 1))
    else:
        change(file, 'iterations = 4', 'iterations = 5')
    capsys.readouterr()
    tool.main([str(file), '--report-only'])
    assert '| LGD | stale | stale |' in capsys.readouterr().out
    assert len(started) == 1
    tool.main([str(file), '--methods', 'lgd', '--seeds', '0'])
    assert len(started) == 2
    said = capsys.readouterr().out
    named = dict(weights='weights.pt', pictures='data/train').get(what, 'settings')
    assert 'lgd_seed0: stale, running again; changed:' in said and named in said


@pytest.mark.slow
def test_other_test_images_need_no_training(file, started, capsys):
    tool.main([str(file), '--methods', 'lgd', '--seeds', '0'])
    kept = file.parent / 'work/runs/lgd_seed0/iter_4.pth'
    kept.write_bytes(b'')
    shutil.copy(
        file.parent / 'data/test/red/0.png', file.parent / 'data/test/red/9.png'
    )
    tool.main([str(file), '--methods', 'lgd', '--seeds', '0'])
    assert len(started) == 2 and kept.is_file()
    assert 'stale' not in capsys.readouterr().out


@pytest.mark.slow
def test_a_failure_is_shown_and_stops_no_other(file, started, capsys):
    bad = "dict(bad=dict(base='lgd', title='bad', options={'model.alpha': 0.125}), lgd={})"
    change(file, "['teacher', 'lgd', 'supervised']", bad)
    with pytest.raises(SystemExit, match='bad_seed0'):
        tool.main([str(file), '--seeds', '0'])
    out = capsys.readouterr().out
    assert 'bad_seed0: FAILED: the reason' in out
    assert '| bad | failed | failed |' in out and '| LGD | 80.0 (1 of 2) |' in out
    # Its training was complete and is not repeated.
    state = json.loads((file.parent / 'work/runs/bad_seed0/result.json').read_text())
    assert state['training']['cpu_seconds'] == 10


@pytest.mark.slow
def test_a_comparison_from_end_to_end(file):
    command = [sys.executable, '-W', 'ignore', '-m', 'benchmarks.comparison', str(file)]
    options = ['--seeds', '0', '--jobs', '2', '--methods', 'lgd', 'supervised']
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    work = file.parent / 'work'
    made = json.loads((work / 'own_test.json').read_text())
    rows = {each['method']: each for each in made['rows']}
    for name in ('lgd', 'supervised'):
        assert '4 iterations of 8 images' in rows[name]['made']
        assert (work / f'runs/{name}_seed0/backbone.pth').is_file()
        values = rows[name]['values']
        # Of 14 test images.
        (knn,) = values['knn']
        assert knn * 14 / 100 == pytest.approx(round(knn * 14 / 100), abs=1e-2)
        # Of three classes of unequal size, one of five images, 1 % of which is none.
        assert len(values['probe_1']) == len(values['probe_1_balanced']) == 1
        assert values['probe_100'][0] > 100 / 3
    assert rows['supervised']['values']['zero_shot'] == '–'
    assert rows['teacher']['values']['knn'] == 'not run'
    assert '| LGD |' in done.stdout and 'k-NN, balanced' in done.stdout
    trained = (work / 'runs/lgd_seed0/iter_4.pth').stat().st_mtime_ns
    again = subprocess.run([*command, *options], capture_output=True, cwd=ROOT)
    assert again.returncode == 0
    assert (work / 'runs/lgd_seed0/iter_4.pth').stat().st_mtime_ns == trained
