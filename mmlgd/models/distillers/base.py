"""What all distillers share: one frozen teacher beside one student."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable

import torch
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models.student import GLOBAL_AVERAGE_POOLING, Student
from mmlgd.registry import MODELS
from mmlgd.version import __version__


class BaseDistiller(Student, metaclass=ABCMeta):
    """A student that learns from one frozen teacher.

    The student's parts stand at the root of the state dict as ``backbone.*``,
    ``neck.*`` and ``projector.*``, so a training checkpoint loads downstream
    with ``prefix='backbone.'``. The teacher is no registered submodule: it is in
    no state dict, optimizer, DDP bucket or EMA copy, and ``train()`` and
    ``init_weights()`` do not reach it. It follows the model across devices.

    Args:
        teacher (dict | nn.Module): Config of a teacher, or one.
        backbone (dict): Config of an mmpretrain backbone.
        neck (dict, optional): See :class:`~mmlgd.models.Student`.
        projector (dict, optional): See :class:`~mmlgd.models.Student`.
        data_preprocessor (dict | nn.Module, optional): Normalises the one crop
            that both models see. Its mean and std are the teacher's; others are
            refused. Defaults to mmpretrain's ``ClsDataPreprocessor``.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        ConfigError: The preprocessor's mean or std are not the teacher's.
    """

    def __init__(
        self,
        teacher: dict | nn.Module,
        backbone: dict,
        neck: dict | None = GLOBAL_AVERAGE_POOLING,
        projector: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if not isinstance(teacher, nn.Module):
            teacher = MODELS.build(teacher)
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = _with_normalisation(data_preprocessor or {}, teacher)
        super().__init__(
            backbone,
            embed_dims=teacher.embed_dims,
            neck=neck,
            projector=projector,
            image_size=teacher.image_size,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        # Past nn.Module.__setattr__, which would register it.
        object.__setattr__(self, 'teacher', teacher)

    @property
    def checkpoint_meta(self) -> dict:
        """What a checkpoint tells of itself: plain values for its ``meta``."""
        return dict(
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
    ) -> dict | list | torch.Tensor:
        """Losses, predictions or embeddings, by ``mode``.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): mmpretrain's samples; labels are
                never used by ``loss``. Defaults to None.
            mode (str): ``loss``, ``predict`` or ``tensor``.

        Returns:
            dict | list | torch.Tensor: A dict of scalar losses whose sum is
            minimised; a list of mmpretrain samples; or the student's
            embeddings (B, D).

        Raises:
            ConfigError: Another mode is asked for.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    @abstractmethod
    def loss(self, inputs: torch.Tensor, data_samples: list | None = None) -> dict:
        """Losses of one batch, by name, already weighted."""

    @abstractmethod
    def predict(self, inputs: torch.Tensor, data_samples: list | None = None) -> list:
        """Predictions for one batch, as mmpretrain samples."""

    def _apply(self, fn: Callable, *args, **kwargs) -> nn.Module:
        # Called once from nn.Module.__init__'s descendants through ``to``, when
        # the teacher is there; a half-built model has none yet.
        if 'teacher' in self.__dict__:
            self.teacher._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)


def _with_normalisation(data_preprocessor: dict, teacher: nn.Module) -> dict:
    """The preprocessor's config with the teacher's mean and std filled in."""
    data_preprocessor = dict(
        {'type': 'mmpretrain.ClsDataPreprocessor', 'to_rgb': True}, **data_preprocessor
    )
    wanted = dict(
        mean=list(teacher.image_mean), std=list(teacher.image_std), to_rgb=True
    )
    for name, value in wanted.items():
        found = data_preprocessor.setdefault(name, value)
        if not torch.allclose(torch.tensor(found).float(), torch.tensor(value).float()):
            raise ConfigError(
                f'data_preprocessor.{name} is {found}, but teacher and student see the same '
                f'crop, normalised as the teacher was trained: {value}; leave it out of the '
                'config.'
            )
    return data_preprocessor
