"""The trainings compared by ``train_step.py``, each as a callable step."""

from collections.abc import Callable

import torch
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.published import PublishedLGD
from benchmarks.speed.train_case import Case
from mmlgd.models.data_preprocessor import normalise_like
from mmlgd.registry import MODELS


class Sides:
    """Training steps of one case, with a common teacher and images.

    Args:
        case (Case): The setting.
    """

    def __init__(self, case: Case) -> None:
        self.case = case

    def step(self, side: str) -> Callable[[], object]:
        """One training step of a variant (for ``teacher``, one forward pass)."""
        torch.manual_seed(2)
        return getattr(self, f'_{side}')()

    def gflop(self, side: str) -> float:
        """Floating-point operations per image in 10^9, two per multiply-add.

        Includes convolutions and matrix products. A backward pass counts as two forward
        passes.
        """
        total = 0
        if side != 'teacher':
            total += 3 * self._forward_flop(self.case.student_model())
        if side not in ('supervised', 'stored'):
            teacher = self.case.teacher_in(self.case.channels_last)
            total += self._forward_flop(teacher.visual)
        return total / 1e9

    @torch.no_grad()
    def _forward_flop(self, model: nn.Module) -> int:
        model = model.eval()
        device = next(model.parameters()).device
        size = self.case.sizes.image_size
        image = torch.zeros(1, 3, size, size)
        with FlopCounterMode(display=False) as counter:
            model(image.to(device))
        return counter.get_total_flops()

    def _supervised(self) -> Callable[[], object]:
        model = dict(
            type='mmpretrain.ImageClassifier',
            **self.case.student_config,
            head=dict(
                type='mmpretrain.LinearClsHead',
                num_classes=self.case.num_categories,
                in_channels=self.case.student_model().feature_dims,
                loss=dict(type='mmpretrain.CrossEntropyLoss'),
            ),
            data_preprocessor=dict(
                normalise_like(self.case.sizes, {}),
                type='mmpretrain.ClsDataPreprocessor',
            ),
        )
        samples = [
            DataSample().set_gt_label(number % self.case.num_categories)
            for number in range(self.case.batch_size)
        ]
        return self._training(
            MODELS.build(model), dict(inputs=self.case.images, data_samples=samples)
        )

    def _stored(self) -> Callable[[], object]:
        model = self.case.lgd(self.case.sizes)
        return self._training(model, self.case.stored_batch)

    def _online(self) -> Callable[[], object]:
        teacher = self.case.teacher_in(self.case.channels_last)
        return self._training(self.case.lgd(teacher), self.case.batch)

    def _published(self) -> Callable[[], object]:
        teacher = self.case.teacher_in(channels_last=False)
        anchors = self.case.unit_rows(2 * self.case.num_categories).to(self.case.device)
        model = PublishedLGD(
            teacher,
            self.case.student_model(),
            *anchors.chunk(2),
            data_preprocessor=MODELS.build(normalise_like(self.case.sizes, {})),
        )
        return self._training(model, self.case.batch, channels_last=False)

    def _teacher(self) -> Callable[[], object]:
        teacher = self.case.teacher_in(self.case.channels_last)
        preprocess = MODELS.build(normalise_like(self.case.sizes, {}))
        inputs = preprocess.to(self.case.device)(dict(inputs=self.case.images))[
            'inputs'
        ]
        return lambda: teacher.encode_image(inputs)

    def _training(
        self, model: nn.Module, batch: dict, channels_last: bool | None = None
    ) -> Callable[[], object]:
        if channels_last is None:
            channels_last = self.case.channels_last
        model = self.case.place(model, channels_last)
        model.train()
        wrapper = self.case.optim_wrapper(model)
        return lambda: model.train_step(batch, wrapper)
