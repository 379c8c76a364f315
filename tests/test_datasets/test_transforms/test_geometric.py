"""Cropping from a file, resizing and flipping, against mmpretrain's and Pillow's."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mmlgd.datasets.transforms import decoding, geometric
from mmlgd.datasets.transforms.geometric import FastRandomResizedCrop, resize
from mmlgd.errors import ConfigError
from mmlgd.registry import TRANSFORMS
from mmlgd.utils.rng import seeded
from tests.test_datasets.test_transforms.crops import crop_of, save, slow_crop_of

SEEDS = range(8)


@pytest.mark.parametrize('scale', [(32, 32), (48, 200), (300, 20)])
def test_pixels_are_those_of_the_original_transform(picture, tmp_path, scale):
    # Too large a result to decode at half the size.
    path = save(picture, tmp_path, quality=90)
    scale = tuple(4 * side for side in scale)
    for seed in SEEDS:
        image = crop_of(path, seed, scale=scale)['img']

        assert image.shape == (*scale, 3) and image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert np.abs(image - slow_crop_of(path, seed, scale)).max() <= 1


def test_resizing_is_pillows_up_and_down(picture):
    pixels = np.asarray(picture).copy()
    for columns, rows in [(40, 30), (320, 17), (500, 400)]:
        wanted = np.asarray(picture.resize((columns, rows), Image.BILINEAR)).astype(int)
        assert np.abs(resize(pixels, (rows, columns)) - wanted).max() <= 1
        gray = resize(np.ascontiguousarray(pixels[..., 0]), (rows, columns))
        assert np.abs(gray - wanted[..., 0]).max() <= 1


def test_box_depends_neither_on_the_scale_nor_on_the_reduction(picture, tmp_path):
    path = save(picture, tmp_path)
    for seed in SEEDS:
        boxes = {crop_of(path, seed, scale=s)['crop_box'] for s in (8, 32, 96, 224)}
        assert len(boxes) == 1
        with seeded(seed):
            loaded = TRANSFORMS.build(
                dict(type='FastRandomResizedCrop', scale=32, crop_ratio_range=(0.2, 1))
            )(dict(img=np.asarray(picture)))
        assert {loaded['crop_box']} == boxes


def test_large_boxes_are_decoded_at_a_part_of_their_size(
    picture, tmp_path, monkeypatch
):
    path, reductions = save(picture, tmp_path), []
    decode = geometric.decode

    def spy(data, path, reduction=1):
        reductions.append(reduction)
        return decode(data, path, reduction)

    monkeypatch.setattr(geometric, 'decode', spy)
    for scale in (8, 20, 32, 64, 96):
        box = crop_of(path, 3, scale=scale)['crop_box']

        # At least one and a half times the pixels asked for must be left.
        left = min(box[2:]) / reductions[-1]
        assert left >= 1.5 * scale or reductions[-1] == 1
        assert left / 2 < 1.5 * scale or reductions[-1] == 8
    assert reductions == sorted(reductions, reverse=True)
    assert set(reductions) == {8, 4, 2, 1}


def test_reduced_decoding_changes_less_than_another_filter(picture, tmp_path):
    path = save(picture, tmp_path, quality=95)
    full = np.asarray(Image.open(path))
    changes, others = [], []
    for seed in range(150):
        results = crop_of(path, seed, scale=48, crop_ratio_range=(0.5, 1.0))
        top, left, height, width = results['crop_box']
        is_even = not any(edge % 2 for edge in results['crop_box'])
        if min(height, width) < 2 * 1.5 * 48 or not is_even:
            continue
        crop = Image.fromarray(full[top : top + height, left : left + width])
        bilinear, bicubic = (
            np.asarray(crop.resize((48, 48), kind)).astype(int)
            for kind in (Image.BILINEAR, Image.BICUBIC)
        )
        changes.append(np.abs(results['img'][..., ::-1] - bilinear).mean())
        others.append(np.abs(bicubic - bilinear).mean())
    assert len(changes) >= 4
    assert np.mean(changes) < np.mean(others)


@pytest.mark.parametrize('seed', SEEDS)
def test_box_moves_by_a_third_of_a_pixel_at_most(tmp_path, seed):
    # Four levels a column: brightness tells the place.
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    picture = Image.fromarray(np.repeat(ramp[..., None], 3, axis=2))
    path = save(picture, tmp_path, quality=100, subsampling=0)

    # Decoded at a quarter.
    results = crop_of(path, seed, scale=8, crop_ratio_range=(0.65, 0.9))

    _, left, _, width = results['crop_box']
    columns = left + width / 8 * (np.arange(8) + 0.5) - 0.5
    moved = (results['img'][4, 1:-1, 0] / 4 - columns[1:-1]) / (width / 8)
    # JPEG and the filter's edges add some.
    assert np.abs(moved).max() <= 1 / 3 + 0.05


def test_a_misread_header_only_costs_time(picture, tmp_path, monkeypatch):
    path = save(picture, tmp_path)
    monkeypatch.setattr(geometric, 'jpeg_size', lambda data: (320, 240))

    results = crop_of(path, scale=16)

    top, left, height, width = results['crop_box']
    assert results['ori_shape'] == (240, 320)
    assert top + height <= 240 and left + width <= 320
    wanted = picture.crop((left, top, left + width, top + height)).resize((16, 16), 2)
    assert np.abs(results['img'][..., ::-1] - np.asarray(wanted).astype(int)).mean() < 3


def test_loaded_image_is_not_read_again_nor_shared(picture):
    pixels = np.asarray(picture).copy()
    crop = TRANSFORMS.build(
        dict(type='FastRandomResizedCrop', scale=(240, 320), crop_ratio_range=(1, 1))
    )
    # A box of the whole image, which is not even resized.
    crop.aspect_ratio_range = (4 / 3, 4 / 3)

    image = crop(dict(img=pixels, img_path='absent.jpg'))['img']
    np.testing.assert_array_equal(image, pixels)
    image[:] = 0

    assert pixels.any()


def test_packed_meta_describes_the_crop(picture, tmp_path):
    path = save(picture, tmp_path)
    pack = TRANSFORMS.build(dict(type='mmpretrain.PackInputs'))

    packed = pack(crop_of(path, scale=(24, 16)))

    assert packed['inputs'].shape == (3, 24, 16)
    assert packed['inputs'].dtype == torch.uint8
    assert packed['data_samples'].img_shape == (24, 16)
    assert packed['data_samples'].ori_shape == (240, 320)


def test_bytes_come_from_the_file_backend(picture, monkeypatch):
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG')
    asked = []

    def backend_of(path, backend_args, enable_singleton):
        asked.append((path, backend_args))
        return SimpleNamespace(get={'s3://bucket/a.jpg': buffer.getvalue()}.get)

    monkeypatch.setattr(decoding, 'get_file_backend', backend_of)
    options = dict(backend='petrel')

    assert crop_of('s3://bucket/a.jpg', backend_args=options)['img'].any()
    assert asked == [('s3://bucket/a.jpg', options)]


WRONG = {
    'scale': [0, -1, 2.5, True, (224,), (224, -1), '224', None],
    'crop_ratio_range': [
        (2, 1),
        (0, 1),
        (-0.1, 1),
        (0.2, 1.5),
        0.2,
        ('a', 'b'),
        (0.2,),
    ],
    'aspect_ratio_range': [(2, 1), (0, 1), (1, float('inf')), (float('nan'), 1)],
    'max_attempts': [-1, 1.5, '3'],
}


@pytest.mark.parametrize(
    'option, value', [(key, value) for key in WRONG for value in WRONG[key]]
)
def test_wrong_options_are_found_when_the_pipeline_is_built(option, value):
    with pytest.raises(ConfigError, match=rf'FastRandomResizedCrop\.{option} must be'):
        FastRandomResizedCrop(**{**dict(scale=8), option: value})


def test_flips_are_mmcvs_and_half_of_all(bgr):
    fast = TRANSFORMS.build(dict(type='FastRandomFlip', prob=0.5))
    slow = TRANSFORMS.build(dict(type='RandomFlip', prob=0.5))
    flips = []
    for seed in range(60):
        with seeded(seed):
            ours = fast(dict(img=bgr))
        with seeded(seed):
            theirs = slow(dict(img=bgr))
        np.testing.assert_array_equal(ours['img'], theirs['img'])
        assert ours['img'].flags.c_contiguous
        assert ours['flip'] == theirs['flip']
        assert ours['flip_direction'] == theirs['flip_direction']
        flips.append(ours['flip'])
    assert 15 < sum(flips) < 45


@pytest.mark.parametrize('prob', [-0.1, 1.5, 'often'])
def test_flip_refuses_invalid_probabilities(prob):
    with pytest.raises(ConfigError, match='FastRandomFlip.prob'):
        TRANSFORMS.build(dict(type='FastRandomFlip', prob=prob))
