"""The benchmarks of the training step, in runs of a second."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.reference import lgd_reference, lgka_reference


def unit_rows(n, d, seed):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1)


def test_variants_alternate_and_the_order_is_reversed(load):
    called = []
    sides = {name: lambda name=name: called.append(name) for name in 'ab'}
    times = load('timing').alternate(sides, rounds=2, warm_up=1)
    assert ''.join(called) == 'ab' + 'ba' + 'ab'
    for clock in ('cpu', 'wall'):
        assert {name: len(values) for name, values in times[clock].items()} == dict(
            a=2, b=2
        )


def test_ratios_are_of_the_same_round(load):
    times = dict(a=[2.0, 40.0, 3.0], b=[1.0, 10.0, 1.0])
    found = load('timing').ratio(times, 'a', 'b')
    assert found == dict(median=3, low=2, high=4)


def test_the_looped_bank_is_the_reference(load):
    text, visual = unit_rows(7, 16, 0), unit_rows(7, 16, 1)
    bank = load('published').LoopedBank(visual.clone(), momentum=0.9)
    wanted, seen = visual.numpy(), np.zeros(7, dtype=bool)
    for step in range(3):
        teacher = unit_rows(6, 16, 2 + step)
        wanted, seen = lgka_reference(wanted, seen, teacher, text, 0.9)
        bank.update(teacher, text)
    np.testing.assert_allclose(bank.embeddings.numpy(), wanted, atol=1e-6)
    np.testing.assert_array_equal(bank.seen.numpy(), seen)


def test_the_published_losses_are_the_reference(load):
    student, teacher = unit_rows(5, 16, 0).requires_grad_(), unit_rows(5, 16, 1)
    text, visual = unit_rows(7, 16, 2), unit_rows(7, 16, 3)
    model = load('published').PublishedLGD(None, None, text, visual)
    losses = model.losses(student, teacher)
    sum(losses.values()).backward()
    rows = student.detach(), teacher, text, visual
    textual, visual_loss, textual_grad, visual_grad = lgd_reference(*rows)
    assert losses['loss_textual'].item() == pytest.approx(textual / 2, rel=1e-5)
    assert losses['loss_visual'].item() == pytest.approx(visual_loss / 2, rel=1e-5)
    wanted = (textual_grad + visual_grad) / 2
    np.testing.assert_allclose(student.grad.numpy(), wanted, atol=1e-5)


BANK_OPTIONS = (
    '--categories 5 9 --batch-sizes 4 --embed-dims 8 --rounds 2 --warm-up 1'.split()
)


def test_bank_update_compares_the_banks(load, tmp_path):
    out = tmp_path / 'bank.json'
    tool = load('bank_update')
    tool.main([*BANK_OPTIONS, '--device', 'cpu', '--out', str(out)])
    told = json.loads(out.read_text())
    assert [row['num_categories'] for row in told['rows']] == [5, 9]
    for row in told['rows']:
        assert row['largest_difference'] < 1e-6
        assert row['loop_over_ours']['median'] > 0
    assert told['threads'] == 1 and told['commit'] and told['device'] == 'CPU'


def test_bank_update_stops_where_the_banks_differ(load, monkeypatch):
    tool = load('bank_update')
    monkeypatch.setattr(tool.LoopedBank, 'update', lambda *args: None)
    with pytest.raises(SystemExit, match='differ by inf at C = 5'):
        tool.main([*BANK_OPTIONS, '--device', 'cpu'])


STEP_OPTIONS = (
    '--teacher tests/data/rn_tiny.json --batch-size 2 --num-categories 5 --device cpu '
    '--rounds 1'
).split()


def test_a_step_of_every_variant(load, tmp_path):
    out = tmp_path / 'step.json'
    load('train_step').main(
        [
            *STEP_OPTIONS,
            *'--students mbv3_small --warm-up 0 --skip-memory --out'.split(),
            str(out),
        ]
    )
    (row,) = json.loads(out.read_text())['rows']
    cpu = {side: values[0] for side, values in row['times']['cpu'].items()}
    assert set(cpu) == set(row['sides'])
    stored = row['sides']['stored']
    assert stored['images_per_second'] == pytest.approx(2 / cpu['stored'])
    found = {name: value['median'] for name, value in row['ratios'].items()}
    assert found['speed of stored LGD / supervised'] == pytest.approx(
        cpu['supervised'] / cpu['stored']
    )
    assert found['time of online LGD / (teacher + stored LGD)'] == pytest.approx(
        cpu['online'] / (cpu['teacher'] + cpu['stored'])
    )
    # The teacher is not part of a stored or a supervised step.
    gflop = {name: side['gflop_per_image'] for name, side in row['sides'].items()}
    assert gflop['stored'] == gflop['supervised']
    assert gflop['online'] == pytest.approx(gflop['stored'] + gflop['teacher'])


def test_peak_memory_is_that_of_one_variant(load, capsys):
    options = [*STEP_OPTIONS, '--students', 'mbv3_small', '--memory-of', 'stored']
    load('train_step').main(options)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told['host_mib'] >= told['host_mib_of_imports'] > 0


@pytest.mark.slow
def test_bytes_between_two_ranks_are_as_calculated(load, tmp_path):
    out = tmp_path / 'scaling.json'
    options = ['--student', 'mbv3_small', '--warm-up', '1', '--ranks', '2']
    load('scaling').main([*STEP_OPTIONS, *options, '--out', str(out)])
    (row,) = json.loads(out.read_text())['rows']
    found, needed = row['collectives'], row['needed_bytes']
    assert sorted(found) == ['allgather_', 'allreduce_']
    assert found['allreduce_']['bytes'] == needed['gradients']
    # Two images, each a row of 32 and its category, in float32.
    assert found['allgather_'] == dict(calls=1, bytes=4 * 2 * 33)
    assert needed['embeddings'] == 4 * 2 * 33


@pytest.mark.slow
def test_phases_add_up_to_the_iteration(load, tmp_path):
    out = tmp_path / 'profile.json'
    load('profile_step').main(
        [
            *(option for option in STEP_OPTIONS if option not in ('--rounds', '1')),
            *'--students mbv3_small --iterations 1 --operators 3 --out'.split(),
            str(out),
        ]
    )
    stored, online = json.loads(out.read_text())['rows']
    for row in (stored, online):
        phases = {name: value['median'] for name, value in row['phases'].items()}
        assert sum(phases.values()) == pytest.approx(row['seconds'])
        assert min(phases[name] for name in ('backward', 'hooks', 'optimizer')) > 0
        assert phases['rest'] > -1e-3
        assert len(row['operators']) == 3


@pytest.mark.slow
def test_workers_hold_no_copy_of_the_list(load, tmp_path):
    tool, out = load('worker_memory'), tmp_path / 'memory.json'
    # In a separate process: garbage collection would make workers copy some of the
    # hundreds of MiB that earlier tests have left in this one.
    options = ['--images', '400000', '--workers', '2', '--out', str(out)]
    subprocess.run([sys.executable, '-m', tool.__name__, *options], check=True)
    told = json.loads(out.read_text())
    (row,) = told['rows']
    grown = row['mib_a_worker'] - row['mib_a_worker_short_list']
    assert told['list_mib'] > 10 and grown < 10
    # For comparison: a list of dicts, which is copied when read.
    images = tool.SyntheticImages(400000)
    images.data_list = list(images.data_list)
    plain = tool.SeededViews(images)
    assert tool.mean_of_workers(plain, 2) - row['mib_a_worker_short_list'] > 20


def test_store_size_is_measured(load, tmp_path, capsys):
    out = tmp_path / 'store.json'
    options = '--images 30 --views 2 --embed-dims 16 --rounds 2 --warm-up 0'.split()
    load('view_store').main([*options, '--out', str(out)])
    told = json.loads(out.read_text())
    half, byte = told['rows']
    # Two checksums of 4 bytes and 16 numbers; in int8, a scale of 4 bytes, too.
    assert (half['row_bytes'], byte['row_bytes']) == (8 + 32, 8 + 4 + 16)
    assert half['imagenet_10_views_gb'] == pytest.approx(1281167 * 400 / 1e9, abs=0.05)
    assert half['bytes_a_view'] > 40 and byte['bytes_a_view'] > 28
    assert 0 <= half['mean_cosine_loss'] < byte['mean_cosine_loss'] < 1e-3
    seconds = told['reading']['times']['cpu']
    ratios = [a / b for a, b in zip(seconds['stored'], seconds['seeded'])]
    median = told['reading']['over_seeded']['stored']['median']
    assert median == pytest.approx(sum(ratios) / 2)
    assert f'{median:.3f} times' in capsys.readouterr().out


def test_stored_pixels_are_compared_with_drawn_views(load, tmp_path, capsys):
    out = tmp_path / 'pixels.json'
    options = '--qualities 90 --rounds 2 --warm-up 0'.split()
    load('stored_pixels').main([*options, '--out', str(out)])
    told = json.loads(out.read_text())
    assert set(told['bytes_a_view']) == {'jpeg 90', 'webp 90'}
    assert 1000 < told['bytes_a_view']['webp 90'] < told['bytes_a_view']['jpeg 90']
    seconds = told['times']['cpu']
    ratios = [a / b for a, b in zip(seconds['drawn'], seconds['jpeg 90'])]
    median = told['drawn_over']['jpeg 90']['median']
    assert median == pytest.approx(sum(ratios) / 2) and median > 2
    assert f'{median:.2f} times as many' in capsys.readouterr().out


@pytest.mark.slow
def test_an_index_of_shards_takes_little_memory_and_reading_no_more_time(tmp_path):
    out = tmp_path / 'shards.json'
    # In a separate process, whose memory other tests have not used.
    options = '--entries 5000000 --images 100 --rounds 4'.split()
    command = [sys.executable, '-m', 'benchmarks.speed.shards', *options]
    subprocess.run([*command, '--out', str(out)], check=True)
    told = json.loads(out.read_text())
    large = told['large']
    assert (large['entries'], large['shards']) == (5_000_000, 500)
    grown = {
        key: large['used'][key] - large['before'][key] for key in ('own', 'mapped')
    }
    # A list of numbers alone would take 40 MiB.
    assert grown['own'] < 20 and grown['mapped'] < 150
    # 1.2 on a quiet machine.
    assert told['speed']['read']['folder_over_shards']['cpu']['median'] > 0.7
