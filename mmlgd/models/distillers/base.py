"""Base class of the distillers: one frozen teacher and one student."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models.data_preprocessor import normalise_like
from mmlgd.models.student import GLOBAL_AVERAGE_POOLING, Student
from mmlgd.models.teachers import learned_temperature
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count, check_in_range
from mmlgd.version import __version__

from .zero_shot_prediction import ZeroShotPrediction


class BaseDistiller(ZeroShotPrediction, Student, metaclass=ABCMeta):
    """A student that learns from one frozen teacher.

    The student's parts are at the root of the state dict as ``backbone.*``,
    ``neck.*`` and ``projector.*``, so a training checkpoint loads downstream
    with ``prefix='backbone.'``. The teacher is not a registered submodule: state dict,
    optimizer, DDP and EMA do not contain it, and ``train()`` and ``init_weights()``
    do not affect it. It moves across devices with the model.

    Student and teacher share one embedding space, so every method can classify
    zero-shot with the category names of a ``zero_shot_bank``.

    Args:
        teacher (dict | nn.Module): Teacher, or its config.
        backbone (dict): Config of an mmpretrain backbone.
        neck (dict, optional): See :class:`~mmlgd.models.Student`.
        projector (dict, optional): See :class:`~mmlgd.models.Student`.
        student_temperature (float): Temperature of the student's softmax, above 0.
            Defaults to 0.2.
        teacher_temperature (float | str): Temperature of the teacher's softmax, above
            0; or 'auto', the temperature learned by a CLIP, see
            :func:`~mmlgd.models.teachers.learned_temperature`. Defaults to 0.01.
        zero_shot_bank (dict, optional): Config of a ``TextualSemanticsBank`` with
            the names to predict; it is not saved. Defaults to None: the method's
            own bank if it has one, otherwise no prediction.
        predict_teacher (bool): Whether predictions also contain the teacher's scores,
            at the cost of its forward pass; a ``StoredTeacher`` has none. Defaults to
            True.
        student_size (int, optional): Side of the student's input images, in pixels, at
            most the teacher's. Both models share one crop in the teacher's size, which
            is resized for the student. Images of other sizes are not resized. Defaults
            to None: the teacher's size.
        data_preprocessor (dict | nn.Module, optional): Normalises the crop for both
            models. Its mean and std must be the teacher's. Defaults to
            ``DistillDataPreprocessor``.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Attributes:
        learns_from_store (bool): Whether the method needs only embeddings of whole
            views from its teacher, so that stored ones suffice.
        takes_many_views (bool): Whether a batch may be a list of views of its images.
        needs_whole_batch (bool): Whether the loss of an image depends on others of its
            batch, so that a batch cannot be computed in parts.

    Raises:
        ConfigError: A temperature is out of range, or 'auto' for a teacher without a
            learned one; ``student_size`` is larger than the crop; the preprocessor's
            mean or std are not the teacher's; or the method needs more than the
            embeddings of a stored teacher.
    """

    learns_from_store = False
    takes_many_views = False
    needs_whole_batch = False

    def __init__(
        self,
        teacher: dict | nn.Module,
        backbone: dict,
        neck: dict | None = GLOBAL_AVERAGE_POOLING,
        projector: dict | None = None,
        student_temperature: float = 0.2,
        teacher_temperature: float | str = 0.01,
        zero_shot_bank: dict | None = None,
        predict_teacher: bool = True,
        student_size: int | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        method = type(self).__name__
        temperatures: dict[str, Any] = dict(student_temperature=student_temperature)
        if teacher_temperature != 'auto':
            temperatures['teacher_temperature'] = teacher_temperature
        for name, value in temperatures.items():
            check_in_range(f'{method}.{name}', value, 0, float('inf'), low_open=True)
        teacher = self.build_teacher(teacher)
        if not teacher.has_image_tower:
            self.check_learns_from_store()
        elif student_size is not None:
            _check_student_size(method, student_size, teacher.image_size)
        if teacher_temperature == 'auto':
            teacher_temperature = learned_temperature(
                teacher, f'{method}.teacher_temperature'
            )
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = normalise_like(teacher, data_preprocessor or {})
        super().__init__(
            backbone,
            embed_dims=teacher.embed_dims,
            neck=neck,
            projector=projector,
            image_size=teacher.image_size,
            student_size=student_size,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        # nn.Module.__setattr__ would register it as a submodule.
        object.__setattr__(self, 'teacher', teacher)
        self.student_temperature = student_temperature
        self.teacher_temperature = float(teacher_temperature)
        self.predict_teacher = predict_teacher
        self.zero_shot_bank = None
        if zero_shot_bank is not None:
            self.zero_shot_bank = MODELS.build(
                dict(zero_shot_bank, embed_dims=teacher.embed_dims, persistent=False)
            )

    def build_teacher(self, teacher: Any) -> Any:
        """Build the teacher, unless it is built."""
        return teacher if isinstance(teacher, nn.Module) else MODELS.build(teacher)

    @property
    def stored_identity(self) -> str:
        """Identity of the teacher whose stored embeddings the method accepts."""
        return self.teacher.identity

    @property
    def checkpoint_meta(self) -> dict:
        """Metadata for a checkpoint's ``meta``, as plain data."""
        size = {} if self.student_size is None else dict(student_size=self.student_size)
        return dict(
            **size,
            mmlgd_version=__version__,
            teacher=self.teacher.identity,
            image_mean=list(self.teacher.image_mean),
            image_std=list(self.teacher.image_std),
            image_size=self.teacher.image_size,
            to_rgb=True,
        )

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        mode: str = 'tensor',
        teacher_embeddings: torch.Tensor | None = None,
    ) -> dict | list | torch.Tensor:
        """Compute losses, predictions or embeddings, depending on ``mode``.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): mmpretrain's samples; labels are
                never used by ``loss``. Defaults to None.
            mode (str): ``loss``, ``predict`` or ``tensor``.
            teacher_embeddings (torch.Tensor, optional): Unit rows (B, D) of these
                views from :class:`~mmlgd.stores.StoredViews`; the teacher is then not
                run. Defaults to None.

        Returns:
            dict | list | torch.Tensor: A dict of scalar losses whose sum is
            minimised; a list of mmpretrain samples; or the student's
            embeddings (B, D).

        Raises:
            ConfigError: The mode is unknown, or the method needs more than stored
                embeddings or accepts only one view of each image.
        """
        if mode == 'loss':
            self._check_single_view(inputs)
            if teacher_embeddings is None:
                return self.loss(inputs, data_samples)
            self.check_learns_from_store()
            return self.loss(inputs, data_samples, teacher_embeddings)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    @abstractmethod
    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        teacher_embeddings: torch.Tensor | None = None,
    ) -> dict:
        """Compute the weighted losses of one batch, by name.

        Methods without ``learns_from_store`` omit ``teacher_embeddings``.
        """

    def targets(
        self, inputs: torch.Tensor, teacher_embeddings: torch.Tensor | None
    ) -> torch.Tensor:
        """The teacher's embeddings: stored ones if given, otherwise computed.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            teacher_embeddings (torch.Tensor, optional): (B, D) of any float type;
                normalised again, since stored rows are rounded.

        Returns:
            torch.Tensor: t, (B, D) float32 unit rows.
        """
        if teacher_embeddings is None:
            return self.teacher.encode_image(inputs)
        return F.normalize(teacher_embeddings.float(), dim=1)

    def check_learns_from_store(self) -> None:
        """Check that stored embeddings suffice for the method.

        Raises:
            ConfigError: The method needs the teacher itself.
        """
        if not self.learns_from_store:
            raise ConfigError(
                f'{type(self).__name__} needs the teacher itself (for mixed images, '
                'patches or maps), not only the embeddings of StoredViews and a '
                'StoredTeacher; use its online config: SeededViews in '
                'train_dataloader.dataset, and the teacher that built the store as '
                'model.teacher.'
            )

    def _check_single_view(self, inputs: torch.Tensor | Sequence[torch.Tensor]) -> None:
        if self.takes_many_views or isinstance(inputs, torch.Tensor):
            return
        raise ConfigError(
            f'{type(self).__name__} learns from one view of each image, but the batch has '
            f'{len(inputs)}; remove BagPairs from train_dataloader.dataset and MultiView '
            'from its pipeline.'
        )

    def statistics(self) -> dict[str, float]:
        """Values to log, over the steps since the last call and all ranks."""
        return {}

    def _apply(self, fn: Callable, *args, **kwargs) -> nn.Module:
        # The model may be moved before __init__ has set the teacher.
        if 'teacher' in self.__dict__:
            self.teacher._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)


def _check_student_size(method: str, student_size: int, image_size: int) -> None:
    check_count(f'{method}.student_size', student_size, 1)
    if student_size > image_size:
        raise ConfigError(
            f"{method}.student_size is {student_size}, but the crop has the teacher's size "
            f'of {image_size} pixels, and enlarging it adds no detail. Set student_size to '
            f'at most {image_size}, or use a larger image_size or another teacher; views '
            'of a store may be larger.'
        )
