"""The trainings that ``train_step.py`` compares, each a step to be called."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from benchmarks.published import PublishedLGD
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transfer.runs import ROOT

from mmlgd.models.data_preprocessor import normalise_like
from mmlgd.models.student import Student
from mmlgd.models.teachers import BaseTeacher
from mmlgd.models.teachers.open_clip_source import OpenCLIPSource
from mmlgd.registry import MODELS

BASES = ROOT / 'configs/_base_'
SCHEDULE = BASES / 'schedules/sgd_bs2048_200e.py'


class AbsentTeacher(BaseTeacher):
    """What is left of a CLIP whose embeddings come with the batch: its sizes.

    Args:
        teacher (dict): Config of the teacher.
    """

    def __init__(self, teacher: dict) -> None:
        super().__init__()
        source = OpenCLIPSource(
            teacher['model_name'], None, teacher.get('model_config'), None
        )
        self.embed_dims = source.embed_dims
        config = open_clip.get_model_config(source.model_name)
        self.image_size = config['vision_cfg']['image_size']
        self.image_mean = [255.0 * value for value in open_clip.OPENAI_DATASET_MEAN]
        self.image_std = [255.0 * value for value in open_clip.OPENAI_DATASET_STD]

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Never asked for."""
        raise NotImplementedError('The benchmark gives embeddings with the batch.')


@dataclass
class Case:
    """One student under one setting; its sides share teacher and images.

    Args:
        student (str): Name of a file of configs/_base_/students.
        teacher (dict): Config of the teacher; its weights may be random.
        batch_size (int): Images a step.
        num_categories (int): C, also the classes of the supervised training.
        device (str): Where the models are.
        precision (str): 'float32', or what ``AmpOptimWrapper`` casts to.
        channels_last (bool): Whether all but the published algorithm keep their
            weights so, as ``ChannelsLastHook`` does.
    """

    student: str
    teacher: dict
    batch_size: int
    num_categories: int
    device: str
    precision: str
    channels_last: bool
    _teachers: dict[bool, BaseTeacher] = field(default_factory=dict)

    @cached_property
    def student_config(self) -> dict:
        """Backbone and neck."""
        return Config.fromfile(BASES / f'students/{self.student}.py').student

    @cached_property
    def sizes(self) -> AbsentTeacher:
        """Widths and normalisation of the teacher, which need not be there."""
        return AbsentTeacher(self.teacher)

    @cached_property
    def _images(self) -> torch.Tensor:
        torch.manual_seed(0)
        size = self.sizes.image_size
        shape = (self.batch_size, 3, size, size)
        images = torch.randint(256, shape, dtype=torch.uint8)
        return images.pin_memory() if self.device != 'cpu' else images

    @cached_property
    def _embeddings(self) -> torch.Tensor:
        rows = self._unit_rows(self.batch_size).half()
        return rows.pin_memory() if self.device != 'cpu' else rows

    def teacher_in(self, channels_last: bool) -> BaseTeacher:
        """The teacher's image side on the device, in one of the memory formats."""
        if channels_last not in self._teachers:
            torch.manual_seed(1)
            teacher = MODELS.build(self.teacher)
            teacher.release_text_tower()
            self._teachers[channels_last] = self._place(teacher, channels_last)
        return self._teachers[channels_last]

    def step(self, side: str) -> Callable[[], object]:
        """One training step (of ``teacher``, one forward pass) of a side."""
        torch.manual_seed(2)
        return getattr(self, f'_{side}')()

    def gflop(self, side: str) -> float:
        """Floating-point operations for an image in 10^9, two a multiply-add.

        Those of convolutions and matrix products; a backward pass counts as two
        forward passes.
        """
        total = 0
        if side != 'teacher':
            total += 3 * self._forward_flop(self._student())
        if side not in ('supervised', 'stored'):
            teacher = self.teacher_in(self.channels_last)
            total += self._forward_flop(teacher.visual)
        return total / 1e9

    @torch.no_grad()
    def _forward_flop(self, model: nn.Module) -> int:
        model = model.eval()
        device = next(model.parameters()).device
        image = torch.zeros(1, 3, self.sizes.image_size, self.sizes.image_size)
        with FlopCounterMode(display=False) as counter:
            model(image.to(device))
        return counter.get_total_flops()

    def _supervised(self) -> Callable[[], object]:
        model = dict(
            type='mmpretrain.ImageClassifier',
            **self.student_config,
            head=dict(
                type='mmpretrain.LinearClsHead',
                num_classes=self.num_categories,
                in_channels=self._student().feature_dims,
                loss=dict(type='mmpretrain.CrossEntropyLoss'),
            ),
            data_preprocessor=dict(
                normalise_like(self.sizes, {}), type='mmpretrain.ClsDataPreprocessor'
            ),
        )
        samples = [
            DataSample().set_gt_label(number % self.num_categories)
            for number in range(self.batch_size)
        ]
        return self._training(
            MODELS.build(model), dict(inputs=self._images, data_samples=samples)
        )

    def _stored(self) -> Callable[[], object]:
        return self._training(
            self.lgd(self.sizes),
            dict(self._batch, teacher_embeddings=self._embeddings),
        )

    def _online(self) -> Callable[[], object]:
        return self._training(
            self.lgd(self.teacher_in(self.channels_last)), self._batch
        )

    def _published(self) -> Callable[[], object]:
        teacher = self.teacher_in(channels_last=False)
        anchors = self._unit_rows(2 * self.num_categories).to(self.device)
        model = PublishedLGD(
            teacher,
            self._student(),
            *anchors.chunk(2),
            data_preprocessor=MODELS.build(normalise_like(self.sizes, {})),
        )
        return self._training(model, self._batch, channels_last=False)

    def _teacher(self) -> Callable[[], object]:
        teacher = self.teacher_in(self.channels_last)
        preprocess = MODELS.build(normalise_like(self.sizes, {})).to(self.device)
        inputs = preprocess(dict(inputs=self._images))['inputs']
        return lambda: teacher.encode_image(inputs)

    @property
    def _batch(self) -> dict:
        samples = [DataSample() for _ in range(self.batch_size)]
        return dict(inputs=self._images, data_samples=samples)

    @property
    def stored_batch(self) -> dict:
        """Images with the teacher's embeddings, as a store would give them."""
        return dict(self._batch, teacher_embeddings=self._embeddings)

    def lgd(self, teacher: BaseTeacher) -> nn.Module:
        """LGD on the CPU, its banks filled with random rows."""
        # Names play no part in the cost; ``build`` would encode them.
        names = [f'category {number}' for number in range(self.num_categories)]
        model = MODELS.build(
            dict(
                type='LGD',
                teacher=teacher,
                **self.student_config,
                textual_bank=dict(type='TextualSemanticsBank', categories=names),
                visual_bank=dict(type='VisualSemanticsBank'),
            )
        )
        model.textual_bank.embeddings.copy_(self._unit_rows(self.num_categories))
        model.textual_bank.built = True
        return model

    def _student(self) -> Student:
        return Student(
            **self.student_config,
            embed_dims=self.sizes.embed_dims,
            image_size=self.sizes.image_size,
        )

    def _unit_rows(self, count: int) -> torch.Tensor:
        return F.normalize(torch.randn(count, self.sizes.embed_dims), dim=1)

    def _place(self, model: nn.Module, channels_last: bool) -> nn.Module:
        formats = (torch.contiguous_format, torch.channels_last)
        return model.to(self.device).to(memory_format=formats[channels_last])

    def _training(
        self, model: nn.Module, batch: dict, channels_last: bool | None = None
    ) -> Callable[[], object]:
        if channels_last is None:
            channels_last = self.channels_last
        model = self._place(model, channels_last)
        model.train()
        wrapper = self.optim_wrapper(model)
        return lambda: model.train_step(batch, wrapper)

    def optim_wrapper(self, model: nn.Module) -> OptimWrapper:
        """The published schedule's optimizer, in this case's precision."""
        config = Config.fromfile(SCHEDULE).optim_wrapper
        config.optimizer.lr = 0.03 * self.batch_size / 256
        config.dtype = self.precision
        if self.precision == 'float32':
            config = dict(type='OptimWrapper', optimizer=config.optimizer)
        else:
            config.type = f'mmlgd.{config.type}'
        return build_optim_wrapper(model, config)


def teacher_config(name: str) -> dict:
    """Config of a CLIP with random weights: open_clip's name, or a model JSON."""
    path = Path(name)
    config = dict(type='OpenCLIPTeacher', model_name=path.stem, pretrained=None)
    return dict(config, model_config=name) if path.suffix == '.json' else config
