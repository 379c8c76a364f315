"""Normalisation of several views of an image."""

import torch
from mmpretrain.models.utils import ClsDataPreprocessor

from mmlgd.registry import MODELS


@MODELS.register_module()
class MultiViewDataPreprocessor(ClsDataPreprocessor):
    """mmpretrain's ``ClsDataPreprocessor``, for one view or several.

    Several views come from ``default_collate`` as a list of batches
    (B, 3, H, W), which may differ in size; each is normalised, and a list comes
    out. All else is handled as the base class does: a batch, as in validation, or
    a list of images (3, H, W). mmpretrain's ``SelfSupDataPreprocessor`` takes such
    a list for views.

    Args:
        **kwargs: Of ``ClsDataPreprocessor``: ``mean``, ``std``, ``to_rgb``, ...;
            a distiller fills in the teacher's.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise the views of a batch.

        Args:
            data (dict): With ``inputs`` and, where there are any,
                ``data_samples``.
            training (bool): Whether augmentations of the batch apply. Defaults
                to False.

        Returns:
            dict: ``inputs``, a float tensor or a list of them, and
            ``data_samples``.
        """
        views = data['inputs']
        if isinstance(views, torch.Tensor) or views[0].dim() != 4:
            return super().forward(data, training)
        batches = [
            super(MultiViewDataPreprocessor, self).forward(
                dict(data, inputs=view), training
            )
            for view in views
        ]
        return dict(batches[0], inputs=[batch['inputs'] for batch in batches])
