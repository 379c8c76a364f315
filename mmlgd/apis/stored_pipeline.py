"""The test pipeline in a checkpoint, for images of any size."""

import dataclasses
from collections.abc import Iterator
from itertools import islice
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch import nn

from mmlgd.errors import CheckpointError, DataError, MMLGDError
from mmlgd.registry import TRANSFORMS
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.stored_config import building, trusted_config


class StoredPipeline:
    """Transforms of an image (H, W, 3), uint8 BGR, before normalisation.

    They are those of the run's test pipeline. If these do not change the image size, as
    for a dataset of one size, images are first resized to the student's input size.
    """

    def __init__(self, record: CheckpointMeta) -> None:
        record.require('test_pipeline')
        path, scope = record.path, record.default_scope
        steps = [
            trusted_config(step, path, 'TRANSFORMS', scope)
            for step in record.test_pipeline or ()
        ]
        # The student was trained on gray images, so colours are removed.
        self._gray = any('GrayToBGR' in str(step.get('type')) for step in steps)
        with building(path, 'test pipeline', scope):
            self._steps = Compose([TRANSFORMS.build(step) for step in steps])
            sizes = [
                self._run(np.zeros(size, np.uint8)) for size in ((9, 14), (12, 11))
            ]
        if sizes[0].shape != sizes[1].shape:
            size: Any = record.image_size
            height, width = (size, size) if isinstance(size, int) else size
            resize = dict(type='Resize', scale=(width, height), backend='pillow')
            self._steps.transforms.insert(0, TRANSFORMS.build(resize))
            print_log(
                f'The test pipeline of {path} accepts images of any size; they are '
                f'resized to {height}x{width}.',
                'current',
            )

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        """Transform an image into a uint8 tensor (3, h, w)."""
        if self._gray:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        try:
            return self._run(image)
        except MMLGDError:
            raise
        except Exception as error:  # OpenCV and Pillow, for extreme sizes
            raise DataError(
                f'An image of {image.shape[1]}x{image.shape[0]} pixels cannot be '
                f'processed by the test pipeline: {error}'
            ) from error

    def batches(
        self, images: Iterator[np.ndarray], batch_size: int, preprocessor: nn.Module
    ) -> Iterator[torch.Tensor]:
        """Normalised batches (B, 3, h, w) of images, read as they are needed.

        Args:
            images (Iterator[np.ndarray]): See :meth:`__call__`.
            batch_size (int): B; the last batch may be smaller.
            preprocessor (nn.Module): Normalises them, and moves them to its device.
        """
        while batch := [self(image) for image in islice(images, batch_size)]:
            yield preprocessor(dict(inputs=torch.stack(batch)))['inputs']

    def _run(self, image: np.ndarray) -> torch.Tensor:
        if image.ndim == 2 and not self._gray:
            image = np.repeat(image[..., None], 3, axis=2)
        size = image.shape[:2]
        inputs = self._steps(dict(img=image, img_shape=size, ori_shape=size))['inputs']
        if not isinstance(inputs, torch.Tensor) or inputs.dim() != 3:
            raise CheckpointError('The test pipeline must end with PackInputs.')
        return inputs


def with_pipeline(record: CheckpointMeta) -> CheckpointMeta:
    """``backbone.pth`` has no test pipeline: resize the short edge, crop the centre."""
    if record.test_pipeline is not None:
        return record
    record.require('image_size')
    size: Any = record.image_size
    side = size if isinstance(size, int) else size[0]
    steps = [
        dict(
            type='mmpretrain.ResizeEdge',
            scale=round(side * 256 / 224),
            edge='short',
            interpolation='bilinear',
            backend='pillow',
        ),
        dict(type='mmpretrain.CenterCrop', crop_size=side),
        dict(type='mmpretrain.PackInputs'),
    ]
    return dataclasses.replace(record, test_pipeline=steps)
