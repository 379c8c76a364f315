"""Normalisation of what a distiller is trained on."""

import torch
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS


@MODELS.register_module()
class DistillDataPreprocessor(ClsDataPreprocessor):
    """mmpretrain's ``ClsDataPreprocessor``, for several views and stored embeddings.

    Several views come from ``default_collate`` as a list of batches
    (B, 3, H, W), which may differ in size; each is normalised, and a list comes
    out. All else is handled as the base class does: a batch, as in validation, or
    a list of images (3, H, W). mmpretrain's ``SelfSupDataPreprocessor`` takes such
    a list for views.

    Args:
        **kwargs: Of ``ClsDataPreprocessor``: ``mean``, ``std``, ``to_rgb``, ...;
            a distiller fills in the teacher's.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        # For which mmpretrain's class has no option: from a loader's pinned memory,
        # images go to the device without the host waiting for it.
        self._non_blocking = True

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise the views of a batch.

        Args:
            data (dict): With ``inputs`` and, where there are any,
                ``data_samples`` and ``teacher_embeddings`` (B, D).
            training (bool): Whether augmentations of the batch apply. Defaults
                to False.

        Returns:
            dict: ``inputs``, a float tensor or a list of them, ``data_samples``
            and, where there were any, ``teacher_embeddings`` on the device.
        """
        prepared = self._normalise(data, training)
        if 'teacher_embeddings' in data:
            rows = self.cast_data(data['teacher_embeddings'])
            prepared['teacher_embeddings'] = rows
        return prepared

    def _normalise(self, data: dict, training: bool) -> dict:
        views = data['inputs']
        if isinstance(views, torch.Tensor) or views[0].dim() != 4:
            return super().forward(data, training)
        batches = [
            super(DistillDataPreprocessor, self).forward(
                dict(data, inputs=view), training
            )
            for view in views
        ]
        return dict(batches[0], inputs=[batch['inputs'] for batch in batches])


def normalise_like(teacher: nn.Module, data_preprocessor: dict) -> dict:
    """Fill a teacher's mean and std into the config of a data preprocessor.

    Args:
        teacher (BaseTeacher): Whose ``image_mean`` and ``image_std`` count.
        data_preprocessor (dict): The config; ``DistillDataPreprocessor`` unless it
            has another type.

    Returns:
        dict: The config, filled in.

    Raises:
        ConfigError: It says another mean, std or channel order.
    """
    data_preprocessor = dict(
        # With its scope: mmengine builds it, whatever the default scope is.
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
                f'data_preprocessor.{name} is {found}, but teacher and student see the same '
                f'crop, normalised as the teacher was trained: {value}; leave it out of the '
                'config.'
            )
    return data_preprocessor
