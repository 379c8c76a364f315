"""What can be exported: a model, and how images get into it."""

import json
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.preprocessing import Preprocessing

INPUT_TYPES = ('uint8', 'float32')
_MAX_SIDE = 4096


class ExportModel:
    """A backbone or a classifier of a checkpoint, tried on one image.

    Args:
        module (nn.Module): Takes normalised images (B, 3, H, W), and gives a tensor or a
            tuple of them.
        record (CheckpointMeta): Of the checkpoint.
        config (dict, optional): That of a backbone. Defaults to None: the module is more
            than a backbone.
        image_size (int | Sequence[int], optional): Side, or height and width, in
            pixels. Defaults to None: the checkpoint's (``student_size`` before
            ``image_size``), else 224.
        fold_preprocessing (str, optional): 'uint8' or 'float32': the model takes images
            of 0 to 255 in this type and normalises them itself. Defaults to None: it
            takes normalised float32 images.
        output (str, optional): Name of the only output. Defaults to None: the outputs
            are ``feature_map_0``, ...
        metadata (dict, optional): Further texts for a file that can hold them.

    Attributes:
        config (dict): That of a backbone; empty for anything else.
        module (nn.Module): In eval mode, with the normalisation where it is folded in.
        output_names (list[str]): One for each output.
        metadata (dict[str, str]): What a user of the file must know.

    Raises:
        CheckpointError: It has no mean and std to fold in.
        ConfigError: An unknown input type, or images of this size do not pass.
    """

    def __init__(
        self,
        module: nn.Module,
        record: CheckpointMeta,
        config: dict | None = None,
        image_size: int | Sequence[int] | None = None,
        fold_preprocessing: str | None = None,
        output: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.record, self.config = record, config or {}
        self.name = type(module).__name__
        if image_size is None:
            image_size = record.student_size or record.image_size or 224
        self.image_size = check_image_size(image_size)
        self.input_type = check_input_type(fold_preprocessing)
        if fold_preprocessing is not None:
            if record.preprocessing is None:
                raise CheckpointError(
                    f'{record.path} does not carry the mean and std it was trained with, '
                    'so they cannot be folded in; export without fold_preprocessing.'
                )
            module = nn.Sequential(_Normalise(record.preprocessing), module)
        # Some backbones' eval() returns None: not to be chained.
        module.eval()
        self.module = module
        number = self._try_one_image()
        self.output_names = [output or f'feature_map_{i}' for i in range(number)]
        self.is_probability = output == 'scores'
        self.metadata = {**(metadata or {}), **self._texts()}

    @torch.no_grad()
    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the model gives for images (B, 3, H, W)."""
        return as_tuple(self.module(images))

    def images(self, batch: int) -> torch.Tensor:
        """Noise (B, 3, H, W) of the type that the model takes, the same each time."""
        generator = torch.Generator().manual_seed(0)
        shape = (batch, 3, *self.image_size)
        if self.input_type is None:
            return torch.randn(shape, generator=generator)
        images = torch.randint(0, 256, shape, generator=generator)
        return images.to(getattr(torch, self.input_type))

    def _try_one_image(self) -> int:
        """Number of outputs."""
        height, width = self.image_size
        try:
            outputs = self.outputs(self.images(1))
        except Exception as error:  # whatever a backbone raises
            reason = ' '.join(str(error).split())[:400]
            raise ConfigError(
                f'{self.name} does not take images of {height}x{width} pixels '
                f'({type(error).__name__}: {reason}); pass the image_size it was built '
                'for.'
            ) from error
        for each in outputs:
            if not isinstance(each, torch.Tensor) or not each.numel():
                raise ConfigError(
                    f'{self.name} gives an output for images of {height}x{width} pixels '
                    'that is empty or not a tensor, which cannot be exported; take '
                    'larger images, or the out_type that gives feature maps.'
                )
        return len(outputs)

    def _texts(self) -> dict[str, str]:
        folded, preprocessing = self.input_type, self.record.preprocessing
        texts = dict(
            mmlgd_version=self.record.mmlgd_version or 'unknown',
            input=f'{folded} images of 0 to 255' if folded else 'normalised images',
        )
        if preprocessing is not None:
            texts['image_mean'] = json.dumps(preprocessing.mean)
            texts['image_std'] = json.dumps(preprocessing.std)
            texts['channel_order'] = 'RGB' if preprocessing.to_rgb else 'BGR'
        return texts


class Classifier(nn.Module):
    """Backbone, projector, and the names as one linear layer without bias.

    Args:
        student (nn.Module): Has ``extract_feat`` and ``projector``.
        text_embeddings (torch.Tensor): (C, D), unit rows.
        temperature (float): Of the student's softmax.
        as_logits (bool): Omit the softmax. Defaults to False.
    """

    def __init__(
        self,
        student: nn.Module,
        text_embeddings: torch.Tensor,
        temperature: float,
        as_logits: bool = False,
    ) -> None:
        super().__init__()
        self.student = student
        text = text_embeddings / temperature
        self.names = nn.Linear(text.shape[1], text.shape[0], bias=False)
        self.names.weight.data = text.float()
        self.as_logits = as_logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores or logits (B, C) of normalised images (B, 3, H, W)."""
        student = self.student
        embeddings = F.normalize(student.projector(student.extract_feat(images)), dim=1)
        logits = self.names(embeddings)
        return logits if self.as_logits else logits.softmax(dim=1)


class _Normalise(nn.Module):
    """Images (B, 3, H, W), 0 to 255, to what the backbone was trained with."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        for name in ('mean', 'std'):
            values = torch.tensor(getattr(preprocessing, name)).view(1, -1, 1, 1)
            self.register_buffer(name, values)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float() - self.mean) / self.std


def as_tuple(outputs: object) -> tuple:
    """The outputs of a model that may give one or several."""
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def check_input_type(name: str | None) -> str | None:
    """Return the name of an input type, or None.

    Raises:
        ConfigError: It is unknown.
    """
    if name not in (None, *INPUT_TYPES):
        raise ConfigError(
            f'fold_preprocessing is {name!r}, but must be one of {INPUT_TYPES}, or None.'
        )
    return name


def check_image_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of a size.

    Raises:
        ConfigError: It is not one or two whole numbers of pixels.
    """
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    is_valid = all(type(side) is int and 0 < side <= _MAX_SIDE for side in sides)
    if len(sides) not in (1, 2) or not is_valid:
        raise ConfigError(
            f'image_size is {size!r}, but must be a side, or height and width, each 1 to '
            f'{_MAX_SIDE} pixels.'
        )
    return sides[0], sides[-1]
