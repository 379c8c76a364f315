"""Fitting a projection: which images, which view of them, which strength."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmlgd.apis.align_teacher import align_teacher
from mmlgd.apis.alignment_data import split_indices, stacked, view_of
from mmlgd.errors import ConfigError, DataError, TeacherError
from mmlgd.registry import DATASETS, MODELS, TRANSFORMS
from mmlgd.utils.rng import seeded
from tests.helpers import tiny_teacher, tiny_teacher_cfg

IMAGES = 40


@DATASETS.register_module(force=True)
class NoiseImages:
    """uint8 crops that depend on their index only; records the requested ones."""

    asked: list[int] = []

    def __init__(self, number: int = IMAGES, size: int = 64) -> None:
        self.number, self.size = number, size

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> dict:
        NoiseImages.asked.append(index)
        rng = np.random.default_rng(index)
        # Low resolution, so that the models see differences.
        pixels = torch.from_numpy(rng.integers(0, 256, (3, 4, 4), dtype=np.uint8))
        pixels = pixels.repeat_interleave(self.size // 4, 1)
        return dict(inputs=pixels.repeat_interleave(self.size // 4, 2))


@pytest.fixture(scope='module')
def models():
    init_default_scope('mmlgd')
    torch.manual_seed(0)
    teacher = MODELS.build(
        dict(
            type='MMPretrainTeacher',
            backbone=dict(
                type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4
            ),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            image_size=32,
        )
    )
    return teacher, tiny_teacher()


def loader(**dataset):
    return dict(
        batch_size=7, num_workers=0, dataset=dict(type='NoiseImages', **dataset)
    )


def halve(image):
    """(3, 64, 64) to half the size under a triangle of two output pixels."""
    rows = np.zeros((32, 64))
    for index in range(32):
        for offset, weight in zip((-1, 0, 1, 2), (1, 3, 3, 1)):
            if 0 <= 2 * index + offset < 64:
                rows[index, 2 * index + offset] = weight
    rows /= rows.sum(axis=1, keepdims=True)
    return rows @ image @ rows.T


def embeddings(models, indices):
    """Both models' rows, one image at a time, resized and normalised by hand."""
    rows = []
    for index in indices:
        image = NoiseImages()[index]['inputs'].numpy()[::-1].astype(np.float64)
        pair = []
        for model in models:
            mean, std = np.array(model.image_mean), np.array(model.image_std)
            resized = image if model.image_size == 64 else halve(image)
            view = (resized - mean[:, None, None]) / std[:, None, None]
            view = torch.from_numpy(view).float()[None]
            with torch.no_grad():
                pair.append(model.image_features(view)[0].double().numpy())
        rows.append(pair)
    features, targets = (np.stack(column) for column in zip(*rows))
    return features, targets / np.linalg.norm(targets, axis=1, keepdims=True)


def cosine(rows, targets):
    return ((rows * targets).sum(1) / np.linalg.norm(rows, axis=1)).mean()


def test_the_fit_is_ridge_on_the_fitted_images_alone(models):
    teacher, target = models
    NoiseImages.asked.clear()

    found = align_teacher(
        teacher, target, loader(), strengths=(0.01, 1.0), held_out=0.25, seed=3
    )

    fitted, held_out = NoiseImages.asked[:30], NoiseImages.asked[30:]
    assert len(held_out) == 10 and sorted(fitted + held_out) == list(range(IMAGES))
    assert (fitted, held_out) == split_indices(IMAGES, 0.25, None, 3)
    features, targets = embeddings(models, fitted)
    centred = features - features.mean(axis=0)
    tests, wanted = embeddings(models, held_out)
    cosines = []
    for strength in (0.01, 1.0):
        scatter = centred.T @ centred
        penalty = strength * np.trace(scatter) / 32 * np.eye(32)
        weight = np.linalg.solve(scatter + penalty, centred.T @ targets).T
        bias = targets.mean(axis=0) - weight @ features.mean(axis=0)
        cosines.append(cosine(tests @ weight.T + bias, wanted))
        if strength == found.meta['strength']:
            for part, wanted_part in zip(found.projection, (weight, bias)):
                largest = np.abs(wanted_part).max()
                np.testing.assert_allclose(part, wanted_part, atol=1e-3 * largest)
    table = [row['held_out_cosine'] for row in found.table]
    assert table == pytest.approx(cosines, abs=1e-4)
    assert found.meta['held_out_cosine'] == max(table)
    assert found.meta['strength'] == (0.01, 1.0)[int(np.argmax(table))]
    mean = np.broadcast_to(targets.mean(axis=0), wanted.shape)
    assert found.meta['constant_cosine'] == pytest.approx(
        cosine(mean, wanted), abs=1e-4
    )
    assert (found.meta['num_images'], found.meta['num_held_out']) == (30, 10)


@DATASETS.register_module(force=True)
class JitteredImages:
    """``NoiseImages`` with brightness and contrast changed, or left to the device."""

    def __init__(self, on_device: bool) -> None:
        jitter = dict(type='FastColorJitter', brightness=0.4, contrast=0.4)
        pack = dict(type='PackForDevice', transforms=[jitter])
        steps = [pack] if on_device else [jitter, dict(type='mmpretrain.PackInputs')]
        self.steps = [TRANSFORMS.build(step) for step in steps]

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> dict:
        image = NoiseImages(size=64)[index]['inputs']
        results = dict(img=image.permute(1, 2, 0).contiguous().numpy())
        with seeded(index):
            for step in self.steps:
                results = step(results)
        return results


@pytest.mark.parametrize('collate', ['default_collate', 'pseudo_collate'])
def test_images_left_to_the_device_are_changed_as_on_the_cpu(models, collate):
    teacher, target = models

    def fit(on_device, collate_fn):
        config = dict(
            batch_size=7,
            num_workers=0,
            collate_fn=dict(type=collate_fn),
            dataset=dict(type='JitteredImages', on_device=on_device),
        )
        return align_teacher(teacher, target, config, strengths=[0.1], held_out=0.25)

    ours, wanted = fit(True, collate), fit(False, 'default_collate')
    plain = align_teacher(teacher, target, loader(), strengths=[0.1], held_out=0.25)
    for key in ('held_out_cosine', 'constant_cosine'):
        assert ours.meta[key] == pytest.approx(wanted.meta[key], abs=1e-3)
    # The change itself is not small.
    for part, other, undone in zip(
        ours.projection, wanted.projection, plain.projection
    ):
        difference = (part - other).abs().max()
        assert difference < 0.1 * (undone - other).abs().max()


def test_several_views_left_to_the_device_are_refused():
    view = dict(
        image=torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        operations=torch.zeros(2, 1, 2),
    )
    with pytest.raises(ConfigError, match='Use one view'):
        stacked([view, view])


def test_projection_records_its_origin(models, tmp_path):
    teacher, target = models
    found = align_teacher(teacher, target, loader(), strengths=[0.1], num_images=12)
    found.save(tmp_path / 'deep/map.pth')

    saved = torch.load(tmp_path / 'deep/map.pth', weights_only=True)
    assert saved['meta'] == found.meta
    assert saved['meta']['aligned_teacher'] == teacher.identity
    assert saved['meta']['alignment_target'] == target.identity
    assert saved['meta']['image_size'] == 32
    assert saved['meta']['image_mean'] == teacher.image_mean
    assert saved['meta']['num_images'] + saved['meta']['num_held_out'] == 12
    shapes = {key: tuple(value.shape) for key, value in saved['state_dict'].items()}
    assert shapes == dict(weight=(32, 32), bias=(32,))
    assert saved['state_dict']['weight'].dtype == torch.float32


def test_split_is_disjoint_and_drawn_from_everywhere():
    fit, held_out = split_indices(1000, 0.1, 200, seed=0)

    assert (len(fit), len(held_out)) == (180, 20)
    assert not set(fit) & set(held_out)
    assert min(fit + held_out) < 50 and max(fit + held_out) > 950
    assert split_indices(1000, 0.1, 200, seed=0) == (fit, held_out)
    assert split_indices(1000, 0.1, 200, seed=1) != (fit, held_out)
    assert [len(part) for part in split_indices(3, 0.99, None, 0)] == [2, 1]


@pytest.mark.parametrize(
    'options, error, fault',
    [
        ((0, 0.1, None), DataError, 'has 0 images'),
        ((2, 0.1, None), DataError, 'has 2 images'),
        ((9, 0.0, None), ConfigError, 'held_out'),
        ((9, 1.0, None), ConfigError, 'held_out'),
        ((9, 0.1, 10), ConfigError, 'num_images is 10, but the dataset has 9'),
        ((9, 0.1, 2), ConfigError, 'num_images is 2'),
    ],
)
def test_invalid_splits_are_refused(options, error, fault):
    with pytest.raises(error, match=fault):
        split_indices(*options, seed=0)


def test_images_of_several_sizes_views_or_channels():
    image = torch.zeros(3, 8, 8)
    assert stacked([image, image]).shape == (2, 3, 8, 8)
    with pytest.raises(ConfigError, match='several sizes'):
        stacked([image, image[:, 1:]])
    with pytest.raises(ConfigError, match=r'\(2, 5, 3, 8, 8\)'):
        stacked([torch.zeros(5, 3, 8, 8)] * 2)
    with pytest.raises(ConfigError, match='GrayToBGR'):
        stacked(torch.zeros(2, 1, 8, 8))


def test_a_view_has_the_models_size_and_normalisation(models):
    blue = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    blue[:, 0] = 255
    for model in models:
        view = view_of(blue, model)
        assert view.shape[-2:] == (model.image_size, model.image_size)
        wanted = [
            (value - mean) / std
            for value, mean, std in zip((0, 0, 255), model.image_mean, model.image_std)
        ]
        assert view.mean(dim=(0, 2, 3)).tolist() == pytest.approx(wanted, abs=1e-4)


def test_models_that_cannot_be_aligned(models):
    teacher, target = models
    with pytest.raises(ConfigError, match='teacher is a OpenCLIPTeacher.*TIMMTeacher'):
        align_teacher(target, target, loader())
    with pytest.raises(ConfigError, match='target is a MMPretrainTeacher.*an OpenCLIP'):
        align_teacher(teacher, teacher, loader())
    projected = MODELS.build(
        dict(
            type='MMPretrainTeacher',
            backbone=dict(type='mmpretrain.MobileNetV3', arch='small'),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            projection=dict(out_channels=32),
            text_encoder=tiny_teacher_cfg(),
            image_size=32,
        )
    )
    with pytest.raises(ConfigError, match='already has a projection'):
        align_teacher(projected, target, loader())


def test_a_teacher_with_non_finite_outputs_is_refused(models, monkeypatch):
    teacher, target = models
    broken = nn.Flatten()
    broken.forward = lambda inputs: inputs[-1].mean(dim=(2, 3)) / 0
    monkeypatch.setattr(teacher, 'neck', broken)
    with pytest.raises(TeacherError, match='The teacher returns values .* not finite'):
        align_teacher(teacher, target, loader())


def test_strengths_are_checked_before_images_are_loaded(models):
    NoiseImages.asked.clear()
    with pytest.raises(ConfigError, match='strengths'):
        align_teacher(*models, loader(), strengths=(0.1, -1))
    assert not NoiseImages.asked
