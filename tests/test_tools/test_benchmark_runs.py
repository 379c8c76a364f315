"""What becomes of runs: refused, moved aside, hindered, elsewhere."""

import json
from pathlib import Path

import pytest

from mmlgd.errors import ConfigError, DataError, MMLGDError
from tests.test_tools.toy_benchmark import (
    add_preparation,
    add_transfer,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scenes(load, monkeypatch):
    """Transfers take no time; those of lgd cannot be had where there are no scenes."""
    all_runs, completion = load('benchmarks.all_runs'), load('benchmarks.completion')
    monkeypatch.setattr(all_runs, 'prepare_scenes', lambda *args: None)

    def transfer(folder, *args):
        (folder.parent / f'{folder.name}_detection').mkdir(parents=True)
        return dict(box_ap=5.0, mask_ap=4.0, mIoU=3.0)

    monkeypatch.setattr(completion, 'measure_transfer', transfer)
    return all_runs


ONE = ('--methods', 'lgd', '--seeds', '0', '--evaluations', 'knn')


def test_nothing_is_chosen_on_scenes_of_test_images(
    call, file, processes, scenes, capsys
):
    add_transfer(file)
    message = 'scenes of transfer come from test images.*leave transfer out'
    # It is among what the file asks for, too.
    for options in (['--evaluations', 'knn', 'transfer'], []):
        with pytest.raises(ConfigError, match=message):
            call('--split', 'val', *options)
    assert not processes
    call('--split', 'val', *ONE)
    assert len(processes) == 2
    # Nor is there a place for it in the table.
    assert 'box AP' not in capsys.readouterr().out
    call('--split', 'test', *ONE)
    assert 'box AP' in capsys.readouterr().out


def test_a_run_made_anew_goes_aside(call, file, processes, scenes, capsys):
    add_transfer(file)
    out, options = file.parent / 'out', (*ONE, 'transfer')
    call(*options)
    old = (out / 'runs/lgd_seed0/result.json').read_text()
    config = file.with_name('lgd.py')
    for number, rate in enumerate(('0.2', '0.3'), 1):
        config.write_text(config.read_text().replace('lr=0.', f'lr={rate} + 0.'))
        capsys.readouterr()
        call(*options)
        place = out / f'replaced/lgd_seed0_{number}'
        assert f'run anew; the old one went to {place}.' in capsys.readouterr().out
        assert (place / 'transfer/lgd_seed0_detection').is_dir()
    assert (out / 'replaced/lgd_seed0_1/result.json').read_text() == old


def test_a_run_rerun_for_its_code_goes_aside_and_an_empty_folder_does_not(
    call, file, processes, load, monkeypatch, capsys
):
    (file.parent / 'out/runs/lgd_seed0').mkdir(parents=True)
    call(*ONE)
    assert not (file.parent / 'out/replaced').exists()
    provenance = load('benchmarks.provenance')
    monkeypatch.setattr(provenance, 'code_fingerprint', lambda: 'other')
    call(*ONE, '--code-change', 'rerun')
    assert 'rerun; the old one went to' in capsys.readouterr().out
    old = json.loads((file.parent / 'out/replaced/lgd_seed0_1/result.json').read_text())
    assert old['code'] != 'other' and old['training']['iterations'] == 4


def test_a_short_look_leaves_the_real_runs_alone(call, file, processes):
    call(*ONE)
    real = file.parent / 'out/runs/lgd_seed0/result.json'
    before = real.read_bytes()
    call(*ONE, '--short')
    assert real.read_bytes() == before
    assert not (file.parent / 'out/replaced').exists()
    assert (file.parent / 'out_short/runs/lgd_seed0/result.json').is_file()


def test_paths_count_from_where_the_user_stands(
    compare_methods, file, processes, monkeypatch
):
    monkeypatch.chdir(file.parent)
    compare_methods.main([file.name, *ONE, '--work-dir', 'mine', '--publish', 'told'])
    assert (file.parent / 'mine/runs/lgd_seed0/result.json').is_file()
    assert (file.parent / 'told/toys_test.md').is_file()


def test_paths_in_the_repository_say_the_same_in_every_copy(
    compare_methods, monkeypatch
):
    monkeypatch.chdir(ROOT / 'tools')
    assert compare_methods.seen_from_root('../work_dirs/x') == Path('work_dirs/x')


@pytest.fixture
def no_bags(load, monkeypatch):
    """Preparations fail; says how often they were tried."""
    tried = []

    def fail(*args):
        tried.append(args)
        raise MMLGDError('no bags today.')

    monkeypatch.setattr(load('benchmarks.preparation'), 'run_process', fail)
    return tried


def test_a_failed_preparation_stops_no_other_method(
    call, file, processes, no_bags, capsys
):
    add_preparation(file, "script='tools/s.py', options=['bags']")
    with pytest.raises(SystemExit, match=r'mimicry\.pth, mimicry_seed0, mimicry_seed1'):
        call('--methods', 'lgd', 'mimicry')
    out = capsys.readouterr().out
    assert '| LGD | 81.0 ± 1.4 |' in out
    assert '| mimicry | – | failed | failed | failed | failed |' in out
    assert 'mimicry_seed0: FAILED: tools/s.py, which prepares mimicry.pth' in out
    assert [name for kind, name, *_ in processes if kind == 'train'] == [
        'lgd_seed0',
        'lgd_seed1',
    ]
    assert len(no_bags) == 1


def test_a_locked_preparation_stops_no_other_method(
    call, file, processes, load, capsys
):
    add_preparation(file, "script='tools/s.py', options=['bags']")
    with load('benchmarks.locks').hold(file.parent / 'out/prepared/mimicry'):
        with pytest.raises(SystemExit, match=r'mimicry\.pth, mimicry_seed0'):
            call('--methods', 'mimicry', 'lgd', '--seeds', '0')
    assert '| LGD | 80.0 (1 of 2) |' in capsys.readouterr().out


def test_missing_scenes_concern_transfer_alone(
    call, file, processes, scenes, monkeypatch, capsys
):
    add_transfer(file)

    def fail(*args):
        raise DataError('no scenes today.')

    with monkeypatch.context() as context:
        context.setattr(scenes, 'prepare_scenes', fail)
        with pytest.raises(SystemExit, match='scenes, lgd_seed0'):
            call(*ONE, 'transfer')
    out = capsys.readouterr().out
    assert 'lgd_seed0: FAILED: no scenes today.' in out
    assert '| 80.0 (1 of 2) | failed | failed | failed |' in out
    call(*ONE, 'transfer')
    assert '| 5.0 (1 of 2) | 4.0 (1 of 2) |' in capsys.readouterr().out
    # Training and k-NN were not repeated.
    assert len(processes) == 2
