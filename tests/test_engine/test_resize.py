"""A run that resumes on another number of ranks equals one that was not interrupted."""

import pytest
import torch

from tests.resize_runs import load_final, logs, run_ranks, write_config
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import write_store

#: Learning rate of each of the nine iterations, from the schedule in ``write_config``.
RISING = [0.1 * (0.1 + 0.9 * step / 8) for step in range(9)]


def assert_counts(state: dict, num_images: int, sizes: list[int], rates: list[float]):
    """Each pass has each image once, and each iteration its size and learning rate."""
    counts = state['counts'].view(9, num_images).double()
    drawn = sum(sizes)
    passes, rest = divmod(drawn, num_images)
    expected = [num_images] * passes + [rest] + [0] * (8 - passes)
    assert (counts > 0).sum(dim=1).tolist() == expected
    found = counts[counts > 0]
    for size, rate in zip(sizes, rates, strict=True):
        is_of_iteration = (found / (rate / size) - 1).abs() < 1e-4
        assert is_of_iteration.sum() == size


def assert_same_run(whole: dict, resumed: dict):
    assert whole['meta']['iter'] == resumed['meta']['iter'] == 9
    assert whole['meta']['epoch'] == resumed['meta']['epoch']
    assert whole['state_dict'].keys() == resumed['state_dict'].keys()
    for key, value in whole['state_dict'].items():
        torch.testing.assert_close(
            resumed['state_dict'][key], value, atol=1e-5, rtol=0, msg=key
        )
    moved = whole['state_dict']['backbone.conv.weight'].std()
    assert moved > 1e-2  # the tolerance is small in comparison
    for old, new in zip(
        whole['optimizer']['param_groups'], resumed['optimizer']['param_groups']
    ):
        assert old['lr'] == pytest.approx(new['lr'], rel=1e-9)


@pytest.mark.slow
def test_epochs_on_more_ranks(tmp_path):
    # 26 images in batches of 12: the last batch of an epoch has fewer images than ranks.
    images = write_images(tmp_path / 'images', num=26)
    config = write_config(tmp_path / 'c.py', images, 26, 6, by_epoch=True)
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    assert run_ranks(config, whole, 2) == [0, 0]
    # The checkpoint is from iteration 4, within the second epoch.
    assert run_ranks(config, resumed, 2, kill=(1, 5, 'forward'))[1] == -9
    assert load_final(resumed)['meta']['iter'] == 4
    assert run_ranks(config, resumed, 4, '--resume') == [0] * 4, logs(resumed)
    sizes = [12, 12, 2] * 3
    rates = [rate / 2 ** (step // 3) for step, rate in enumerate(RISING)]
    assert_counts(load_final(whole)['state_dict'], 26, sizes, rates)
    assert_counts(load_final(resumed)['state_dict'], 26, sizes, rates)
    assert_same_run(load_final(whole), load_final(resumed))


@pytest.mark.slow
def test_iterations_on_fewer_ranks_in_parts(tmp_path):
    images = write_images(tmp_path / 'images', num=22)
    config = write_config(tmp_path / 'c.py', images, 22, 3, by_epoch=False)
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    assert run_ranks(config, whole, 4) == [0] * 4
    assert run_ranks(config, resumed, 4, kill=(3, 3, 'before'))[3] == -9
    assert run_ranks(config, resumed, 1, '--resume', kill=(0, 6, 'after'))[0] == -9
    assert run_ranks(config, resumed, 2, '--resume') == [0, 0], logs(resumed)
    # A rank never computed more images at once than at the beginning.
    assert load_final(resumed)['state_dict']['largest'] == 3
    assert_counts(load_final(whole)['state_dict'], 22, [12] * 9, RISING)
    assert_counts(load_final(resumed)['state_dict'], 22, [12] * 9, RISING)
    assert_same_run(load_final(whole), load_final(resumed))


@pytest.mark.slow
def test_a_batch_that_does_not_divide_with_stored_views(tmp_path):
    images = write_images(tmp_path / 'images', num=22)
    write_store(toy_run_cfg(images, tmp_path), tmp_path / 'store')
    config = write_config(
        tmp_path / 'c.py', images, 22, 3, by_epoch=False, store=tmp_path / 'store'
    )
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    size = ('--global-batch-size', '10')  # 3, 3, 2 and 2 images on four ranks
    assert run_ranks(config, whole, 4, *size) == [0] * 4, logs(whole)
    assert run_ranks(config, resumed, 4, *size, kill=(2, 4, 'after'))[2] == -9
    # Without the option, since the checkpoint records the size.
    assert run_ranks(config, resumed, 3, '--resume') == [0] * 3, logs(resumed)
    assert_counts(load_final(whole)['state_dict'], 22, [10] * 9, RISING)
    assert_counts(load_final(resumed)['state_dict'], 22, [10] * 9, RISING)
    assert_same_run(load_final(whole), load_final(resumed))
