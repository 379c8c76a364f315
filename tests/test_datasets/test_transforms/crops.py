"""Random crops of files, by ours and by mmpretrain's transforms."""

from mmcv.transforms import LoadImageFromFile

from mmlgd.registry import TRANSFORMS
from mmlgd.utils.rng import seeded


def save(picture, folder, name='picture.jpg', **options):
    path = folder / name
    picture.save(path, **options)
    return str(path)


def crop_of(path, seed=0, **options):
    """Results of the transform on a file."""
    options = dict(dict(scale=32, crop_ratio_range=(0.2, 1.0)), **options)
    transform = TRANSFORMS.build(dict(type='FastRandomResizedCrop', **options))
    with seeded(seed):
        return transform(dict(img_path=path))


def slow_crop_of(path, seed=0, scale=32):
    """Image of mmpretrain's transform after mmcv's loading."""
    load = LoadImageFromFile()
    crop = TRANSFORMS.build(
        dict(
            type='mmpretrain.RandomResizedCrop',
            scale=scale,
            crop_ratio_range=(0.2, 1.0),
            backend='pillow',
        )
    )
    with seeded(seed):
        return crop(load(dict(img_path=path)))['img'].astype(int)
