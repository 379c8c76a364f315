"""Pairs of an image and one of its teacher's nearest neighbours."""

from pathlib import Path
from typing import Any

import torch

from mmlgd.registry import DATASETS

from .bags import Bags
from .dataset_wrapper import DatasetWrapper


@DATASETS.register_module()
class BagPairs(DatasetWrapper):
    """A dataset of pairs: an image and a positive drawn from its bag.

    The positive is drawn with torch's global generator, after the transforms of the
    anchor. Within :class:`SeededViews` it therefore depends on (seed, view, image) only,
    like the pixels, and the anchor is the view that other methods train on::

        dict(type='SeededViews',
             dataset=dict(type='BagPairs', bags='bags.pth', dataset=...))

    Args:
        dataset: The dataset to wrap, or its config. Its items have one image as
            ``inputs``.
        bags: Bag file that tools/build_bags.py wrote for these images.
        separate_teacher_views: Whether the teacher gets two additional views.
            Defaults to False: both models get the same views.
        lazy_init: Whether to defer ``full_init``. Defaults to False.

    Attributes:
        bags (Bags): The bags, once ``full_init`` was called.
        bags_path (str): Path of the bag file.

    Raises:
        ConfigError: ``dataset`` has no length or no items.
        DataError: The file is missing or broken, or belongs to other images.

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
        """Data info of the anchor in the wrapped dataset."""
        return self.dataset.get_data_info(index)

    def __getitem__(self, index: int) -> dict:
        """Return the anchor's item, with a list of views as ``inputs``.

        Args:
            index: Index of the anchor, in [0, N).

        Returns:
            dict: ``inputs`` is [anchor, positive], each (3, H, W). With
            ``separate_teacher_views`` it is [anchor, positive, anchor, positive], and the
            last two are for the teacher. All other entries are those of the anchor.
        """
        item = self.dataset[index]
        position = int(torch.randint(self.bags.k, ()))
        positive = int(self.bags.neighbours[index, position])
        views = [item['inputs'], self.dataset[positive]['inputs']]
        if self.separate_teacher_views:
            views += [self.dataset[one]['inputs'] for one in (index, positive)]
        return {**item, 'inputs': views}
