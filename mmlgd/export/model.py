"""Models to export, and their input."""

import copy
import json
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.preprocessing import Preprocessing
from mmlgd.utils.printable import describe_error

from .parity import compare

INPUT_TYPES = ('uint8', 'float32')
_MAX_SIDE = 4096


class ExportModel:
    """A backbone or a classifier of a checkpoint, checked with one image.

    Args:
        module (nn.Module): Returns a tensor, or a tuple of tensors, for normalised images
            (B, 3, H, W).
        record (CheckpointMeta): Metadata of the checkpoint.
        config (dict, optional): Config of a backbone. Defaults to None: the module is
            not only a backbone.
        image_size (int | Sequence[int], optional): Side, or height and width, in
            pixels. Defaults to None: the checkpoint's (``student_size`` before
            ``image_size``), else 224.
        fold_preprocessing (str, optional): 'uint8' or 'float32': the model accepts images
            from 0 to 255 of this dtype and normalises them. Defaults to None: it accepts
            normalised float32 images.
        output (str, optional): Name of the only output. Defaults to None: the outputs
            are ``feature_map_0``, ...
        metadata (dict, optional): Further metadata for formats that can store it.

    Attributes:
        config (dict): Config of a backbone; empty for other modules.
        module (nn.Module): In eval mode, including the normalisation if it is folded in.
        output_names (list[str]): Names of the outputs.
        metadata (dict[str, str]): Metadata for users of the file.
        calibration (torch.Tensor | None): Images (N, 3, H, W) in the form of the input,
            for quantisation.

    Raises:
        CheckpointError: The checkpoint has no mean and std to fold in.
        ConfigError: Unknown input type, or the module fails on images of this size.
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
                    f'{record.path} does not contain the mean and std of its training, '
                    'so they cannot be folded in; export without fold_preprocessing.'
                )
            module = nn.Sequential(_Normalise(record.preprocessing), module)
        # eval() of some backbones returns None, so the call is not chained.
        module.eval()
        self.module = module
        number = self._try_one_image()
        self.output_names = [output or f'feature_map_{i}' for i in range(number)]
        self.is_classifier = output in ('scores', 'logits')
        self.is_probability = output == 'scores'
        self.metadata = {**(metadata or {}), **self._texts()}
        self.calibration: torch.Tensor | None = None

    @torch.no_grad()
    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs of the model for images (B, 3, H, W)."""
        return as_tuple(self.module(images))

    @torch.no_grad()
    def rounding_error(self, batches: list[torch.Tensor]) -> float:
        """Largest difference of the outputs in float32 from those in float64.

        Relative as in :func:`~mmlgd.export.parity.compare`; at most 0.001, and 0 for a model
        that cannot be computed in float64.
        """
        exact = copy.deepcopy(self.module).double()

        def run(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return as_tuple(
                exact(images.double() if self.input_type is None else images)
            )

        try:
            found = compare(run, self.outputs, batches, self.is_probability)
        except Exception:  # depends on the backbone
            return 0.0
        return min(found, 1e-3)

    def images(self, batch: int) -> torch.Tensor:
        """Noise (B, 3, H, W) of the input's dtype, the same in each call."""
        generator = torch.Generator().manual_seed(0)
        shape = (batch, 3, *self.image_size)
        if self.input_type is None:
            return torch.randn(shape, generator=generator)
        images = torch.randint(0, 256, shape, generator=generator)
        return images.to(getattr(torch, self.input_type))

    def split_calibration(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Calibration images that set the ranges, and every fifth for comparisons.

        Raises:
            ConfigError: There are fewer than two images.
        """
        images = self.calibration
        if images is None or len(images) < 2:
            raise ConfigError(
                'int8 needs calibration images: pass calibration, a folder or list of a '
                'few hundred images like those of the application (labels are not used).'
            )
        held_out = torch.arange(len(images)) % 5 == 1
        return images[~held_out], images[held_out]

    def _try_one_image(self) -> int:
        """Run the model on one image and return the number of outputs."""
        height, width = self.image_size
        try:
            outputs = self.outputs(self.images(1))
        except Exception as error:  # depends on the backbone
            raise ConfigError(
                f'{self.name} does not accept images of {height}x{width} pixels '
                f'({describe_error(error)}); pass the image_size it was built '
                'for.'
            ) from error
        for each in outputs:
            if not isinstance(each, torch.Tensor) or not each.numel():
                raise ConfigError(
                    f'{self.name} returns an output for images of {height}x{width} pixels '
                    'that is empty or not a tensor, which cannot be exported; use larger '
                    'images, or the out_type that returns feature maps.'
                )
        return len(outputs)

    def _texts(self) -> dict[str, str]:
        folded, preprocessing = self.input_type, self.record.preprocessing
        texts = dict(
            mmlgd_version=self.record.mmlgd_version or 'unknown',
            input=f'{folded} images from 0 to 255' if folded else 'normalised images',
        )
        if preprocessing is not None:
            texts['image_mean'] = json.dumps(preprocessing.mean)
            texts['image_std'] = json.dumps(preprocessing.std)
            texts['channel_order'] = 'RGB' if preprocessing.to_rgb else 'BGR'
        return texts


class Embedder(nn.Module):
    """Backbone and projector.

    Args:
        student (nn.Module): Has ``embed``.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Unit rows (B, D) of normalised images (B, 3, H, W)."""
        return self.student.embed(images)


class Classifier(nn.Module):
    """Backbone, projector and a linear layer without bias whose rows are the names.

    Args:
        student (nn.Module): Has ``extract_feat`` and ``projector``.
        text_embeddings (torch.Tensor): (C, D) unit rows.
        temperature (float): Temperature of the student's softmax.
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
    """Normalises images (B, 3, H, W) from 0 to 255."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        for name in ('mean', 'std'):
            values = torch.tensor(getattr(preprocessing, name)).view(1, -1, 1, 1)
            self.register_buffer(name, values)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.to(self.mean.dtype) - self.mean) / self.std


def as_tuple(outputs: object) -> tuple:
    """Outputs of a model as a tuple; a single output becomes a tuple of one."""
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def check_input_type(name: str | None) -> str | None:
    """Check the name of an input type.

    Raises:
        ConfigError: It is unknown.
    """
    if name not in (None, *INPUT_TYPES):
        raise ConfigError(
            f'fold_preprocessing is {name!r}, but must be one of {INPUT_TYPES}, or None.'
        )
    return name


def check_image_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of an image size, in pixels.

    Raises:
        ConfigError: It is not one or two positive integers.
    """
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    is_valid = all(type(side) is int and 0 < side <= _MAX_SIDE for side in sides)
    if len(sides) not in (1, 2) or not is_valid:
        raise ConfigError(
            f'image_size is {size!r}, but must be a side, or height and width, from 1 to '
            f'{_MAX_SIDE} pixels.'
        )
    return sides[0], sides[-1]
