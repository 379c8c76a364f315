"""Inferencers in the form of mmpretrain's, for students."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmpretrain.apis.base import BaseInferencer
from mmpretrain.structures import DataSample
from mmpretrain.utils import track
from torch import nn

from mmlgd.errors import ConfigError, DataError
from mmlgd.models.pooled_features import last_of, output_kind
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint import load_exactly, read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.checks import check_count

from .features import normalisation, pool_output
from .images import iter_images, list_inputs
from .loading import build_backbone
from .stored_pipeline import StoredPipeline, with_pipeline
from .stored_student import projected_width, stored_student
from .zero_shot import ZeroShotClassifier, check_device

_PARTS = ('embedding', 'features')


class _Inferencer(BaseInferencer):
    """Reads images of any form in batches; see :func:`~mmlgd.apis.images.iter_images`.

    Attributes:
        pipeline (StoredPipeline): Of the checkpoint.
        preprocessor (nn.Module): Normalises a batch.
    """

    preprocess_kwargs = {'channel_order', 'broken'}
    pipeline: StoredPipeline
    preprocessor: nn.Module

    def __call__(self, inputs: Any, return_datasamples=False, batch_size=32, **kwargs):
        """See the class."""
        check_count('batch_size', batch_size, 1)
        return super().__call__(inputs, return_datasamples, batch_size, **kwargs)

    def _inputs_to_list(self, inputs: Any) -> list:
        return list_inputs(inputs)

    def _init_pipeline(self, cfg: Any) -> StoredPipeline:
        return self.pipeline

    def preprocess(
        self,
        inputs: Sequence,
        batch_size: int = 32,
        channel_order: str = 'bgr',
        broken: list | None = None,
    ) -> Iterator[tuple[list, torch.Tensor]]:
        """Read images in batches.

        Args:
            inputs (Sequence): Of :func:`~mmlgd.apis.images.list_inputs`.
            batch_size (int): Images in memory at a time. Defaults to 32.
            channel_order (str): 'bgr' or 'rgb', for arrays. Defaults to 'bgr'.
            broken (list, optional): Receives (input, message) for each image that cannot
                be read, which is then left out. Defaults to None: the first one raises.

        Yields:
            tuple[list, torch.Tensor]: The inputs of a batch, and normalised images
            (B, 3, H, W).
        """
        for chunk in self._get_chunk_data(inputs, batch_size):
            kept: list = []
            images: list[np.ndarray] = []
            for each in chunk:
                try:
                    images += iter_images(each, channel_order)
                    kept.append(each)
                except DataError as error:
                    if broken is None:
                        raise
                    broken.append((each, str(error)))
            found = self.pipeline.batches(iter(images), batch_size, self.preprocessor)
            for batch in found:
                yield kept, batch

    def stream(
        self,
        inputs: Any,
        description: str = 'Inference',
        batch_size: int = 32,
        **options: Any,
    ) -> Iterator[tuple[list, Any]]:
        """Results as they are computed, with a progress bar, for any number of images.

        Args:
            inputs (object): Images of any form.
            description (str): Of the bar. Defaults to 'Inference'.
            batch_size (int): Images in memory at a time. Defaults to 32.
            **options: ``channel_order`` and ``broken`` of :meth:`preprocess`.

        Yields:
            tuple[list, Any]: The inputs of a batch, and the result of :meth:`forward`.
        """
        items = list_inputs(inputs)
        total = ceil(len(items) / check_count('batch_size', batch_size, 1))
        batches = self.preprocess(items, batch_size, **options)
        for data in track(batches, description, total):
            yield data[0], self.forward(data)


class ZeroShotInferencer(_Inferencer):
    """Classifies images with a student, as mmpretrain's ``ImageClassificationInferencer``.

    Args:
        checkpoint (str | Path): A training checkpoint; see
            :class:`~mmlgd.apis.ZeroShotClassifier`, also for its other options.
        names (str | Path | Sequence[str], optional): Other names. Defaults to None: those
            of the checkpoint.
        device (str | torch.device, optional): Defaults to None: the GPU, if there is one.
        **options: ``bank_file``, ``templates``, ``teacher`` and ``meta`` of
            :class:`~mmlgd.apis.ZeroShotClassifier`.

    Calling it takes paths, URLs, folders, arrays, PIL images, or a list of them, and
    returns a dict for each image: ``pred_scores`` (C,), ``pred_label``, ``pred_score``
    and ``pred_class``. Options of the call: ``batch_size`` (32), ``channel_order`` of
    arrays ('bgr'), ``broken`` (a list that receives unreadable images, which are left
    out), ``return_datasamples``, and for drawing ``show_dir``, ``resize`` (short edge in
    pixels).

    Example:
        >>> inferencer = ZeroShotInferencer('work_dirs/demo/epoch_10.pth')
        >>> inferencer('photo.jpg')[0]['pred_class']
        'ankle boot'
    """

    visualize_kwargs = {'show_dir', 'resize', 'channel_order', 'broken'}

    def __init__(
        self,
        checkpoint: str | Path,
        names: str | Path | Sequence[str] | None = None,
        device: str | torch.device | None = None,
        **options: Any,
    ) -> None:
        self.classifier = ZeroShotClassifier(
            checkpoint, names, device=device or get_device(), **options
        )
        self.classes = self.classifier.category_names
        self.model = self.classifier.student
        self.pipeline = self.classifier.pipeline
        self.preprocessor = self.model.data_preprocessor
        self.visualizer: Any = None

    def forward(
        self, inputs: tuple[list, torch.Tensor], **kwargs: Any
    ) -> list[DataSample]:
        """Scores of a batch of :meth:`preprocess`."""
        items, images = inputs
        samples = []
        for item, scores in zip(items, self.scores(images)):
            sample = DataSample().set_pred_score(scores).set_pred_label(scores.argmax())
            if isinstance(item, str):
                sample.set_metainfo(dict(img_path=item))
            samples.append(sample)
        return samples

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, C) of all names, for normalised images (B, 3, H, W)."""
        return self.classifier.scores(images, max(1, len(images)))

    def visualize(
        self,
        inputs: list,
        preds: list[DataSample],
        show_dir: str | Path | None = None,
        resize: int | None = None,
        channel_order: str = 'bgr',
        broken: Sequence = (),
        **kwargs: Any,
    ) -> list[np.ndarray] | None:
        """Draw the best name and its score into copies of the images.

        Args:
            inputs (list): The images.
            preds (list[DataSample]): Their predictions.
            show_dir (str | Path, optional): Folder of the PNG files. Defaults to None:
                nothing is drawn.
            resize (int, optional): Short edge of the copies, in pixels.
            channel_order, broken: See :meth:`preprocess`.

        Returns:
            list[np.ndarray] | None: (H, W, 3) uint8 RGB.
        """
        if show_dir is None:
            return None
        files = picture_names(sample.get('img_path', '') for sample in preds)
        unread = {id(each) for each, _ in broken or ()}
        read = [each for each in inputs if id(each) not in unread]
        drawn = []
        for name, sample, source in zip(files, preds, read):
            (image,) = iter_images(source, channel_order)
            drawn.append(self.draw(image, sample, Path(show_dir) / name, resize))
        return drawn

    def draw(
        self, image: np.ndarray, sample: DataSample, path: Path, resize: int | None
    ) -> np.ndarray:
        """Draw the best name and its score into a copy of an image.

        Args:
            image (np.ndarray): (H, W, 3) uint8 BGR.
            sample (DataSample): Its prediction.
            path (Path): PNG file to write.
            resize (int, optional): Short edge of the copy, in pixels.

        Returns:
            np.ndarray: (H, W, 3) uint8 RGB.
        """
        from mmpretrain.visualization import UniversalVisualizer

        self.visualizer = self.visualizer or UniversalVisualizer()
        path.parent.mkdir(parents=True, exist_ok=True)
        return self.visualizer.visualize_cls(
            image[..., ::-1].copy(),
            sample,
            classes=self.classes,
            draw_gt=False,
            resize=resize,
            out_file=str(path),
        )

    def postprocess(
        self, preds: list[DataSample], visualization: Any, return_datasamples=False
    ) -> list:
        """Results as dicts of plain values, or the samples."""
        if return_datasamples:
            return preds
        return [
            dict(
                pred_scores=sample.pred_score.numpy(),
                pred_label=int(sample.pred_label),
                pred_score=float(sample.pred_score.max()),
                pred_class=self.classes[int(sample.pred_label)],
            )
            for sample in preds
        ]


class EmbeddingInferencer(_Inferencer):
    """Embeds images with a student.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        device (str | torch.device, optional): Defaults to None: the GPU, if there is one.
        part (str, optional): 'embedding', unit rows in the teacher's space, which can be
            compared with the teacher's image and text embeddings; or 'features', the
            pooled features of the backbone. Defaults to None: 'embedding' for a training
            checkpoint, 'features' for ``backbone.pth``.
        meta (dict, optional): Entries that the checkpoint's ``meta`` does not have.

    Calling it takes the same images and options as :class:`ZeroShotInferencer`, without
    drawing, and returns an array (N, D), float32.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: ``part`` is unknown, or not in this file.

    Example:
        >>> EmbeddingInferencer('work_dirs/demo/epoch_10.pth')('photos/').shape
        (2000, 128)
    """

    def __init__(
        self,
        checkpoint: str | Path,
        device: str | torch.device | None = None,
        part: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> None:
        self.device = check_device(device or get_device())
        contents = read_checkpoint(checkpoint)
        state = contents['state_dict']
        found = {**contents['meta'], **(meta or {})}
        record = CheckpointMeta.from_meta(found, checkpoint)
        width = projected_width(state)
        self.part = part or (_PARTS[1] if width is None else _PARTS[0])
        if self.part not in _PARTS or (self.part == 'embedding' and width is None):
            raise ConfigError(
                f"part is {part!r}, but must be 'embedding' (of a training checkpoint) or "
                "'features'."
            )
        self._kind = ''
        self.model: nn.Module
        if width is None:
            self.model = build_backbone(record)
            load_exactly(self.model, state, 'backbone.', checkpoint)
            self.model.eval()
            self.preprocessor = MODELS.build(normalisation(record)).to(self.device)
        else:
            self.model = stored_student(record, state, width)
            self.preprocessor = self.model.data_preprocessor
        self.model.to(self.device)
        self.pipeline = StoredPipeline(with_pipeline(record))

    @torch.no_grad()
    def forward(self, inputs: tuple[list, torch.Tensor], **kwargs: Any) -> np.ndarray:
        """Rows (B, D) of a batch of :meth:`preprocess`."""
        images = inputs[1].to(self.device)
        if self.part == 'embedding':
            rows = self.model.embed(images)
        elif hasattr(self.model, 'extract_feat'):
            rows = self.model.extract_feat(images)
        else:
            outputs = self.model(images)
            self._kind = self._kind or output_kind(outputs, images, self.model)
            rows = pool_output(last_of(outputs), self._kind)
        return rows.float().cpu().numpy()

    def postprocess(
        self, preds: list[np.ndarray], visualization: Any, return_datasamples=False
    ) -> np.ndarray:
        """All rows (N, D)."""
        return np.stack(preds) if preds else np.zeros((0, 0), np.float32)


def picture_names(paths: Iterable[str]) -> list[str]:
    """Names of PNG files for images, which differ also for equal names in two folders.

    Args:
        paths (Iterable[str]): Paths of the images; '' for one without path.

    Returns:
        list[str]: File names, in the order of the images.
    """
    stems = [Path(path).stem or str(number) for number, path in enumerate(paths)]
    counts = Counter(stems)
    return [
        f'{stem}.png' if counts[stem] == 1 else f'{stem}_{number}.png'
        for number, stem in enumerate(stems)
    ]
