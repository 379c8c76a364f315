"""Pairs of an image and one of its teacher's nearest neighbours."""

from pathlib import Path
from typing import Any

import torch

from mmlgd.registry import DATASETS

from .bags import Bags
from .dataset_wrapper import DatasetWrapper


@DATASETS.register_module()
class BagPairs(DatasetWrapper):
    """A dataset of pairs: an image and a positive drawn from the image's bag.

    The positive is drawn from torch's global generator, after the anchor's transforms.
    Within :class:`SeededViews` it is thus a function of (seed, view, image) like
    the pixels, and the anchor is the view that the other methods train on::

        dict(type='SeededViews',
             dataset=dict(type='BagPairs', bags='bags.pth', dataset=...))

    Args:
        dataset: The dataset to wrap, or its config; its items have one image as
            ``inputs``.
        bags: File written by tools/build_bags.py for these images.
        separate_teacher_views: Whether the teacher gets two further views.
            Defaults to False: both models see the same.
        lazy_init: Whether to leave ``full_init`` for later. Defaults to False.

    Attributes:
        bags (Bags): Read by ``full_init``.
        bags_path (str): The file.

    Raises:
        ConfigError: ``dataset`` has no length or no items.
        DataError: The file is absent or broken, or was made from other images.

    Source: arXiv 2107.01691, section 3.2.
    """

    def __init__(
        self,
        dataset: Any,
        bags: str | Path,
        separate_teacher_views: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.bags_path = str(bags)
        self.separate_teacher_views = separate_teacher_views
        super().__init__(dataset, lazy_init)

    def _prepare(self) -> None:
        self.bags = Bags.read(self.bags_path)
        self.bags.check_images(self.bags_path, self.dataset)

    def get_data_info(self, index: int) -> dict:
        """Data info of the anchor in the wrapped dataset, before the pipeline."""
        return self.dataset.get_data_info(index)

    def __getitem__(self, index: int) -> dict:
        """The anchor's item, with a list of views as ``inputs``.

        Args:
            index: Index of the anchor, in [0, N).

        Returns:
            dict: ``inputs`` is [anchor, positive], each (3, H, W); with
            ``separate_teacher_views`` [anchor, positive, anchor, positive], of which the
            last two are the teacher's. All other entries are the anchor's.
        """
        item = self.dataset[index]
        position = int(torch.randint(self.bags.k, ()))
        positive = int(self.bags.neighbours[index, position])
        views = [item['inputs'], self.dataset[positive]['inputs']]
        if self.separate_teacher_views:
            views += [self.dataset[one]['inputs'] for one in (index, positive)]
        return {**item, 'inputs': views}
