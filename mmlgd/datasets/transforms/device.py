"""Packing of images whose colours and blur are changed later, on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.transforms import RandomApply
from mmpretrain.datasets.transforms import PackInputs

from mmlgd.errors import ConfigError
from mmlgd.registry import TRANSFORMS

from .photometric import OPERATIONS, Operation, Photometric, check_colour_image

#: Code of an operation that was not drawn.
NO_OPERATION = -1
_CODES = {name: code for code, name in enumerate(OPERATIONS)}


@TRANSFORMS.register_module()
class PackForDevice(PackInputs):
    """Packs an image with drawn, but not yet applied, changes of colour and sharpness.

    :class:`~mmlgd.models.DistillDataPreprocessor` applies them in training, to whole
    batches. They are drawn like those of the same transforms before ``PackInputs``: the
    same seed yields the same view, up to rounding. With
    :class:`~mmlgd.datasets.SeededViews` they depend on (seed, view, image) only, not on
    the worker, the rank or a resume.

    **Required Keys:** ``img``: (H, W, 3), uint8, BGR.

    The result has ``data_samples`` as that of ``PackInputs``, and ``inputs``, a dict:
    ``image``, (3, H, W) uint8, and ``operations``, (S, 2) float32, a row of code and
    value for each possible operation; the code is the position in
    :data:`~.photometric.OPERATIONS`, or :data:`NO_OPERATION`.

    Args:
        transforms: Configs of ``FastColorJitter``, ``FastRandomGrayscale`` and
            ``FastGaussianBlur``, also within ``RandomApply``, in the order in which they
            are applied.
        **kwargs: Options of ``PackInputs``.

    Raises:
        ConfigError: Another transform is among them.
        DataError: The image is not uint8 with three channels.
    """

    def __init__(self, transforms: Sequence[dict], **kwargs) -> None:
        super().__init__(**kwargs)
        self.transforms = [TRANSFORMS.build(transform) for transform in transforms]
        self._slots = [_count(transform) for transform in self.transforms]

    def transform(self, results: dict) -> dict:
        """Pack ``results``."""
        check_colour_image(self, results)
        packed = super().transform(results)
        packed['inputs'] = dict(image=packed['inputs'], operations=self.draw())
        return packed

    def draw(self) -> torch.Tensor:
        """Draw the operations for one image, (S, 2) float32."""
        rows: list[tuple[float, float]] = []
        for transform, slots in zip(self.transforms, self._slots):
            drawn = [(_CODES[name], value) for name, value in _draw(transform)]
            rows += drawn + [(NO_OPERATION, 0.0)] * (slots - len(drawn))
        return torch.tensor(rows, dtype=torch.float32).reshape(-1, 2)


def _draw(transform: Any) -> list[Operation]:
    if not isinstance(transform, RandomApply):
        return transform.draw()
    if not transform.random_apply():
        return []
    return [operation for inner in transform for operation in _draw(inner)]


def _count(transform: Any) -> int:
    """The most operations that a transform draws."""
    if isinstance(transform, RandomApply):
        return sum(_count(inner) for inner in transform)
    if not isinstance(transform, Photometric):
        raise ConfigError(
            f'PackForDevice.transforms has {type(transform).__name__}, which the device '
            'does not implement; move it before PackForDevice in the pipeline. '
            'FastColorJitter, FastRandomGrayscale, FastGaussianBlur and RandomApply around '
            'them are implemented.'
        )
    return transform.max_operations
