"""Zero-shot prediction of the distillers."""

from collections.abc import Callable
from typing import Any

import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmlgd.errors import ConfigError


class ZeroShotPrediction:
    """Mixin of ``BaseDistiller`` for zero-shot prediction.

    It uses ``embed`` of the student, ``teacher``, both temperatures,
    ``zero_shot_bank`` and ``predict_teacher``.
    """

    teacher: Any
    zero_shot_bank: nn.Module | None
    predict_teacher: bool
    student_temperature: float
    teacher_temperature: float
    embed: Callable[[torch.Tensor], torch.Tensor]

    @property
    def text_banks(self) -> list[nn.Module]:
        """The textual banks to build before training, those of the method first."""
        return [] if self.zero_shot_bank is None else [self.zero_shot_bank]

    @property
    def prediction_bank(self) -> nn.Module | None:
        """The textual bank whose names :meth:`predict` chooses from, if any."""
        return self.zero_shot_bank

    def build_text_banks(self, cache_dir: str | None = None) -> None:
        """Build every textual bank that is not built; see its ``build``."""
        for bank in self.text_banks:
            if not bank.built:
                bank.build(self.teacher, cache_dir)

    @torch.no_grad()
    def predict(self, inputs: torch.Tensor, data_samples: list | None = None) -> list:
        """Classify images zero-shot, by their similarity to the names.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list[DataSample], optional): Samples to which the predictions
                are added. Defaults to None: new samples.

        Returns:
            list[DataSample]: With ``pred_score`` (C,), the softmax over s . T_c
            at the student's temperature, and ``pred_label`` (1,); with
            ``predict_teacher`` also ``teacher_pred_score`` (C,), at the teacher's
            temperature.

        Raises:
            ConfigError: There is no textual bank.
        """
        if self.prediction_bank is None:
            raise ConfigError(
                f'{type(self).__name__} has no names to predict; set '
                "model.zero_shot_bank=dict(type='TextualSemanticsBank', categories=...), "
                'or skip validation (--no-validate).'
            )
        self.build_text_banks()
        data_samples = data_samples or [DataSample() for _ in range(len(inputs))]
        scores = self._name_scores(self.embed(inputs), self.student_temperature)
        # Labels (B, 1): for a scalar, set_pred_label would synchronise with the device.
        labels = scores.argmax(dim=1, keepdim=True)
        for sample, score, label in zip(data_samples, scores, labels):
            sample.set_pred_score(score).set_pred_label(label)
        if self.predict_teacher and self.teacher.has_image_tower:
            teacher = self.teacher.encode_image(inputs)
            scores = self._name_scores(teacher, self.teacher_temperature)
            for sample, score in zip(data_samples, scores):
                sample.set_field(score, 'teacher_pred_score')
        return data_samples

    def _name_scores(
        self, embeddings: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            bank: Any = self.prediction_bank
            logits = embeddings @ bank.embeddings.T
            return (logits / temperature).softmax(dim=1)
