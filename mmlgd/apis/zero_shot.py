"""Zero-shot classification with a distilled student."""

from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from torch import nn

from mmlgd.errors import CheckpointError, DataError
from mmlgd.models import Student, TextualSemanticsBank
from mmlgd.registry import MODELS, TRANSFORMS
from mmlgd.utils.checkpoint import load_exactly, read_checkpoint

Image = str | Path | np.ndarray


class ZeroShotClassifier:
    """Names images with the student of a training checkpoint.

    Under the names it was distilled with, it needs the checkpoint alone. Other
    names, and methods that know none (SEED), take a bank file, or the teacher's text
    tower.

    Args:
        checkpoint (str | Path): A training checkpoint (not ``backbone.pth``, which
            has no projector).
        categories (str | Path | Sequence[str], optional): Other names: a
            built-in set, a text file, or a list. Defaults to None: those of the
            checkpoint.
        bank_file (str | Path, optional): Text embeddings of ``categories``, made
            by tools/build_text_bank.py. Defaults to None: the text tower of the
            checkpoint's teacher makes them.
        templates (str | Path | Sequence[str]): Prompts of the other names.
            Defaults to 'imagenet'.
        device (str): Defaults to 'cpu'.

    Attributes:
        category_names (list[str]): The C names.

    Raises:
        CheckpointError: The file is no training checkpoint, or has no names and
            none are given.
        BankError: The bank file does not fit the names or the student.

    Example:
        >>> classifier = ZeroShotClassifier('work_dirs/demo/epoch_12.pth')
        >>> classifier(['photo.jpg'], topk=3)
        [[('ankle boot', 0.93), ('sneaker', 0.05), ('sandal', 0.01)]]
    """

    def __init__(
        self,
        checkpoint: str | Path,
        categories: str | Path | Sequence[str] | None = None,
        bank_file: str | Path | None = None,
        templates: str | Path | Sequence[str] = 'imagenet',
        device: str = 'cpu',
    ) -> None:
        contents = read_checkpoint(checkpoint)
        state, meta = contents['state_dict'], contents['meta']
        if 'cfg' not in meta or not any(key.startswith('projector.') for key in state):
            raise CheckpointError(
                f'{checkpoint} is no training checkpoint of a distillation: zero-shot use '
                'needs its projector and config. Pass the epoch_*.pth or iter_*.pth, not '
                'the exported backbone.'
            )
        embeddings = state.get('textual_bank.embeddings')
        if embeddings is None and categories is None:
            raise CheckpointError(
                f'{checkpoint} was distilled without category names; pass categories.'
            )
        config = Config.fromstring(meta['cfg'], '.py')
        self.device = device
        self.temperature = config.model.get('student_temperature', 0.2)
        embed_dims = _projected_width(state)
        self.student = _load_student(config.model, contents, embed_dims, checkpoint)
        self.student.to(device)
        self.category_names = list(meta.get('category_names', ()))
        if categories is not None:
            bank = TextualSemanticsBank(categories, embed_dims, templates)
            if bank_file is not None:
                bank.load(bank_file)
            else:
                bank.build(MODELS.build(config.model.teacher))
            self.category_names, embeddings = bank.category_names, bank.embeddings
        self.text_embeddings = embeddings.to(device)
        self._pipeline = _test_pipeline(config)

    @torch.no_grad()
    def scores(self, images: torch.Tensor | Sequence[Image]) -> torch.Tensor:
        """Probabilities of all names.

        Args:
            images (Sequence[str | Path | np.ndarray] | torch.Tensor): Files;
                arrays (H, W, 3) uint8 in BGR order, as mmcv reads them; or
                normalised images (B, 3, H, W).

        Returns:
            torch.Tensor: (B, C) float32, the softmax of the similarities at the
            student's temperature.

        Raises:
            DataError: A file is absent or no image.
        """
        if not isinstance(images, torch.Tensor):
            inputs = torch.stack(
                [self._pipeline(_read(image))['inputs'] for image in images]
            )
            images = self.student.data_preprocessor(dict(inputs=inputs))['inputs']
        logits = self.student.embed(images.to(self.device)) @ self.text_embeddings.T
        return (logits / self.temperature).softmax(dim=1)

    def __call__(
        self, images: torch.Tensor | Sequence[Image], topk: int = 1
    ) -> list[list[tuple[str, float]]]:
        """Name images.

        Args:
            images (Sequence | torch.Tensor): As :meth:`scores` takes them.
            topk (int): Names for each image. Defaults to 1.

        Returns:
            list[list[tuple[str, float]]]: For each image its best names with
            their probabilities, best first.
        """
        scores, labels = self.scores(images).topk(topk, dim=1)
        return [
            [(self.category_names[label], score) for label, score in zip(*row)]
            for row in zip(labels.tolist(), scores.tolist())
        ]


def _projected_width(state: dict) -> int:
    """Width D of the embeddings, that of the projector's last matrix."""
    matrices = [
        value
        for key, value in state.items()
        if key.startswith('projector.') and value.dim() == 2
    ]
    return matrices[-1].shape[0]


def _load_student(
    model: Config, contents: dict, embed_dims: int, path: object
) -> nn.Module:
    meta, state = contents['meta'], contents['state_dict']
    parts = {key: model[key] for key in ('neck', 'projector') if key in model}
    preprocessor = dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=meta['image_mean'],
        std=meta['image_std'],
        to_rgb=meta['to_rgb'],
    )
    student = Student(
        model.backbone,
        embed_dims,
        image_size=meta['image_size'],
        data_preprocessor=preprocessor,
        **parts,
    )
    for name, module in student.named_children():
        if module.state_dict():
            load_exactly(module, state, f'{name}.', path)
    student.eval()
    return student


def _test_pipeline(config: Config) -> Compose:
    """The steps that the run was validated with, after the image is read."""
    for name in ('test_dataloader', 'val_dataloader'):
        pipeline = (config.get(name) or {}).get('dataset', {}).get('pipeline')
        if pipeline is not None:
            steps = [step for step in pipeline if 'LoadImage' not in step['type']]
            return Compose([TRANSFORMS.build(step) for step in steps])
    raise CheckpointError(
        "The checkpoint's config has neither a test_dataloader nor a val_dataloader, so there "
        'is no telling how its images are cropped; train with one.'
    )


def _read(image: Image) -> dict:
    if not isinstance(image, np.ndarray):
        path, image = str(image), mmcv.imread(str(image))
        if image is None:
            raise DataError(f'{path} is no image that can be decoded.')
    return dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
