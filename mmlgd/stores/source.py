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
from mmlgd.pixels.files import encode_view

from .manifest import Manifest


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
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, list[bytes]]]:
        """Draw batches of (view, row), with the index (N,) of each row's image.

        Yields checksums (B,), embeddings (B, D) float32, content hashes (B, 16), and the
        B encoded views, which are empty where the store has no pixels.
        """
        views = _DrawnViews(self.dataset, indices, self.manifest)
        how = dict(batch_sampler=batches, collate_fn=default_collate, **self.workers)
        for batch in DataLoader(views, **how):
            columns = batch['pixels'], self.encode(batch), batch['hash']
            yield *(column.numpy() for column in columns), batch['encoded']


@dataclass
class _DrawnViews(Dataset):
    dataset: Any
    indices: np.ndarray
    manifest: Manifest

    def __getitem__(self, place: tuple[int, int]) -> dict:
        image = int(self.indices[place[1]])
        inputs = draw_view(self.dataset, image, self.manifest.seed, *place)['inputs']
        content = list_image(self.dataset, image).content_hash()
        hashed = torch.tensor(list(content), dtype=torch.uint8)
        inputs, checksum, encoded = encode_view(self.manifest.codec, inputs)
        return dict(inputs=inputs, pixels=checksum, hash=hashed, encoded=encoded)
