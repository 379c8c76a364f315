"""Images of a dataset in memory, and their views with the teacher's embeddings."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torchvision.transforms import v2

from benchmarks.comparison.plan import Benchmark
from mmlgd.evaluation import match_dataset
from mmlgd.pixels.codec import PixelCodec
from mmlgd.registry import DATASETS

#: As in a training. The teacher's time per image depends on it.
_BATCH = 128


class Images:
    """All images of a dataset in memory, and their views, embedded by the teacher."""

    def __init__(
        self,
        dataset: dict,
        benchmark: Benchmark,
        teacher: torch.nn.Module,
        codec: PixelCodec | None = None,
    ) -> None:
        size = benchmark.image_size
        # The last step of a pipeline packs an image.
        steps = benchmark.test_pipeline or [dict(type='LoadImageFromFile'), None]
        load = [*steps[:-1], dict(type='Resize', scale=(size, size))]
        self.dataset = DATASETS.build(dict(dataset, pipeline=load))
        items = [self.dataset[index] for index in range(len(self.dataset))]
        self._codec = codec
        pixels = np.stack([item['img'][..., ::-1] for item in items])
        self.pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        self.labels = torch.tensor([int(item.get('gt_label', -1)) for item in items])
        self.teacher, self._size = teacher, size
        self._views, self._embeddings = {}, {}
        # CPU seconds of the views of a pass, and of their embeddings by a teacher.
        self._costs: dict[object, float] = {}
        self.memory_format = torch.channels_last
        self._mean, self._std = (
            torch.tensor(values)[:, None, None]
            for values in (teacher.image_mean, teacher.image_std)
        )

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) uint8 as the teacher's input, float32."""
        normal = (images.float() - self._mean) / self._std
        return normal.contiguous(memory_format=self.memory_format)

    def draw(self, number: int) -> torch.Tensor:
        """Views (N, 3, H, W) uint8 of a pass."""
        draw = v2.Compose(
            [
                v2.RandomResizedCrop(self._size, scale=(0.5, 1.0)),
                v2.RandomHorizontalFlip(),
            ]
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 + number)
            return torch.stack([self._stored(draw(image)) for image in self.pixels])

    def view(self, number: int) -> torch.Tensor:
        """:meth:`draw`, once."""
        if number not in self._views:
            started = time.process_time()
            self._views[number] = self.draw(number)
            self._costs[number] = time.process_time() - started
        return self._views[number]

    def _stored(self, view: torch.Tensor) -> torch.Tensor:
        """A view (3, H, W) in RGB as a store with pixels returns it."""
        if self._codec is None:
            return view
        return self._codec.decode(self._codec.encode(view.flip(0))).flip(0)

    def embeddings(self, number: int, teachers: list[torch.nn.Module]) -> torch.Tensor:
        """Embeddings (N, D) of the views of a pass, those of the teachers side by side."""
        found = []
        for teacher in teachers:
            key = number, teacher.identity
            if key not in self._embeddings:
                views, started = self.view(number), time.process_time()
                self._embeddings[key] = self.embed(views, teacher.encode_image)
                self._costs[key] = time.process_time() - started
            found.append(self._embeddings[key])
        return torch.cat(found, dim=1)

    def shared_cost(self, number: int, teachers: list[torch.nn.Module]) -> float:
        """CPU seconds that the views of a pass and their embeddings took."""
        keys = [number, *((number, teacher.identity) for teacher in teachers)]
        return sum(self._costs[key] for key in keys)

    def names_of(self, names: list[str]) -> torch.Tensor:
        """Index (N,) of each image's class among names."""
        return torch.tensor(match_dataset(self.dataset, names, 'the images'))[
            self.labels
        ]

    def embed(self, images: torch.Tensor, function: Callable) -> torch.Tensor:
        """Rows of a function of normalised images, batch by batch."""
        with torch.no_grad():
            return torch.cat(
                [function(self.normalise(part)) for part in images.split(_BATCH)]
            )
