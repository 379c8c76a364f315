import pytest

from tests.resume_helper import assert_same_training, run_killed_and_resumed
from tests.runs import toy_run_cfg, write_images


def small_patches(pipeline: list) -> list:
    """The pipeline, with two patches of 8 x 8 in addition to each crop."""
    load, crop, flip, pack = pipeline
    patch = dict(crop, scale=8, crop_ratio_range=(0.05, 0.14))
    views = dict(
        type='mmpretrain.MultiView',
        num_views=[1, 2],
        transforms=[[crop, flip], [patch, flip]],
    )
    return [load, views, pack]


@pytest.mark.slow
def test_seed_with_small_patches_resumes_bit_by_bit(tmp_path):
    model = dict(
        type='SEED',
        teacher=dict(type='ToyTeacher'),
        # BatchNorm's statistics, drop path's random numbers.
        backbone=dict(type='mmpretrain.EfficientNet', arch='b0', drop_path_rate=0.3),
        queue_size=7,
        num_patches=2,
        zero_shot_bank=dict(
            type='TextualSemanticsBank',
            categories=['bird', 'cat', 'dog', 'fish'],
            templates=['{}'],
        ),
    )
    cfg = toy_run_cfg(write_images(tmp_path), tmp_path / 'unused', model)
    cfg.custom_imports = dict(imports=['tests.toys'])
    cfg.train_cfg.max_epochs = 3
    dataset = cfg.train_dataloader.dataset.dataset
    dataset.pipeline = small_patches(dataset.pipeline)
    cfg.train_dataloader.num_workers = 2
    cfg.dump(tmp_path / 'cfg.py')
    whole, resumed = run_killed_and_resumed(
        tmp_path / 'cfg.py', kill_at=6, folder=tmp_path
    )
    assert whole['meta']['iter'] == 12
    # Twelve batches of four rows have passed through a queue of seven.
    for name in ('queue', 'patch_queue'):
        assert whole['state_dict'][f'{name}.position'] == 12 * 4 % 7
    assert_same_training(whole, resumed)
