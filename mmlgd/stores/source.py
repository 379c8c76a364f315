"""Views of images and their embeddings, computed as a store needs them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader, Dataset

from mmlgd.datasets.image_list import list_image
from mmlgd.datasets.seeded_views import draw_view

from .manifest import Manifest
from .shards import pixel_checksum


@dataclass
class ViewSource:
    """What a config gives to store, and the manifest of a store of it.

    ``encode`` is a :func:`batch_encoder`; ``workers`` are options of a data loader.
    """

    dataset: Any
    encode: Callable[[dict], torch.Tensor]
    manifest: Manifest
    batch_size: int
    workers: dict = field(default_factory=dict)

    def embed(
        self, indices: np.ndarray, batches: Iterable[list[tuple]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Draw batches of (view, row), with the index (N,) of each row's image.

        Yields checksums (B,), embeddings (B, D) float32 and content hashes (B, 16).
        """
        views = _DrawnViews(self.dataset, indices, self.manifest.seed)
        how = dict(batch_sampler=batches, collate_fn=default_collate, **self.workers)
        for batch in DataLoader(views, **how):
            embeddings = self.encode(batch).numpy()
            yield batch['pixels'].numpy(), embeddings, batch['hash'].numpy()


@dataclass
class _DrawnViews(Dataset):
    dataset: Any
    indices: np.ndarray
    seed: int

    def __getitem__(self, place: tuple[int, int]) -> dict:
        image = int(self.indices[place[1]])
        inputs = draw_view(self.dataset, image, self.seed, *place)['inputs']
        content = list_image(self.dataset, image).content_hash()
        hashed = torch.tensor(list(content), dtype=torch.uint8)
        return dict(inputs=inputs, pixels=pixel_checksum(inputs), hash=hashed)
