"""Self-supervised distillation with a queue of teacher embeddings."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mmlgd.errors import ConfigError
from mmlgd.models.banks import EmbeddingQueue
from mmlgd.models.losses import seed_loss
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count

from .base import BaseDistiller


@MODELS.register_module()
class SEED(BaseDistiller):
    """Distillation of the similarities to a queue of teacher embeddings.

    The student learns to match the teacher's similarities to the image's own teacher
    embedding and to the queue. Then the batch is added to the queue.

    With ``num_patches`` above 0, the pipeline returns a full view and that many small
    patches of each image (``MultiView``). The patches have a separate loss, which is
    added, and a separate queue, to which only the first patch of each image is added.

    Args:
        teacher (dict | nn.Module): Teacher, or its config.
        backbone (dict): Config of an mmpretrain backbone, the student.
        queue_size (int): K, the rows of each queue. Defaults to 65536.
        num_patches (int): Small patches of each image. Defaults to 0.
        teacher_patch_size (int, optional): Side to which patches are resized for
            the teacher, in pixels; the student's patches are not resized. Defaults
            to None: the teacher's ``image_size``, since many teachers accept no
            other. The published teachers used the original size (96).
        **kwargs: The other options of :class:`BaseDistiller`.

    Raises:
        ConfigError: An option is out of range; see also :class:`BaseDistiller`.

    Source: arXiv 2101.04731; the patches and their queue as in the authors'
    training code, except for the resizing.
    """

    takes_many_views = True

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        queue_size: int = 65536,
        num_patches: int = 0,
        teacher_patch_size: int | None = None,
        **kwargs,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        check_count('SEED.queue_size', queue_size, 1)
        check_count('SEED.num_patches', num_patches, 0)
        if teacher_patch_size is not None:
            check_count('SEED.teacher_patch_size', teacher_patch_size, 1)
        # The base class reads it when it builds the teacher.
        self.learns_from_store = num_patches == 0
        super().__init__(teacher, backbone, **kwargs)
        self.num_patches = num_patches
        self.teacher_patch_size = teacher_patch_size or self.teacher.image_size
        self.queue = EmbeddingQueue(queue_size, self.teacher.embed_dims)
        self.patch_queue = (
            EmbeddingQueue(queue_size, self.teacher.embed_dims) if num_patches else None
        )

    def loss(
        self,
        inputs: torch.Tensor | Sequence[torch.Tensor],
        data_samples: list | None = None,
        teacher_embeddings: torch.Tensor | None = None,
    ) -> dict:
        """Compute the losses of a batch, then update the queues.

        Args:
            inputs (torch.Tensor | Sequence[torch.Tensor]): Normalised images
                (B, 3, H, W); with patches a list, the images first, then one batch
                (B, 3, h, w) for each patch.
            data_samples (list, optional): Not used: training needs no labels.
            teacher_embeddings (torch.Tensor, optional): See :meth:`targets`.

        Returns:
            dict[str, torch.Tensor]: ``loss_similarity`` and, with patches,
            ``loss_patch_similarity``, scalars.

        Raises:
            ConfigError: The number of views does not match ``num_patches``.
        """
        images, *patches = self._check_views(inputs)
        # The teacher first: its features are freed before the student's are kept.
        teacher = self.targets(images, teacher_embeddings)
        losses = dict(
            loss_similarity=self._distil(self.queue, self.embed(images), teacher)
        )
        if patches:
            # One patch at a time: N times the batch may not fit in memory.
            teacher = [
                self.teacher.encode_image(self._resize(each)) for each in patches
            ]
            assert self.patch_queue is not None  # it is built for num_patches
            losses['loss_patch_similarity'] = self._distil(
                self.patch_queue,
                self.embed(torch.cat(patches)),
                torch.cat(teacher),
                num_queued=len(images),
            )
        return losses

    def _distil(
        self,
        queue: EmbeddingQueue,
        student: torch.Tensor,
        teacher: torch.Tensor,
        num_queued: int | None = None,
    ) -> torch.Tensor:
        """Compute the loss over a queue, then add the teacher's first rows to it."""
        loss = seed_loss(
            student,
            teacher,
            # The backward pass needs the rows that the update overwrites.
            queue.embeddings.clone(),
            self.student_temperature,
            self.teacher_temperature,
        )
        queue.update(teacher[:num_queued])
        return loss

    def _resize(self, patches: torch.Tensor) -> torch.Tensor:
        """Resize patches (B, 3, h, w) for the teacher."""
        size = (self.teacher_patch_size, self.teacher_patch_size)
        if patches.shape[-2:] == size:
            return patches
        return F.interpolate(patches, size=size, mode='bilinear', antialias=True)

    def _check_views(
        self, inputs: torch.Tensor | Sequence[torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        views = [inputs] if isinstance(inputs, torch.Tensor) else inputs
        if len(views) == 1 + self.num_patches and all(v.dim() == 4 for v in views):
            return views
        raise ConfigError(
            f'SEED.num_patches is {self.num_patches}, so a batch should be '
            f'{1 + self.num_patches} tensor(s) of four dimensions, but it has the shapes '
            f'{[tuple(view.shape) for view in views]}; set num_patches to the number of '
            "small patches in the pipeline (MultiView's num_views=[1, num_patches]; 0 "
            'without MultiView) and omit data_preprocessor.type.'
        )
