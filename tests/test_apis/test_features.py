"""Features of labelled images: pooled, normalised by the checkpoint, in order."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch import nn

from mmlgd.apis import (
    build_preprocessor,
    evaluation_loaders,
    extract_features,
    unlabeled_loader,
)
from mmlgd.errors import CheckpointError, ConfigError, DataError
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyBackbone

MEAN, STD = [10.0, 20.0, 30.0], [2.0, 4.0, 8.0]


def write_meta(path, **meta):
    torch.save(dict(state_dict={}, meta=meta), path)
    return path


@pytest.fixture
def preprocessor(tmp_path):
    meta = dict(image_mean=MEAN, image_std=STD, to_rgb=True)
    return build_preprocessor(write_meta(tmp_path / 'meta.pth', **meta))


def batches(num_images=5, batch_size=2, size=6, seed=0):
    """Batches like those of a data loader: uint8 BGR images, labels 0, 1, 2, ..."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (num_images, 3, size, size), generator=generator)
    samples = [DataSample().set_gt_label(label) for label in range(num_images)]
    return [
        dict(
            inputs=images[at : at + batch_size].to(torch.uint8),
            data_samples=samples[at : at + batch_size],
        )
        for at in range(0, num_images, batch_size)
    ]


class Maps(nn.Module):
    """Returns the normalised images, after a feature map that is not used."""

    def forward(self, inputs):
        return torch.zeros(len(inputs), 1, 1, 1), inputs


class Vectors(nn.Module):
    """Returns vectors (B, 3) without a tuple: the upper left pixel."""

    def forward(self, inputs):
        return inputs[:, :, 0, 0]


def test_the_last_map_is_normalised_in_rgb_and_averaged(preprocessor):
    loader = batches()
    features, labels = extract_features(Maps(), loader, preprocessor)
    images = np.concatenate([batch['inputs'].numpy() for batch in loader])
    wanted = (images[:, ::-1].mean(axis=(2, 3)) - MEAN) / STD
    np.testing.assert_allclose(features, wanted, rtol=1e-5)
    assert features.dtype == torch.float32
    assert labels.tolist() == [0, 1, 2, 3, 4]


def test_vectors_stay_as_they_are(preprocessor):
    loader = batches()
    features, _ = extract_features(Vectors(), loader, preprocessor)
    images = np.concatenate([batch['inputs'].numpy() for batch in loader])
    np.testing.assert_allclose(
        features, (images[:, ::-1, 0, 0] - MEAN) / STD, rtol=1e-5
    )


def test_batchnorm_is_frozen_and_each_part_keeps_its_mode(preprocessor):
    backbone = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.Dropout(0.5))
    backbone.train()
    backbone[1].eval()
    once, _ = extract_features(backbone, batches(), preprocessor)
    twice, _ = extract_features(backbone, batches(batch_size=5), preprocessor)
    assert torch.allclose(once, twice)
    assert [part.training for part in backbone] == [True, False, True]
    assert backbone[0].num_batches_tracked == 0
    assert not once.requires_grad


def test_features_of_another_shape_are_refused(preprocessor):
    with pytest.raises(ConfigError, match=r'shape \(2, 3, 36\), neither maps'):
        extract_features(nn.Flatten(2), batches(), preprocessor)


def test_images_need_exactly_one_label(preprocessor):
    loader = batches()
    loader[1]['data_samples'][0] = DataSample(metainfo=dict(img_path='cat.jpg'))
    with pytest.raises(DataError, match='cat.jpg has no label'):
        extract_features(Maps(), loader, preprocessor)
    loader[1]['data_samples'][0] = DataSample().set_gt_label([1, 2])
    with pytest.raises(DataError, match='an image has 2 labels'):
        extract_features(Maps(), loader, preprocessor)
    with pytest.raises(DataError, match='returns no image'):
        extract_features(Maps(), [], preprocessor)


def test_a_checkpoint_must_record_its_normalisation(tmp_path):
    path = write_meta(tmp_path / 'foreign.pth', image_mean=MEAN)
    with pytest.raises(CheckpointError, match=r'foreign.pth does not have image_std'):
        build_preprocessor(path)
    found = build_preprocessor(path, dict(image_std=[1, 2, 3], to_rgb=False))
    assert found.std.flatten().tolist() == [1, 2, 3] and not found.to_rgb


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('images'), num=10)


def labelled_cfg(images, tmp_path) -> Config:
    """A run whose training images have labels, behind SeededViews."""
    cfg = toy_run_cfg(images, tmp_path)
    train = cfg.train_dataloader.dataset.dataset
    train.update(cfg.val_dataloader.dataset, pipeline=train.pipeline)
    return cfg


def test_loaders_augment_and_shuffle_neither_set(images, tmp_path):
    cfg = labelled_cfg(images, tmp_path)
    train, test = evaluation_loaders(cfg)
    # The training loader of the run drops the last, partial batch.
    assert [len(batch['data_samples']) for batch in train] == [4, 4, 2]
    for once, again, other in zip(train, train, test):
        assert torch.equal(once['inputs'], again['inputs'])
        assert torch.equal(once['inputs'], other['inputs'])
        assert once['inputs'].shape[2:] == (16, 16)
    assert 'SeededViews' in cfg.train_dataloader.dataset.type


def test_features_of_a_config_come_with_its_labels(images, tmp_path, preprocessor):
    loader, _ = evaluation_loaders(labelled_cfg(images, tmp_path))
    features, labels = extract_features(ToyBackbone(), loader, preprocessor)
    assert features.shape == (10, 12)
    files = sorted((images / 'val').glob('*/*.png'))
    wanted = [sorted(NAMES).index(file.parent.name) for file in files]
    assert labels.tolist() == wanted


def test_validation_images_stand_in_for_test_images(images, tmp_path):
    cfg = labelled_cfg(images, tmp_path)
    assert cfg.get('test_dataloader') is None
    cfg.val_dataloader = None
    with pytest.raises(ConfigError, match='must have train_dataloader, and test_'):
        evaluation_loaders(cfg)


def test_parts_of_a_concatenation_stay_joined_inside_any_wrappers(images, tmp_path):
    cfg = labelled_cfg(images, tmp_path)
    part = cfg.train_dataloader.dataset.dataset
    twice = dict(type='RepeatDataset', dataset=part, times=2)
    joined = dict(type='ConcatDataset', datasets=[part, twice])
    cfg.train_dataloader.dataset = dict(type='SeededViews', dataset=joined)
    cfg.val_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[cfg.val_dataloader.dataset]
    )
    train, test = evaluation_loaders(cfg)
    assert (len(train.dataset), len(test.dataset)) == (20, 10)
    assert torch.equal(next(iter(train))['inputs'], next(iter(test))['inputs'])


def test_unlabelled_training_images_are_refused(images, tmp_path, preprocessor):
    train, _ = evaluation_loaders(toy_run_cfg(images, tmp_path))
    with pytest.raises(
        DataError, match=r'\.png has no label, .*configs/classification'
    ):
        extract_features(ToyBackbone(), train, preprocessor)


class ChannelsLast(nn.Module):
    """Returns maps (B, h, w, C), like timm's Swin."""

    def forward(self, inputs):
        return inputs.permute(0, 2, 3, 1).repeat(1, 1, 1, 16)


def test_maps_are_averaged_over_their_positions_wherever_the_channels_are(preprocessor):
    loader = batches()
    found, _ = extract_features(ChannelsLast(), loader, preprocessor)
    expected, _ = extract_features(Maps(), loader, preprocessor)
    torch.testing.assert_close(found, expected.repeat(1, 16))


def test_the_teacher_embeds_the_images_of_a_concatenation_in_order(tmp_path):
    cfg = toy_run_cfg(write_images(tmp_path), tmp_path / 'run')
    val = cfg.val_dataloader.dataset
    halves = [dict(val, indices=list(range(8))), dict(val, indices=[8, 9])]
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=halves)
    cfg.val_dataloader.dataset = dict(type='ConcatDataset', datasets=[val, val])
    loader = unlabeled_loader(cfg)
    assert len(loader.dataset) == 10
