import cv2
import numpy as np
import pytest
from mmengine.config import Config

from tests.resume_helper import assert_same_training, run_killed_and_resumed

# 11 images in batches of 4: the last batch of an epoch is short, and when infinite
# a batch spans two passes.
EPOCHS = dict(
    sampler=dict(type='ViewSampler'),
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=4),
    checkpoint=dict(type='AtomicCheckpointHook', interval=1, max_keep_ckpts=1),
    by_epoch=True,
)
ITERATIONS = dict(
    sampler=dict(type='ViewSampler', infinite=True),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=12),
    checkpoint=dict(
        type='AtomicCheckpointHook', by_epoch=False, interval=3, max_keep_ckpts=1
    ),
    by_epoch=False,
)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(11):
        image = generator.integers(0, 255, (8, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f'{number:02d}.png'), image)
    # An image that does not load must not disturb the order either.
    (folder / '05.png').write_bytes(b'broken')
    return str(folder)


def toy_config(images, sampler, train_cfg, checkpoint, by_epoch):
    dataset = dict(
        type='UnlabeledImages',
        data_root=images,
        max_broken=0.2,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='ToyAugment'),
        ],
    )
    return Config(
        dict(
            default_scope='mmlgd',
            custom_imports=dict(imports=['tests.resume_toy']),
            model=dict(type='ToyNet'),
            train_dataloader=dict(
                dataset=dict(type='SeededViews', dataset=dataset),
                sampler=sampler,
                batch_size=4,
                num_workers=2,
                # Their random state then outlives an epoch, and must not matter.
                persistent_workers=True,
            ),
            train_cfg=train_cfg,
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            param_scheduler=dict(type='ExponentialLR', gamma=0.9, by_epoch=by_epoch),
            default_hooks=dict(checkpoint=checkpoint),
            custom_hooks=[dict(type='StatelessSeedHook'), dict(type='EMAHook')],
            randomness=dict(seed=3),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize('loop', [EPOCHS, ITERATIONS], ids=['epochs', 'iterations'])
def test_toy_resumes_bit_by_bit(tmp_path, images, loop):
    path = tmp_path / 'toy.py'
    toy_config(images, **loop).dump(path)
    whole, resumed = run_killed_and_resumed(path, kill_at=7, folder=tmp_path)
    assert whole['meta']['iter'] == 12
    assert_same_training(whole, resumed)
