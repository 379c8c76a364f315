"""Zero-shot classification with a distilled student."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError, DataError
from mmlgd.models import TextualSemanticsBank
from mmlgd.utils.checkpoint import check_finite, read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.checks import check_count

from .images import iter_images
from .stored_pipeline import StoredPipeline
from .stored_student import projected_width, stored_student, stored_teacher


class ZeroShotClassifier:
    """Classifies images with the student of a training checkpoint.

    With the names that it was distilled with, it needs only the checkpoint. For other
    names, and for methods without names (SEED), it needs a bank file or the teacher's
    text tower.

    Nothing in the checkpoint is executed or imported, and no URL in it is fetched. For
    other names without ``bank_file``, the teacher is built from its config in the
    checkpoint; its weights may be a local file or a tag that open_clip downloads.

    Args:
        checkpoint (str | Path): A training checkpoint (not ``backbone.pth``, which
            has no projector).
        categories (str | Path | Sequence[str], optional): Other names: a
            built-in set, a text file, or a list. Defaults to None: those of the
            checkpoint.
        bank_file (str | Path, optional): Text embeddings of ``categories``, written
            by tools/build_text_bank.py. Defaults to None: they are computed with the
            text tower of the checkpoint's teacher.
        templates (str | Path | Sequence[str]): Prompt templates of the other names.
            Defaults to 'imagenet'.
        device (str | torch.device): Device of the student and of the text tower.
            Defaults to 'cpu'.
        teacher (dict | nn.Module, optional): Teacher that encodes other names, or its
            config, which is trusted. It must have the weights of the checkpoint's
            teacher. Defaults to None: the config in the checkpoint.
        meta (dict, optional): Entries that are missing in the checkpoint's ``meta``, or
            that replace them: ``image_mean``, ``image_std``, ``to_rgb``, ``image_size``,
            ``student_temperature``, ``test_pipeline``, ... Defaults to None.

    Attributes:
        category_names (list[str]): The C names.
        record (CheckpointMeta): The checkpoint's ``meta``, with the entries of ``meta``.
        pipeline (StoredPipeline): Its test pipeline.

    Raises:
        CheckpointError: The file is not a training checkpoint, is damaged, contains an
            untrusted config, or has no names and none are given.
        BankError: The bank file does not match the names or the student, or the teacher
            differs from that of the checkpoint.
        ConfigError: The device cannot be used.

    Example:
        >>> classifier = ZeroShotClassifier('work_dirs/demo/epoch_10.pth')
        >>> classifier('photo.jpg', topk=3)
        [[('ankle boot', 0.93), ('sneaker', 0.05), ('sandal', 0.01)]]
    """

    def __init__(
        self,
        checkpoint: str | Path,
        categories: str | Path | Sequence[str] | None = None,
        bank_file: str | Path | None = None,
        templates: str | Path | Sequence[str] = 'imagenet',
        device: str | torch.device = 'cpu',
        teacher: dict | nn.Module | None = None,
        meta: dict[str, Any] | None = None,
    ) -> None:
        self.device = check_device(device)
        contents = read_checkpoint(checkpoint)
        state = contents['state_dict']
        record = CheckpointMeta.from_meta(
            {**contents['meta'], **(meta or {})}, checkpoint
        )
        embed_dims = projected_width(state)
        if embed_dims is None:
            raise CheckpointError(
                f'{checkpoint} is not a training checkpoint of a distillation: zero-shot '
                'use needs its projector. Pass the epoch_*.pth or iter_*.pth, '
                'not the exported backbone.'
            )
        embeddings = state.get('textual_bank.embeddings')
        if embeddings is None and categories is None:
            raise CheckpointError(
                f'{checkpoint} was distilled without category names; pass categories.'
            )
        self.record = record
        record.require('image_size', 'student_temperature')
        self.temperature = float(record.student_temperature or 0)  # required above
        self.pipeline = StoredPipeline(record)
        self.student = stored_student(record, state, embed_dims).to(self.device)
        if categories is None:
            record.require('category_names')
            self.category_names: list[str] = list(record.category_names or ())
            _check_rows(embeddings, len(self.category_names), embed_dims, checkpoint)
        else:
            bank = TextualSemanticsBank(categories, embed_dims, templates)
            if bank_file is not None:
                bank.load(bank_file)
            else:
                bank.build(stored_teacher(record, teacher).to(self.device))
            self.category_names, embeddings = bank.category_names, bank.embeddings
        self.text_embeddings = embeddings.to(self.device)

    @torch.no_grad()
    def scores(
        self, images: object, batch_size: int = 32, channel_order: str = 'bgr'
    ) -> torch.Tensor:
        """Probabilities of all names.

        Args:
            images (object): One image or many, see
                :func:`~mmlgd.apis.images.iter_images` (paths, folders, URLs, bytes,
                file objects, PIL images, uint8 arrays and tensors); or a float tensor of
                normalised images (B, 3, H, W).
            batch_size (int): Images in memory and in the student at a time. Defaults to
                32.
            channel_order (str): 'bgr' or 'rgb', for arrays. Defaults to 'bgr', as in
                mmcv.

        Returns:
            torch.Tensor: (B, C) float32 on the CPU, the softmax of the similarities at
            the student's temperature, in the order of the images. B is 1 for a single
            image and 0 for an empty list.

        Raises:
            DataError: A file is missing or not an image, or an array is not an image.
            ConfigError: ``batch_size`` is below 1, or a value is not an image.
        """
        check_count('batch_size', batch_size, 1)
        if isinstance(images, torch.Tensor) and images.is_floating_point():
            batches = _check_normalised(images).split(batch_size)
        else:
            batches = self.pipeline.batches(
                iter_images(images, channel_order),
                batch_size,
                self.student.data_preprocessor,
            )
        rows = [torch.zeros(0, len(self.category_names))]
        for batch in batches:
            logits = self.student.embed(batch.to(self.device)) @ self.text_embeddings.T
            rows.append((logits / self.temperature).softmax(dim=1).cpu())
        return torch.cat(rows)

    def __call__(
        self,
        images: object,
        topk: int = 1,
        batch_size: int = 32,
        channel_order: str = 'bgr',
    ) -> list[list[tuple[str, float]]]:
        """Classify images.

        Args:
            images, batch_size, channel_order: See :meth:`scores`.
            topk (int): Number of names per image, 1 to C. Defaults to 1.

        Returns:
            list[list[tuple[str, float]]]: The best names of each image with their
            probabilities, best first. A list of length 1 for a single image, and an empty
            list for an empty list.

        Raises:
            DataError, ConfigError: See :meth:`scores`.
            ConfigError: ``topk`` is out of range.
        """
        check_count('topk', topk, 1)
        number = len(self.category_names)
        if topk > number:
            raise ConfigError(f'topk is {topk}, but there are only {number} names.')
        found = self.scores(images, batch_size, channel_order).topk(topk, dim=1)
        return [
            [(self.category_names[label], score) for label, score in zip(*row)]
            for row in zip(found.indices.tolist(), found.values.tolist())
        ]


def check_device(device: str | torch.device) -> torch.device:
    """The device, as torch names it; ConfigError if it cannot be used."""
    try:
        return torch.zeros(0, device=device).device
    except Exception as error:  # unknown name, missing driver, or index too high
        raise ConfigError(
            f"device={str(device)!r} cannot be used ({error}); use 'cpu', or 'cuda' on "
            'a machine with a GPU.'
        ) from error


def _check_rows(rows: object, number: int, width: int, path: str | Path) -> None:
    if not isinstance(rows, torch.Tensor) or rows.shape != (number, width):
        shape = tuple(rows.shape) if isinstance(rows, torch.Tensor) else type(rows)
        raise CheckpointError(
            f'{path} is damaged: its textual_bank.embeddings are {shape}, but its '
            f'{number} names and its projector need {(number, width)}.'
        )
    check_finite({'textual_bank.embeddings': rows}, path)
    if not rows.is_floating_point() or not rows.any():
        raise CheckpointError(
            f'{path} was saved before its textual bank was built; pass categories.'
        )


def _check_normalised(images: torch.Tensor) -> torch.Tensor:
    images = images[None] if images.dim() == 3 else images
    if images.dim() != 4 or images.shape[1] != 3:
        raise DataError(
            f'A float tensor must be of normalised images (B, 3, H, W), but is '
            f'{tuple(images.shape)}.'
        )
    if not images.isfinite().all():
        raise DataError(
            'The tensor of normalised images contains NaN or infinite values.'
        )
    return images.float()
