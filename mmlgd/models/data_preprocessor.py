"""The data preprocessor of the distillers."""

from collections.abc import Mapping
from typing import Any

import torch
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS

from .device_augmentation import augment


@MODELS.register_module()
class DistillDataPreprocessor(ClsDataPreprocessor):
    """mmpretrain's ``ClsDataPreprocessor``, for several views and stored embeddings.

    ``default_collate`` turns several views into a list of batches (B, 3, H, W), which
    may differ in size. Each is normalised, and a list is returned. Other inputs are
    handled as in the base class: a batch, as in validation, or a list of images
    (3, H, W), which mmpretrain's ``SelfSupDataPreprocessor`` would mistake for views.

    Images are copied to the device as uint8. In training, the operations that
    :class:`~mmlgd.datasets.transforms.PackForDevice` has drawn are applied there, before
    the normalisation, so teacher and student see the same pixels.

    Args:
        **kwargs: Options of ``ClsDataPreprocessor``: ``mean``, ``std``, ``to_rgb``, ...;
            a distiller fills in the teacher's values.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        # Copies from pinned memory need not block the host. mmpretrain's class has no
        # option for it.
        self._non_blocking = True

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise the views of a batch.

        Args:
            data (dict): ``inputs`` and optionally ``data_samples`` and
                ``teacher_embeddings`` (B, D).
            training (bool): Whether to apply drawn operations and batch augmentations.
                Defaults to False.

        Returns:
            dict: ``inputs``, a float tensor or a list of them, ``data_samples``
            and, if given, ``teacher_embeddings`` on the device.

        Raises:
            ConfigError: Images with drawn operations are not in a batch.
        """
        prepared = self._normalise(data, training)
        if 'teacher_embeddings' in data:
            rows = self.cast_data(data['teacher_embeddings'])
            prepared['teacher_embeddings'] = rows
        return prepared

    def cast_data(self, data: Any) -> Any:
        """Copy tensors to the device, except operations, which the host reads.

        Copies from pinned memory do not block the host. Tensors on the device are
        returned as they are, so a batch may have been copied ahead, by
        :class:`~mmlgd.engine.hooks.PrefetchHook`.
        """
        if isinstance(data, Mapping) and 'operations' in data:
            return dict(data, image=super().cast_data(data['image']))
        return super().cast_data(data)

    def _normalise(self, data: dict, training: bool) -> dict:
        views = data['inputs']
        if isinstance(views, Mapping):
            views = self._augment(views, training)
        elif isinstance(views[0], Mapping):
            views = [self._augment(view, training) for view in views]
        data = dict(data, inputs=views)
        if isinstance(views, torch.Tensor) or views[0].dim() != 4:
            return super().forward(data, training)
        batches = [
            super(DistillDataPreprocessor, self).forward(
                dict(data, inputs=view), training
            )
            for view in views
        ]
        return dict(batches[0], inputs=[batch['inputs'] for batch in batches])

    def _augment(self, view: Mapping, training: bool) -> torch.Tensor:
        """The images (B, 3, H, W) of ``PackForDevice``, augmented in training."""
        if view['image'].dim() != 4:
            raise ConfigError(
                'Images of PackForDevice are augmented in batches (B, 3, H, W), but are '
                "not in one; set collate_fn=dict(type='default_collate') for the data "
                'loader.'
            )
        images = self.cast_data(view['image'])
        return augment(images, view['operations']) if training else images


def normalise_like(teacher: nn.Module, data_preprocessor: dict) -> dict:
    """Fill a teacher's mean and std into the config of a data preprocessor.

    Args:
        teacher (BaseTeacher): Provides ``image_mean`` and ``image_std``.
        data_preprocessor (dict): The config; its type defaults to
            ``DistillDataPreprocessor``.

    Returns:
        dict: The completed config.

    Raises:
        ConfigError: The config sets another mean, std or channel order.
    """
    data_preprocessor = dict(
        # With the scope, so that mmengine can build it under any default scope.
        {'type': 'mmlgd.DistillDataPreprocessor', 'to_rgb': True},
        **data_preprocessor,
    )
    wanted = dict(
        mean=list(teacher.image_mean), std=list(teacher.image_std), to_rgb=True
    )
    for name, value in wanted.items():
        found = data_preprocessor.setdefault(name, value)
        if not torch.allclose(torch.tensor(found).float(), torch.tensor(value).float()):
            raise ConfigError(
                f'data_preprocessor.{name} is {found}, but teacher and student share one '
                f'crop, normalised with the values of the teacher: {value}; omit it from '
                'the config.'
            )
    return data_preprocessor
