"""Common parts of the compared trainings: teacher, images, models."""

import argparse
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmpretrain.structures import DataSample
from torch import nn

from benchmarks import ROOT
from mmlgd.models.student import Student
from mmlgd.models.teachers import BaseTeacher
from mmlgd.models.teachers.open_clip_source import OpenCLIPSource
from mmlgd.registry import MODELS

BASES = ROOT / 'configs/_base_'
SCHEDULE = BASES / 'schedules/sgd_bs2048_200e.py'


class AbsentTeacher(BaseTeacher):
    """Stands in for a CLIP whose embeddings come with the batch; only has its sizes.

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
        """Not available: embeddings come with the batch."""
        raise NotImplementedError('The benchmark passes embeddings with the batch.')


@dataclass
class Case:
    """One student with one setting.

    Args:
        student (str): Name of a file of configs/_base_/students.
        teacher (dict): Config of the teacher; its weights may be random.
        batch_size (int): Images per step.
        num_categories (int): C, also the number of classes in supervised training.
        device (str): Device of the models.
        precision (str): 'float32', or the dtype of ``AmpOptimWrapper``.
        channels_last (bool): Whether all variants except the published algorithm use
            channels-last, as with ``ChannelsLastHook``.
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
        """Widths and normalisation of the teacher, without loading it."""
        return AbsentTeacher(self.teacher)

    @cached_property
    def images(self) -> torch.Tensor:
        """(B, 3, H, W) uint8, in pinned memory if they go to a GPU."""
        torch.manual_seed(0)
        size = self.sizes.image_size
        shape = (self.batch_size, 3, size, size)
        images = torch.randint(256, shape, dtype=torch.uint8)
        return images.pin_memory() if self.device != 'cpu' else images

    @cached_property
    def _embeddings(self) -> torch.Tensor:
        rows = self.unit_rows(self.batch_size).half()
        return rows.pin_memory() if self.device != 'cpu' else rows

    def teacher_in(self, channels_last: bool) -> BaseTeacher:
        """The teacher's image tower on the device, in the given memory format."""
        if channels_last not in self._teachers:
            torch.manual_seed(1)
            teacher = MODELS.build(self.teacher)
            teacher.release_text_tower()
            self._teachers[channels_last] = self.place(teacher, channels_last)
        return self._teachers[channels_last]

    @property
    def batch(self) -> dict:
        """A batch of images only."""
        samples = [DataSample() for _ in range(self.batch_size)]
        return dict(inputs=self.images, data_samples=samples)

    @property
    def stored_batch(self) -> dict:
        """A batch of images with the teacher's embeddings, as from a store."""
        return dict(self.batch, teacher_embeddings=self._embeddings)

    def lgd(self, teacher: BaseTeacher) -> nn.Module:
        """LGD on the CPU, with random rows in its banks."""
        # The names do not affect the cost; ``build`` would encode them.
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
        model.textual_bank.embeddings.copy_(self.unit_rows(self.num_categories))
        model.textual_bank.built = True
        return model

    def student_model(self) -> Student:
        """A student with its projector."""
        return Student(
            **self.student_config,
            embed_dims=self.sizes.embed_dims,
            image_size=self.sizes.image_size,
        )

    def unit_rows(self, count: int) -> torch.Tensor:
        """Random unit rows (count, D), like embeddings."""
        return F.normalize(torch.randn(count, self.sizes.embed_dims), dim=1)

    def place(self, model: nn.Module, channels_last: bool) -> nn.Module:
        """Move a model to the device, with a memory format."""
        formats = (torch.contiguous_format, torch.channels_last)
        return model.to(self.device).to(memory_format=formats[channels_last])

    def optim_wrapper(self, model: nn.Module) -> OptimWrapper:
        """The optimizer of the published schedule, with this case's precision."""
        config = Config.fromfile(SCHEDULE).optim_wrapper
        config.optimizer.lr = 0.03 * self.batch_size / 256
        config.dtype = self.precision
        if self.precision == 'float32':
            config.type = 'OptimWrapper'
            del config.dtype
        else:
            config.type = f'mmlgd.{config.type}'
        config.constructor = f'mmlgd.{config.constructor}'
        return build_optim_wrapper(model, config)


def add_case_arguments(parser: argparse.ArgumentParser) -> None:
    """Common options of all benchmarks of the training step."""
    has_gpu = torch.cuda.is_available()
    parser.add_argument(
        '--teacher', default='RN50', help='open_clip model name, or a model JSON'
    )
    parser.add_argument(
        '--batch-size', type=int, default=256 if has_gpu else 16, help='images per rank'
    )
    parser.add_argument('--num-categories', type=int, default=1000)
    parser.add_argument('--device', default='cuda' if has_gpu else 'cpu')
    parser.add_argument(
        '--precision',
        choices=('float32', 'float16', 'bfloat16'),
        default='float16' if has_gpu else 'float32',
    )
    parser.add_argument('--threads', type=int, default=1, help='per rank; default: 1')
    parser.add_argument('--out', help='JSON file for the results')


def case_of(student: str, args: argparse.Namespace, channels_last: bool = True) -> Case:
    """The setting from the options of :func:`add_case_arguments`."""
    return Case(
        student,
        teacher_config(args.teacher),
        args.batch_size,
        args.num_categories,
        args.device,
        args.precision,
        channels_last,
    )


def teacher_config(name: str) -> dict:
    """Config of a CLIP with random weights: open_clip model name, or a model JSON."""
    path = Path(name)
    config = dict(type='OpenCLIPTeacher', model_name=path.stem, pretrained=None)
    return dict(config, model_config=name) if path.suffix == '.json' else config
