"""What all distillers share: one frozen teacher beside one student."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable

import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models.student import GLOBAL_AVERAGE_POOLING, Student
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range
from mmlgd.version import __version__


class BaseDistiller(Student, metaclass=ABCMeta):
    """A student that learns from one frozen teacher.

    The student's parts stand at the root of the state dict as ``backbone.*``,
    ``neck.*`` and ``projector.*``, so a training checkpoint loads downstream
    with ``prefix='backbone.'``. The teacher is no registered submodule: it is in
    no state dict, optimizer, DDP bucket or EMA copy, and ``train()`` and
    ``init_weights()`` do not reach it. It follows the model across devices.

    Student and teacher share one embedding space, so every method classifies
    zero-shot as soon as ``zero_shot_bank`` names the categories.

    Args:
        teacher (dict | nn.Module): Config of a teacher, or one.
        backbone (dict): Config of an mmpretrain backbone.
        neck (dict, optional): See :class:`~mmlgd.models.Student`.
        projector (dict, optional): See :class:`~mmlgd.models.Student`.
        student_temperature (float): Of the student's softmax, above 0. Defaults
            to 0.2.
        teacher_temperature (float): Of the teacher's softmax, above 0. Defaults
            to 0.01.
        zero_shot_bank (dict, optional): Config of a ``TextualSemanticsBank`` with
            the names to predict; it is not saved. Defaults to None: the method's
            own bank where it has one, else no prediction.
        predict_teacher (bool): Whether predictions carry the teacher's scores
            too, at the cost of its forward pass. Defaults to True.
        data_preprocessor (dict | nn.Module, optional): Normalises the one crop
            that both models see. Its mean and std are the teacher's; others are
            refused. Defaults to mmpretrain's ``ClsDataPreprocessor``.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        ConfigError: A temperature is out of range, or the preprocessor's mean or
            std are not the teacher's.
    """

    def __init__(
        self,
        teacher: dict | nn.Module,
        backbone: dict,
        neck: dict | None = GLOBAL_AVERAGE_POOLING,
        projector: dict | None = None,
        student_temperature: float = 0.2,
        teacher_temperature: float = 0.01,
        zero_shot_bank: dict | None = None,
        predict_teacher: bool = True,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        for name, value in (
            ('student_temperature', student_temperature),
            ('teacher_temperature', teacher_temperature),
        ):
            place = f'{type(self).__name__}.{name}'
            check_in_range(place, value, 0, float('inf'), low_open=True)
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
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.predict_teacher = predict_teacher
        self.zero_shot_bank = None
        if zero_shot_bank is not None:
            self.zero_shot_bank = MODELS.build(
                dict(zero_shot_bank, embed_dims=teacher.embed_dims, persistent=False)
            )

    @property
    def text_banks(self) -> list[nn.Module]:
        """The textual banks to fill before training, those of the method first."""
        return [] if self.zero_shot_bank is None else [self.zero_shot_bank]

    @property
    def prediction_bank(self) -> nn.Module | None:
        """The textual bank whose names :meth:`predict` chooses from, if any."""
        return self.zero_shot_bank

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

    def build_text_banks(self, cache_dir: str | None = None) -> None:
        """Build every textual bank that is still empty, see its ``build``."""
        for bank in self.text_banks:
            if not bank.built:
                bank.build(self.teacher, cache_dir)

    def statistics(self) -> dict[str, float]:
        """What is worth logging of the steps since the last call, over all ranks."""
        return {}

    @torch.no_grad()
    def predict(self, inputs: torch.Tensor, data_samples: list | None = None) -> list:
        """Classify images zero-shot, by their similarity to the names.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list[DataSample], optional): Take the predictions, and
                keep what they hold. Defaults to None.

        Returns:
            list[DataSample]: With ``pred_score`` (C,), the softmax over s . T_c
            at the student's temperature, and ``pred_label``; where
            ``predict_teacher`` is set, ``teacher_pred_score`` (C,) at the
            teacher's.

        Raises:
            ConfigError: There are no names to choose from.
        """
        if self.prediction_bank is None:
            raise ConfigError(
                f'{type(self).__name__} has no names to predict; set '
                "model.zero_shot_bank=dict(type='TextualSemanticsBank', categories=...), "
                'or leave validation out (--no-validate).'
            )
        self.build_text_banks()
        data_samples = data_samples or [DataSample() for _ in range(len(inputs))]
        scores = self._name_scores(self.embed(inputs), self.student_temperature)
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score).set_pred_label(score.argmax())
        if self.predict_teacher:
            teacher = self.teacher.encode_image(inputs)
            scores = self._name_scores(teacher, self.teacher_temperature)
            for sample, score in zip(data_samples, scores):
                sample.set_field(score, 'teacher_pred_score')
        return data_samples

    def _name_scores(
        self, embeddings: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            logits = embeddings @ self.prediction_bank.embeddings.T
            return (logits / temperature).softmax(dim=1)

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
