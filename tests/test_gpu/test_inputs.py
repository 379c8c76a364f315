"""Batches copied ahead, and augmentation, on a CUDA device."""

import pytest
import torch
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader

from benchmarks.gpu.inputs import device_augmentation
from benchmarks.gpu.outcome import Setting
from mmlgd.engine.prefetching import LoaderAhead, SideStream
from mmlgd.models.data_preprocessor import DistillDataPreprocessor
from mmlgd.models.device_augmentation import augment
from tests.tiny_runner import OneWeight, tiny_runner

pytestmark = pytest.mark.gpu


class Images:
    def __len__(self):
        return 240

    def __getitem__(self, index):
        return dict(inputs=torch.full((3, 128, 128), index % 256, dtype=torch.uint8))


def test_copies_are_whole_while_the_device_is_busy():
    preprocessor = DistillDataPreprocessor().to('cuda')
    plain = DataLoader(
        Images(), 8, num_workers=2, pin_memory=True, collate_fn=default_collate
    )
    stream = SideStream(torch.device('cuda'), preprocessor.cast_data)
    busy, sums = torch.rand(2048, 2048, device='cuda'), []
    for batch in LoaderAhead(plain, stream.start):
        images = batch['inputs']
        assert images.is_cuda
        # The step reads the images long after the host has dropped them.
        for _ in range(20):
            busy = (busy @ busy).clamp(0, 1)
        sums.append(images.long().flatten(1).sum(1))
        del batch, images
    found = torch.cat(sums).cpu()
    assert torch.equal(found, 3 * 128 * 128 * torch.arange(240).remainder(256))


def test_copies_do_not_wait_for_the_device():
    preprocessor = DistillDataPreprocessor().to('cuda')
    stream = SideStream(torch.device('cuda'), preprocessor.cast_data)
    batch = dict(inputs=torch.zeros(8, 3, 64, 64, dtype=torch.uint8).pin_memory())
    torch.cuda.set_sync_debug_mode('error')
    try:
        images = stream.start(batch)()['inputs']
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert not images.any()


@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_run_ahead_ends_with_the_same_weight(tmp_path, by_epoch):
    found = []
    for ahead in (False, True):
        config = dict(by_epoch=by_epoch)
        config.update(dict(max_epochs=3) if by_epoch else dict(max_iters=9))
        runner = tiny_runner(
            tmp_path / str(ahead),
            model=OneWeight(),
            loader=dict(
                num_workers=2,
                pin_memory=True,
                sampler=dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler'),
            ),
            custom_hooks=[dict(type='PrefetchHook')] if ahead else [],
            train_cfg=config,
        )
        runner.train()
        loop = runner.train_loop
        wrapped = getattr(loop, 'dataloader_iterator', loop.dataloader)
        assert type(wrapped).__name__.endswith('Ahead') == ahead
        found.append(runner.model.weight.item())
    assert found[0] == found[1] != 0


def test_augmentation_equals_that_of_a_cpu():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8, generator=generator)
    codes = torch.arange(64 * 4).remainder(5).reshape(64, 4)
    values = torch.rand(64, 4, generator=generator) * 0.4 + 0.1
    operations = torch.stack([codes.float(), values], dim=2)
    wanted = augment(images, operations)
    found = augment(images.cuda(), operations).cpu()
    # Sums may be rounded the other way, and later operations enlarge that.
    assert (found - wanted).abs().max() <= 3
    assert (found != wanted).float().mean() < 0.01


def test_augmented_views_have_the_distribution_of_a_cpu():
    outcome = device_augmentation(Setting('cuda', dry=True))
    assert 'images/s' in outcome.figure and outcome.data['levels'] < 2.5
