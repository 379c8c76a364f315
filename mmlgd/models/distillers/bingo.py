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
    """Distillation over pairs of images that the teacher finds alike.

    An anchor, a positive from its bag and a mixture of both are each contrasted with
    the teacher's embeddings of both images, against a queue of earlier anchors'.
    The pairs come from :class:`~mmlgd.datasets.BagPairs`; one box of CutMix is
    drawn for each batch, from torch's global generator.

    The first epochs draw anchor and positive to their own targets only. Of the epoch,
    :class:`~mmlgd.engine.hooks.BagsHook` tells the model.

    Args:
        teacher (dict | nn.Module): Config of a teacher, or one.
        backbone (dict): Config of an mmpretrain backbone, the student.
        queue_size (int): K, the rows of the queue. Defaults to 65536.
        warmup_epochs (int): Epochs without the positive's target in the losses of
            anchor and positive. Defaults to 11, since the authors' code counts epochs from
            0 and warms up to and with number 10.
        **kwargs: The other options of :class:`BaseDistiller`;
            ``student_temperature`` is that of all three losses.

    Attributes:
        is_warming_up (bool | None): Whether positives' targets are left out; None until
            :meth:`set_epoch` tells.
        queue (EmbeddingQueue): Q, (K, D).

    Raises:
        ConfigError: An option is out of range; see also :class:`BaseDistiller`.

    Source: arXiv 2107.01691; queue, CutMix and warm-up as in the authors'
    training code, save that the teacher is in eval mode.
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
        """Tell the model how far training is.

        Args:
            epoch (int): Passes over the data before this one.
        """
        # No number of an epoch is kept: torch.compile would compile again for each.
        self.is_warming_up = epoch < self.warmup_epochs

    def loss(  # type: ignore[override]  # no stored embeddings: see BaseDistiller.loss
        self, inputs: Sequence[torch.Tensor], data_samples: list | None = None
    ) -> dict:
        """The losses of one batch of pairs; then the anchors enter the queue.

        Args:
            inputs (Sequence[torch.Tensor]): Normalised anchors and their positives,
                each (B, 3, H, W); where four, the last two are the teacher's
                views of them.
            data_samples (list, optional): Not used: no label takes part.

        Returns:
            dict[str, torch.Tensor]: ``loss_anchor``, ``loss_positive`` and
            ``loss_mix``, a third of L_a, L_b and L_mix, scalars.

        Raises:
            ConfigError: There are no pairs, or the epoch is not known.
        """
        _check_pairs(inputs)
        self._check_epoch()
        anchors, positives = inputs[:2]
        # Two batches in one pass: in eval mode the teacher's rows do not mix.
        targets = self.teacher.encode_image(torch.cat(list(inputs[-2:])))
        anchor_targets, mate_targets = targets.chunk(2)
        mixed, mixing = cutmix(anchors, positives)
        losses = bingo_loss(
            self.embed(anchors),
            self.embed(positives),
            self.embed(mixed),
            anchor_targets,
            mate_targets,
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
                f'BINGO.warmup_epochs is {self.warmup_epochs}, but nothing tells BINGO '
                "the epoch; add dict(type='BagsHook') to custom_hooks, or set "
                'warmup_epochs=0.'
            )


def _check_pairs(inputs: torch.Tensor | Sequence[torch.Tensor]) -> None:
    if not isinstance(inputs, torch.Tensor) and len(inputs) in (2, 4):
        return
    found = 'one' if isinstance(inputs, torch.Tensor) else len(inputs)
    raise ConfigError(
        f'BINGO learns from pairs, two views or four, but the batch has {found}; wrap '
        "the dataset of train_dataloader: dict(type='SeededViews', "
        "dataset=dict(type='BagPairs', bags=FILE, dataset=...)), with a file of "
        'tools/build_bags.py.'
    )
