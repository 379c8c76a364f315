"""Entropy and agreement of a teacher's targets over temperatures."""

import json
import math

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.apis.teacher_temperature import report_temperatures, temperature_rows
from mmlgd.cli import teacher_temperature
from mmlgd.errors import ConfigError, TeacherError
from mmlgd.registry import DATASETS, MODELS
from tests.helpers import tiny_teacher_cfg
from tests.runs import toy_run_cfg, write_images
from tests.several_toys import entry, several_cfg
from tests.stored_runs import stored_run_cfg, write_store
from tests.toys import NAMES, ToyTeacher


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('temperature'))


def test_two_names_by_hand():
    # At T = 0.5 the logits of the first view are (2 ln 3, 0) / ...: (ln 9, 0).
    first = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
    second = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])

    (row,) = temperature_rows(first, second, [0.5])

    # Targets (.9, .1), (.1, .9) of the one, (.9, .1), (.5, .5) of the other view.
    sharp = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    entropy = (3 * sharp + math.log(2)) / 4
    assert row['temperature'] == 0.5
    assert row['entropy'] == pytest.approx(entropy, rel=1e-6)
    assert row['effective_names'] == pytest.approx(math.exp(entropy), rel=1e-6)
    assert row['top1_probability'] == pytest.approx((3 * 0.9 + 0.5) / 4, rel=1e-6)
    assert row['agreement'] == pytest.approx((0.82 + 0.5) / 2, rel=1e-6)
    assert row['chance'] == pytest.approx(0.6**2 + 0.4**2, rel=1e-6)
    mean = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))
    # (.5, .5) under (.1, .9), and the other way round.
    forward = -(0.5 * math.log(0.1) + 0.5 * math.log(0.9))
    crossed = (2 * sharp + forward + math.log(2)) / 4
    assert row['shared'] == pytest.approx(mean - crossed, rel=1e-6)


def test_the_ends_of_the_grid():
    torch.manual_seed(0)
    logits = torch.rand(50, 7)

    cold, warm = temperature_rows(logits, logits, [1e-5, 1e4])

    assert cold['entropy'] == pytest.approx(0, abs=1e-2)
    assert cold['agreement'] == pytest.approx(1, abs=1e-2)
    assert warm['entropy'] == pytest.approx(math.log(7), abs=1e-4)
    assert warm['effective_names'] == pytest.approx(7, abs=1e-3)
    assert warm['agreement'] == pytest.approx(1 / 7, abs=1e-4)
    assert warm['shared'] == pytest.approx(0, abs=1e-4)


def test_shared_punishes_what_is_too_cold_and_too_warm():
    # Two views of a signal, each with noise of its own.
    generator = torch.Generator().manual_seed(0)
    x, *noise = torch.randn(3, 2000, 5, generator=generator)
    views = [x + 0.3 * each for each in noise]

    cold, middle, warm = temperature_rows(*views, [0.05, 0.5, 100])

    # A best name that the other view does not have is as good as impossible when cold.
    assert cold['shared'] < 0 < warm['shared'] < middle['shared']
    assert cold['agreement'] > middle['agreement'] > warm['agreement']
    assert cold['entropy'] < middle['entropy'] < warm['entropy']


def views_by_hand(cfg, indices):
    """Unit rows of views of a config's images, one at a time."""
    init_default_scope('mmlgd')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    teacher = MODELS.build(cfg.model.teacher)
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (teacher.image_mean, teacher.image_std)
    )
    rows = []
    for index in indices:
        image = dataset[index]['inputs'].flip(0).float()
        rows.append(teacher.image_features(((image - mean) / std)[None])[0])
    return torch.nn.functional.normalize(torch.stack(rows), dim=1).detach()


def test_report_is_of_two_views_of_the_configs_images(root):
    cfg = toy_run_cfg(root, root / 'run')

    report = report_temperatures(cfg, [0.1, 1.0], num_images=100)

    texts = MODELS.build(cfg.model.textual_bank | dict(embed_dims=16))
    texts.build(ToyTeacher())
    # Sixteen images: view 0 and view 1 of each.
    logits = views_by_hand(cfg, range(32)) @ texts.embeddings.T
    first, second = logits[:16], logits[16:]
    assert (report.num_images, report.num_categories) == (16, len(NAMES))
    expected = temperature_rows(first, second, [0.1, 1.0])
    for found, wanted in zip(report.rows, expected):
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    same = (first.argmax(1) == second.argmax(1)).double().mean().item()
    assert report.top1_agreement == pytest.approx(same)
    assert report.learned_temperature is None
    assert report.teacher == ToyTeacher().identity


def test_learned_and_configured_temperatures_are_in_the_grid(root):
    cfg = toy_run_cfg(root, root / 'run')
    cfg.model.teacher = tiny_teacher_cfg()
    cfg.model.teacher_temperature = 0.033
    cfg.train_dataloader.dataset.dataset.pipeline[1].scale = 64

    report = report_temperatures(cfg, [0.05], num_images=4)

    assert report.num_images == 4
    found = [row['temperature'] for row in report.rows]
    assert found == pytest.approx([0.033, 0.05, 0.07], rel=1e-5)
    assert report.learned_temperature == pytest.approx(0.07, rel=1e-5)


def test_stored_views_need_no_teacher(root):
    online = toy_run_cfg(root, root / 'run')
    write_store(online, root / 'store')
    cfg = stored_run_cfg(root, root / 'store', root / 'run')

    found = report_temperatures(cfg, [0.1]).rows[0]

    assert found == pytest.approx(
        report_temperatures(online, [0.1]).rows[0], rel=0.01, abs=1e-3
    )
    cfg.train_dataloader.dataset.num_views = 1
    with pytest.raises(ConfigError, match='two views or more'):
        report_temperatures(cfg, [0.1])


def test_of_several_teachers_the_first_is_reported(root):
    wanted = report_temperatures(toy_run_cfg(root, root / 'run'), [0.1])
    online = toy_run_cfg(root, root / 'run', several_cfg(entry(size=16)))
    write_store(online, root / 'several')
    stored = online.copy()
    kind = dict(type='StoredTeacher', store=str(root / 'several'))
    stored.model.teachers = [
        dict(kind, teacher=online.model.teachers[0]),
        dict(teacher=dict(kind, position=1)),
    ]
    stored.train_dataloader.dataset.update(
        type='StoredViews', store=str(root / 'several')
    )

    for cfg in (online, stored):
        found = report_temperatures(cfg, [0.1])
        assert found.teacher == wanted.teacher
        assert found.rows[0] == pytest.approx(wanted.rows[0], rel=0.01, abs=1e-3)


def test_wrong_inputs(root):
    cfg = toy_run_cfg(root, root / 'run')
    for options in (dict(temperatures=[0.0]), dict(num_images=0)):
        with pytest.raises(ConfigError, match=next(iter(options))):
            report_temperatures(cfg, **options)
    single = Config(cfg.to_dict())
    single.train_dataloader.dataset = single.train_dataloader.dataset.dataset
    with pytest.raises(ConfigError, match='Wrap the images in SeededViews'):
        report_temperatures(single)
    frozen = Config(cfg.to_dict())
    frozen.model.teacher_temperature = 0
    with pytest.raises(ConfigError, match='temperatures must be a number in'):
        report_temperatures(frozen, [0.1])
    nameless = Config(cfg.to_dict())
    del nameless.model.textual_bank
    with pytest.raises(ConfigError, match='names are needed'):
        report_temperatures(nameless)


def test_a_broken_scale_is_refused(root, monkeypatch):
    monkeypatch.setattr(ToyTeacher, 'logit_scale', 100.0)
    with pytest.raises(TeacherError, match='logit_scale .* is 100.0, .*implausible'):
        report_temperatures(toy_run_cfg(root, root / 'run'), [0.1], num_images=4)


@pytest.mark.slow
def test_command_writes_what_it_prints(root, tmp_path, capsys):
    cfg = toy_run_cfg(root, root / 'run')
    cfg.model.teacher = tiny_teacher_cfg()
    cfg.train_dataloader.dataset.dataset.pipeline[1].scale = 64
    cfg.dump(tmp_path / 'config.py')
    out = tmp_path / 'found.json'

    teacher_temperature.main(
        [str(tmp_path / 'config.py'), '--temperatures', '0.02', '0.2']
        + ['--num-images', '6', '--device', 'cpu', '--out', str(out)]
    )

    found = json.loads(out.read_text())
    assert found['num_images'] == 6
    assert [row['temperature'] for row in found['rows']] == pytest.approx(
        [0.02, 0.07, 0.2], rel=1e-5
    )
    printed = capsys.readouterr().out
    assert 'two views of 6 images, 4 names' in printed
    lines = [line.split() for line in printed.splitlines()]
    header = next(line for line in lines if line[:1] == ['temperature'])
    row = next(line for line in lines if line[:1] == ['0.07'])
    assert header[1:3] == ['entropy', 'effective_names']
    assert float(row[1]) == pytest.approx(found['rows'][1]['entropy'], abs=1e-3)
    assert 'learned' in row[-1] and 'most shared' in printed
    assert found['top1_agreement'] <= 1
