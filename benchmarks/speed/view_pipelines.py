"""Pipelines that create a training view: mmlgd's, torchvision's and mmpretrain's.

All crop 20 to 100 % of the area to 224 x 224, and apply colour jitter (0.4, 0.4, 0.4,
0.1) with probability 0.8, grayscale (0.2), blur with sigma in 0.1 to 2 (0.5) and flip
(0.5). The result is uint8 (3, 224, 224).
"""

import random
import time
from collections.abc import Callable
from functools import partial

import torch
import torchvision.transforms as T
import torchvision.transforms.v2 as V2
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image, ImageFilter
from torchvision.io import ImageReadMode, decode_image

from benchmarks import ROOT
from mmlgd.registry import TRANSFORMS
from mmlgd.utils.rng import mix_seed, seeded

CONFIG = ROOT / 'configs/_base_/datasets/imagenet_unlabeled.py'
STAGES = ('decode', 'crop', 'jitter', 'gray', 'blur', 'flip', 'pack')
SIGMAS = (0.1, 2.0)
# Kernel size of torchvision's blur as in SimCLR: a tenth of 224, rounded to odd.
KERNEL = 23

Steps = dict[str, Callable]


class Pipeline:
    """Steps that run in sequence on a path, with optional timing.

    Args:
        steps (dict[str, Callable]): Functions by stage; each takes the result of the
            previous one.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def __call__(self, path: str) -> torch.Tensor:
        """The view (3, 224, 224)."""
        value = path
        for step in self.steps.values():
            value = step(value)
        return value

    def stages(self, path: str) -> dict[str, float]:
        """CPU time in seconds by stage, for one image."""
        value, spent, begin = path, {}, time.process_time()
        for name, step in self.steps.items():
            value = step(value)
            end = time.process_time()
            spent[name], begin = end - begin, end
        return spent


class SeededPipeline(Pipeline):
    """mmlgd's pipeline, which draws a new view in each call, like ``SeededViews``."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(steps)
        self.calls = 0

    def __call__(self, path: str) -> torch.Tensor:
        self.calls += 1
        with seeded(mix_seed(0, self.calls, 0)):
            return super().__call__(path)

    def stages(self, path: str) -> dict[str, float]:
        begin = time.process_time()
        self.calls += 1
        with seeded(mix_seed(0, self.calls, 0)):
            spent = super().stages(path)
        spent['seed'] = time.process_time() - begin - sum(spent.values())
        return spent


def pipelines() -> dict[str, Pipeline]:
    """All pipelines by name; ``ours`` is the pipeline of the ImageNet config."""
    init_default_scope('mmlgd')
    return dict(
        ours=SeededPipeline(_ours()),
        torchvision=Pipeline(_torchvision(T, _open, PillowBlur(), T.PILToTensor())),
        torchvision_blur=Pipeline(
            _torchvision(T, _open, T.GaussianBlur(KERNEL, SIGMAS), T.PILToTensor())
        ),
        torchvision_tensors=Pipeline(
            _torchvision(
                V2,
                partial(decode_image, mode=ImageReadMode.RGB),
                V2.GaussianBlur(KERNEL, SIGMAS),
                V2.Identity(),
            )
        ),
        mmpretrain=SeededPipeline(_mmpretrain()),
    )


class PillowBlur:
    """MoCo v2's blur on Pillow images, with torchvision's other transforms."""

    def __call__(self, image: Image.Image) -> Image.Image:
        sigma = random.uniform(*SIGMAS)
        return image.filter(ImageFilter.GaussianBlur(radius=sigma))


def _open(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.convert('RGB')


def _torchvision(library, decode: Callable, blur: Callable, pack: Callable) -> Steps:
    jitter = library.ColorJitter(0.4, 0.4, 0.4, 0.1)
    steps = (
        decode,
        library.RandomResizedCrop(224, scale=(0.2, 1.0)),
        library.RandomApply([jitter], p=0.8),
        library.RandomGrayscale(p=0.2),
        library.RandomApply([blur], p=0.5),
        library.RandomHorizontalFlip(),
        pack,
    )
    return dict(zip(STAGES, steps))


def _ours() -> Steps:
    built = [TRANSFORMS.build(step) for step in Config.fromfile(CONFIG).train_pipeline]
    crop, *augment, pack = built

    def decode(path: str) -> tuple:
        results = dict(img_path=path)
        return results, crop.read(results)

    def cut(pair: tuple) -> dict:
        return crop.cut(*pair)

    steps = (decode, cut, *augment, lambda results: pack(results)['inputs'])
    return dict(zip(STAGES, steps, strict=True))


def _mmpretrain() -> Steps:
    """The same with mmpretrain's and mmcv's transforms, on Pillow."""
    jitter = dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    jitter['type'] = 'mmpretrain.ColorJitter'
    gray = dict(keep_channels=True, channel_weights=(0.114, 0.587, 0.299))
    load, *built, pack = (
        TRANSFORMS.build(step)
        for step in [
            # mmcv's transform, not mmlgd's of the same name.
            dict(type='mmengine.LoadImageFromFile'),
            dict(
                type='mmpretrain.RandomResizedCrop',
                scale=224,
                crop_ratio_range=(0.2, 1.0),
                backend='pillow',
            ),
            dict(type='RandomApply', transforms=[jitter], prob=0.8),
            dict(type='RandomGrayscale', prob=0.2, **gray),
            dict(
                type='mmpretrain.GaussianBlur',
                magnitude_range=SIGMAS,
                magnitude_std='inf',
                prob=0.5,
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmpretrain.PackInputs'),
        ]
    )
    steps = (
        lambda path: load(dict(img_path=path)),
        *built,
        lambda results: pack(results)['inputs'],
    )
    return dict(zip(STAGES, steps, strict=True))
