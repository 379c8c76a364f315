"""Bag-of-instances distillation."""

from collections.abc import Sequence

import torch

from mmlgd.errors import ConfigError
from mmlgd.models.banks import EmbeddingQueue
from mmlgd.models.losses import bingo_loss
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count
from mmlgd.utils.cutmix import cutmix

from .base import BaseDistiller


@MODELS.register_module()
class BINGO(BaseDistiller):
    """Distillation over pairs of images that are similar for the teacher.

    An anchor, a positive from its bag and a mixture of both are each contrasted with
    the teacher's embeddings of both images, with a queue of earlier anchors as
    negatives. The pairs come from :class:`~mmlgd.datasets.BagPairs`. One CutMix box is
    drawn per forward pass, from torch's global generator.

    In the first epochs, anchor and positive learn from their own targets only.
    :class:`~mmlgd.engine.hooks.BagsHook` sets the epoch.

    Args:
        teacher (dict | nn.Module): Teacher, or its config.
        backbone (dict): Config of an mmpretrain backbone, the student.
        queue_size (int): K, the rows of the queue. Defaults to 65536.
        warmup_epochs (int): Epochs in which anchor and positive learn from their own
            targets only. Defaults to 11: the authors' code counts epochs from 0 and
            warms up through number 10.
        **kwargs: The other options of :class:`BaseDistiller`;
            ``student_temperature`` is used in all three losses.

    Attributes:
        is_warming_up (bool | None): Whether the warm-up is active; None until
            :meth:`set_epoch` is called.
        queue (EmbeddingQueue): Q, (K, D).

    Raises:
        ConfigError: An option is out of range; see also :class:`BaseDistiller`.

    Source: arXiv 2107.01691; queue, CutMix and warm-up as in the authors'
    training code, except that the teacher is in eval mode.
    """

    takes_many_views = True

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        queue_size: int = 65536,
        warmup_epochs: int = 11,
        **kwargs,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        check_count('BINGO.queue_size', queue_size, 1)
        check_count('BINGO.warmup_epochs', warmup_epochs, 0)
        super().__init__(teacher, backbone, **kwargs)
        self.warmup_epochs = warmup_epochs
        self.is_warming_up: bool | None = None if warmup_epochs else False
        self.queue = EmbeddingQueue(queue_size, self.teacher.embed_dims)

    def set_epoch(self, epoch: int) -> None:
        """Set the current epoch.

        Args:
            epoch (int): Number of completed passes over the data.
        """
        # The number is not kept: torch.compile would recompile for each epoch.
        self.is_warming_up = epoch < self.warmup_epochs

    def loss(  # type: ignore[override]  # no stored embeddings: see BaseDistiller.loss
        self, inputs: Sequence[torch.Tensor], data_samples: list | None = None
    ) -> dict:
        """Compute the losses of a batch of pairs, then add the anchors to the queue.

        Args:
            inputs (Sequence[torch.Tensor]): Normalised anchors and their positives,
                each (B, 3, H, W); of four, the last two are the teacher's views of
                them.
            data_samples (list, optional): Not used: training needs no labels.

        Returns:
            dict[str, torch.Tensor]: ``loss_anchor``, ``loss_positive`` and
            ``loss_mix``, a third of L_a, L_b and L_mix, scalars.

        Raises:
            ConfigError: The batch has no pairs, or the epoch is not set.
        """
        _check_pairs(inputs)
        self._check_epoch()
        anchors, positives = inputs[:2]
        # Both batches in one pass: in eval mode the rows are independent.
        targets = self.teacher.encode_image(torch.cat(list(inputs[-2:])))
        anchor_targets, positive_targets = targets.chunk(2)
        mixed, mixing = cutmix(anchors, positives)
        losses = bingo_loss(
            self.embed(anchors),
            self.embed(positives),
            self.embed(mixed),
            anchor_targets,
            positive_targets,
            # The backward pass needs the rows that the update overwrites.
            self.queue.embeddings.clone(),
            mixing,
            self.student_temperature,
            intra_only=bool(self.is_warming_up),
        )
        self.queue.update(anchor_targets)
        return {
            f'loss_{name}': value / len(losses)
            for name, value in losses._asdict().items()
        }

    def _check_epoch(self) -> None:
        if self.is_warming_up is None:
            raise ConfigError(
                f'BINGO.warmup_epochs is {self.warmup_epochs}, but no hook sets the epoch; '
                "add dict(type='BagsHook') to custom_hooks, or set warmup_epochs=0."
            )


def _check_pairs(inputs: torch.Tensor | Sequence[torch.Tensor]) -> None:
    if not isinstance(inputs, torch.Tensor) and len(inputs) in (2, 4):
        return
    found = 'one' if isinstance(inputs, torch.Tensor) else len(inputs)
    raise ConfigError(
        f'BINGO learns from pairs, two views or four, but the batch has {found}; wrap '
        "the dataset of train_dataloader: dict(type='SeededViews', "
        "dataset=dict(type='BagPairs', bags=FILE, dataset=...)), with a file built by "
        'tools/build_bags.py.'
    )
