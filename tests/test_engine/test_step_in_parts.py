"""A step in parts, or on unequal shares of ranks, equals one on the whole batch."""

from functools import partial

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.optim import SGD

from mmlgd.engine import AmpOptimWrapper, AnyDeviceDDP
from mmlgd.engine.step_in_parts import StepInParts, collate_parts
from mmlgd.registry import MODELS
from tests.toys import toy_lgd_cfg
from tests.two_ranks import run_on_two_ranks

METHODS = dict(
    lgd=toy_lgd_cfg(),
    lgd_plus=toy_lgd_cfg(
        type='LGDPlus',
        balance=0.5,
        anchor_bank=dict(type='ClusterBank', num_clusters=7, momentum=0.5),
    ),
    seed=dict(
        type='SEED',
        teacher=dict(type='ToyTeacher'),
        backbone=dict(type='ToyBackbone'),
        queue_size=8,  # not a multiple of the batch
    ),
    mimicry=dict(
        type='FeatureMimicry',
        loss_weight=1.0,
        teacher=dict(type='ToyTeacher'),
        backbone=dict(type='ToyBackbone'),
    ),
)
# It cannot be computed in parts.
RELATIONAL = dict(METHODS['mimicry'], type='RelationalKD', mimicry_weight=9.0)
NUM_IMAGES = 5


def build(cfg):
    torch.manual_seed(0)
    return MODELS.build(cfg)


def images(step):
    generator = torch.Generator().manual_seed(step)
    shape = (NUM_IMAGES, 3, 16, 16)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def collate(items):
    return dict(inputs=torch.stack(list(items)))


def optimise(model, kind=OptimWrapper, **options):
    return kind(optimizer=SGD(model.parameters(), 0.2, momentum=0.9), **options)


def train_whole(cfg, steps=3, **options):
    """The state after steps on the whole batch, and the outputs of the last."""
    model = build(cfg)
    wrapper = optimise(model, **options)
    for step in range(steps):
        outputs = model.train_step(collate(images(step)), wrapper)
    return model.state_dict(), outputs


def train_parts(model, size, rows=slice(None), total=None, steps=3, **options):
    wrapper = optimise(model, **options)
    train_step = StepInParts(model.train_step, size)
    for step in range(steps):
        train_step.total = total
        data = collate_parts(list(images(step)[rows]), collate=collate, size=size)
        outputs = train_step(data, wrapper)
    return getattr(model, 'module', model).state_dict(), outputs


def assert_same(state, wanted):
    assert state.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(state[key], value, atol=1e-6, rtol=1e-5, msg=key)


def test_parts_are_collated_in_order():
    parts = collate_parts([1, 2, 3, 4, 5], collate=sum, size=2)
    assert parts == [(2, 3), (2, 7), (1, 5)]


@pytest.mark.parametrize('size', [1, 2, 5])
@pytest.mark.parametrize('method', METHODS)
def test_parts_of_one_rank(method, size):
    wanted, outputs = train_whole(METHODS[method])
    state, found = train_parts(build(METHODS[method]), size)
    assert_same(state, wanted)
    assert found.keys() == outputs.keys()
    for name, value in outputs.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    'options',
    [
        dict(accumulative_counts=2),
        dict(kind=AmpOptimWrapper, cpu_dtype='float32'),
        dict(clip_grad=dict(max_norm=0.01)),
    ],
    ids=['accumulation', 'amp', 'clipping'],
)
def test_options_of_the_optimizer_wrapper_keep_their_meaning(options):
    wanted, _ = train_whole(METHODS['lgd'], steps=4, **options)
    state, _ = train_parts(build(METHODS['lgd']), 2, steps=4, **options)
    assert_same(state, wanted)


def test_a_step_that_failed_leaves_nothing_behind():
    model = build(METHODS['lgd'])
    wrapper = optimise(model)
    train_step = StepInParts(model.train_step, 3)
    broken = [*collate_parts(list(images(7))[:3], collate=collate, size=3), (2, None)]
    with pytest.raises(TypeError):
        train_step(broken, wrapper)
    wrapper.zero_grad()
    wanted, _ = train_whole(METHODS['lgd'])
    state, _ = train_parts(model, 3)
    assert_same(state, wanted)


def train_on_a_rank(rank):
    """Three images on rank 0 and two on rank 1; rank 1 has none of the last part."""
    train = partial(train_parts, rows=slice(rank, None, 2), total=NUM_IMAGES)
    wrap = partial(AnyDeviceDDP, broadcast_buffers=False)
    states = {
        f'{name} {size}': train(wrap(build(cfg)), size)[0]
        for name, cfg in METHODS.items()
        for size in (2, 3)
    }
    states['relational 3'] = train(wrap(build(RELATIONAL)), 3)[0]
    return states


@pytest.mark.slow
def test_unequal_shares_of_two_ranks(tmp_path):
    first, second = run_on_two_ranks(train_on_a_rank, tmp_path)
    methods = dict(METHODS, relational=RELATIONAL)
    assert len(first) == 9
    for name, state in first.items():
        wanted, _ = train_whole(methods[name.split()[0]])
        assert_same(state, wanted)
        for key, value in state.items():
            assert torch.equal(value, second[name][key]), (name, key)
