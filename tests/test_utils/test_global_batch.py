"""The batch of each rank, for new and resumed runs."""

import pytest
from mmengine.config import Config

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.global_batch import set_global_batch
from mmlgd.utils.launch import Ranks


def config(batch_size=64, sampler='ViewSampler', **options):
    loader = dict(batch_size=batch_size, sampler=dict(type=sampler), **options)
    return Config(dict(train_dataloader=loader))


def record(**changes):
    return dict(global_batch=dict(size=256, ranks=4, part=64, config=64) | changes)


def split(cfg, world_size, rank=0, **kwargs):
    """The batch sizes of all ranks, the sampler of one, and what is recorded."""
    sizes = []
    for each in range(world_size):
        one = Config(cfg.to_dict())
        batch = set_global_batch(one, Ranks(each, world_size), **kwargs)
        sizes.append(one.train_dataloader.batch_size)
        if each == rank:
            sampler = one.train_dataloader.sampler.to_dict()
            sampler.pop('type')
    return sizes, sampler, batch.as_meta()


def test_a_new_run_has_the_batch_of_the_config():
    sizes, sampler, meta = split(config(), 4)
    assert sizes == [64] * 4 and not sampler
    assert meta == dict(size=256, ranks=4, part=64, config=64)


def test_a_wanted_size_is_split():
    sizes, sampler, meta = split(config(), 8, size=256)
    assert sizes == [32] * 8 and not sampler
    assert meta == dict(size=256, ranks=8, part=32, config=64)


def test_shares_differ_by_one_at_most():
    sizes, sampler, meta = split(config(drop_last=True), 3, size=256)
    assert sizes == [86, 85, 85]
    assert sampler == dict(global_batch_size=256, multiple_of=3, drop_last=True)
    assert meta['part'] == 86


def test_the_config_may_state_the_size():
    cfg = config()
    cfg.train_dataloader.sampler.global_batch_size = 250
    sizes, sampler, _ = split(cfg, 4)
    assert sizes == [63, 63, 62, 62]
    assert sampler['global_batch_size'] == 250
    # Options of another number of ranks, in a config that such a run wrote.
    cfg.train_dataloader.sampler.update(multiple_of=3, drop_last=True)
    assert split(cfg, 5)[:2] == ([50] * 5, {})


@pytest.mark.parametrize(
    ('world_size', 'sizes'),
    [(1, [256]), (3, [86, 85, 85]), (4, [64] * 4), (8, [32] * 8)],
)
def test_a_resumed_run_keeps_its_size(world_size, sizes):
    found, sampler, meta = split(config(), world_size, meta=record())
    assert found == sizes
    assert meta == record()['global_batch']
    # Where a pass ends is that of the first run.
    assert sampler.get('multiple_of', world_size) == 4


def test_a_resumed_run_keeps_a_size_of_the_command_line():
    meta = record(size=1024, part=256)
    assert split(config(), 2, meta=meta)[0] == [512, 512]
    assert split(config(), 2, size=1024, meta=meta)[2] == meta['global_batch']


@pytest.mark.parametrize(
    ('meta', 'size'),
    [
        (dict(training=dict(batch_size=64, ranks=4)), 256),
        (dict(training=dict(batch_size=32, ranks=4)), 128),
        ({}, 128),
    ],
    ids=['same', 'another', 'unknown'],
)
def test_checkpoints_before_the_record(meta, size):
    assert split(config(), 2, meta=meta)[2]['size'] == size


def test_a_changed_batch_size_is_used():
    sizes, sampler, meta = split(config(16), 2, meta=record())
    assert sizes == [16, 16] and not sampler
    assert meta == dict(size=32, ranks=2, part=16, config=16)
    assert split(config(), 2, size=100, meta=record())[0] == [50, 50]


def test_the_size_of_parts_can_be_set():
    assert split(config(), 2, part=16)[2]['part'] == 16
    assert split(config(), 2, part=128, meta=record())[2]['part'] == 128
    with pytest.raises(ConfigError, match='--micro-batch-size must be at least 1'):
        split(config(), 2, part=0)


@pytest.mark.parametrize(
    ('total', 'nearest'), [(10, '8 and 12'), (3, '4'), (0, '4'), (-5, '4')]
)
def test_other_samplers_need_equal_shares(total, nearest):
    with pytest.raises(ConfigError, match=rf'{total} .*4 rank.*size: {nearest}\.'):
        split(config(sampler='DefaultSampler'), 4, size=total)


def test_a_rank_needs_an_image():
    with pytest.raises(ConfigError, match=r'3 images .* 4 rank.*at least one image'):
        split(config(), 4, size=3)


def test_another_end_of_passes_is_warned_about(capsys):
    cfg = config(sampler='DefaultSampler')
    assert split(cfg, 2, meta=record())[0] == [128, 128]
    assert 'DefaultSampler may repeat or omit' in capsys.readouterr().out
    split(cfg, 4, meta=record())
    assert 'repeat or omit' not in capsys.readouterr().out


@pytest.mark.parametrize(
    'damaged',
    [record(size=0), record(part='64'), dict(global_batch=[256]), record(x=1)],
)
def test_damaged_records_are_refused(damaged):
    with pytest.raises(CheckpointError, match='global_batch'):
        split(config(), 2, meta=damaged)


def test_a_loader_without_batch_size_is_left_alone():
    cfg = Config(dict(train_dataloader=dict(batch_sampler=dict(type='X'))))
    assert set_global_batch(cfg, Ranks()) is None
