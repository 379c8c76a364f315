"""Mean and std of further teachers before training: runs, resumed runs, ranks."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmlgd.engine.hooks import FeatureStatisticsHook
from mmlgd.errors import BankError, ConfigError
from tests.reference_features import statistics
from tests.runs import toy_run_cfg, write_images
from tests.several_toys import entry, several, several_cfg
from tests.toys import NAMES, toy_lgd
from tests.two_ranks import run_on_two_ranks

FURTHER = entry(size=16), entry(seed=2, size=8, target=['features', 'maps'])


def run_cfg(root, work_dir, *further, **options):
    names = dict(several_cfg(*(further or FURTHER)))
    names['textual_bank'] = dict(names['textual_bank'], categories=sorted(NAMES))
    cfg = toy_run_cfg(root, work_dir, names)
    cfg.custom_hooks.append(dict(type='FeatureStatisticsHook', **options))
    return cfg


def statistics_of(model) -> dict:
    return {
        key: value.clone()
        for key, value in model.state_dict().items()
        if key.startswith('feature_statistics.')
    }


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A whole run, its statistics before the first iteration, and its folder."""
    root = write_images(tmp_path_factory.mktemp('several'))
    runner = Runner.from_cfg(run_cfg(root, root / 'run'))
    seen = []
    step = runner.model.train_step

    def train_step(*args, **kwargs):
        seen.append(statistics_of(runner.model))
        return step(*args, **kwargs)

    runner.model.train_step = train_step
    runner.train()
    return root, runner, seen


def test_statistics_are_those_of_the_first_views(run):
    _, runner, seen = run
    dataset, model = runner.train_dataloader.dataset, runner.model
    inputs = torch.stack([dataset[index]['inputs'] for index in range(len(dataset))])
    inputs = model.data_preprocessor(dict(inputs=inputs))['inputs']
    targets = model.feature_targets(inputs)
    assert targets.keys() == {'features_1', 'features_2', 'maps_2'}
    for name, target in targets.items():
        rows = np.moveaxis(target.double().numpy(), 1, -1).reshape(-1, target.shape[1])
        mean, std = statistics(rows)
        found = seen[0]
        prefix = f'feature_statistics.{name}'
        np.testing.assert_allclose(found[f'{prefix}.mean'], mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[f'{prefix}.std'], std, rtol=1e-3)
        assert found[f'{prefix}.num_rows'] == len(rows)


def test_they_stay_fixed_and_are_saved(run):
    root, runner, seen = run
    assert len(seen) == 8
    for other in seen[1:]:
        assert all(torch.equal(seen[0][key], other[key]) for key in seen[0])
    saved = torch.load(root / 'run/epoch_2.pth', weights_only=True)
    assert all(torch.equal(saved['state_dict'][key], seen[0][key]) for key in seen[0])
    further = saved['meta']['further_teachers']
    assert [one['targets'] for one in further] == [['features'], ['features', 'maps']]
    # The language teacher's, with which new names are encoded.
    assert saved['meta']['teacher_config']['type'] == 'ToyTeacher'
    exported = torch.load(root / 'run/backbone.pth', weights_only=True)['state_dict']
    assert all(key.startswith('backbone.') for key in exported)


def test_a_resumed_run_does_not_compute_them_again(run, monkeypatch):
    root, _, seen = run
    cfg = run_cfg(root, root / 'resumed')
    cfg.update(load_from=str(root / 'run/epoch_1.pth'), resume=True)
    runner = Runner.from_cfg(cfg)

    def refuse(*args):
        raise AssertionError('a first pass')

    monkeypatch.setattr(FeatureStatisticsHook, '_batches', refuse)
    runner.train()

    found = statistics_of(runner.model)
    assert all(torch.equal(seen[0][key], found[key]) for key in found)
    whole = torch.load(root / 'run/epoch_2.pth', weights_only=True)['state_dict']
    for key, value in runner.model.state_dict().items():
        assert torch.equal(value, whole[key]), key


@pytest.mark.parametrize(
    'further',
    [
        (entry(size=16, seed=5), FURTHER[1]),
        (entry(size=16, target=['features', 'maps']), entry(seed=2, size=8)),
        (entry(seed=2, size=8), entry(size=16)),
    ],
    ids=['another', 'other targets', 'another order'],
)
def test_a_checkpoint_of_other_further_teachers_is_refused(run, tmp_path, further):
    root, _, _ = run
    cfg = run_cfg(root, tmp_path / 'other', *further)
    cfg.load_from = str(root / 'run/epoch_1.pth')
    with pytest.raises(BankError, match='further teachers'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('stored', ['x', [1], [dict(teacher=1)], [{}, {}], {}])
def test_meta_that_nobody_wrote(stored):
    model = several(*FURTHER)
    runner = SimpleNamespace(model=model)
    with pytest.raises(BankError, match='further teachers'):
        FeatureStatisticsHook().after_load_checkpoint(
            runner, dict(meta=dict(further_teachers=stored))
        )


def toy_runner(model, number: int = 21):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (number, 3, 24, 24), generator=generator)
    data = [dict(inputs=each.to(torch.uint8)) for each in pixels]
    loader = DataLoader(data, batch_size=4, collate_fn=default_collate)
    logger = MMLogger.get_instance('statistics')
    return SimpleNamespace(model=model, train_dataloader=loader, logger=logger)


def compute(rank: int = 0, num_images: int = 13) -> dict:
    model = several(entry(), entry(seed=2, size=16, target='maps'))
    state = torch.get_rng_state()
    FeatureStatisticsHook(num_images).before_train(toy_runner(model))
    assert torch.equal(torch.get_rng_state(), state)
    return statistics_of(model)


@pytest.mark.slow
def test_two_ranks_get_what_one_gets(tmp_path):
    alone = compute()
    first, second = run_on_two_ranks(compute, tmp_path)
    assert alone['feature_statistics.features_1.num_rows'] == 13
    for key, value in alone.items():
        assert torch.equal(first[key], second[key])
        torch.testing.assert_close(first[key], value, rtol=1e-5, atol=1e-6)


def test_more_images_than_there_are_is_all():
    found = compute(num_images=1000)
    assert found['feature_statistics.features_1.num_rows'] == 21
    # Of 16 pixels in patches of 8.
    assert found['feature_statistics.maps_2.num_rows'] == 21 * 4


def test_it_belongs_to_several_teachers():
    with pytest.raises(ConfigError, match='remove the hook'):
        FeatureStatisticsHook().before_train(toy_runner(toy_lgd()))
    with pytest.raises(ConfigError, match='FeatureStatisticsHook.num_images'):
        FeatureStatisticsHook(num_images=1)


def test_other_runs_are_not_disturbed_by_the_first_pass():
    model = several(entry())
    before = copy.deepcopy(model.state_dict())
    FeatureStatisticsHook().before_train(toy_runner(model))
    for key, value in model.state_dict().items():
        if not key.startswith('feature_statistics.'):
            assert torch.equal(value, before[key])
