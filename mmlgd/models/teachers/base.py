"""Base class of the teachers: frozen encoders, always in eval mode."""

import hashlib
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlgd.errors import ConfigError, TeacherError

from .open_clip_source import cast_matmul_weights
from .spatial import SpatialEncoder
from .text_tower import TextTower

_HALF_DTYPES = {'auto': torch.float16, 'fp16': torch.float16, 'bf16': torch.bfloat16}
# Text is encoded in float32; entries of a fitted projection may cancel.
_FLOAT32_PARTS = ('text', 'projection')


class BaseTeacher(SpatialEncoder, nn.Module, metaclass=ABCMeta):
    """A frozen encoder of images, and of text if it has a text tower.

    A subclass builds its image modules, sets the attributes below and, if it has a text
    tower, ``self.text``, then calls :meth:`freeze`. It implements
    :meth:`image_features`.

    Args:
        precision (str): Precision of the image tower on a CUDA device: 'auto' and
            'fp16' for float16, 'bf16' for bfloat16, 'fp32' for float32. In half
            precision, the weights of convolutions and matrix products are cast once, at
            the first batch; norms and softmax stay in float32. Other devices always
            compute in float32. Defaults to 'auto'.

    Attributes:
        embed_dims (int): Size D of the embeddings.
        image_mean (list[float]): Mean of R, G and B, 0 to 255.
        image_std (list[float]): Standard deviation of R, G and B, 0 to 255.
        image_size (int): Side of the square input, in pixels.
        logit_scale (float | None): Logarithm of the learned scale of similarities of
            image and text; None if the model has not learned one.

    Raises:
        ConfigError: ``precision`` is unknown.
    """

    embed_dims: int
    image_mean: list[float]
    image_std: list[float]
    image_size: int
    # Not a buffer, so that fingerprints of the weights do not change.
    logit_scale: float | None = None

    def __init__(self, precision: str = 'auto') -> None:
        super().__init__()
        if precision not in ('fp32', *_HALF_DTYPES):
            raise ConfigError(
                f'Teacher precision {precision!r} is unknown; choose one of auto, '
                'fp16, bf16, fp32.'
            )
        self.precision = precision
        self.text: TextTower | None = None
        self._name = type(self).__name__
        self._identity: str | None = None
        self._text_identity: str | None = None
        self._weight_dtype = torch.float32

    def freeze(self) -> None:
        """Freeze all parameters and enter eval mode permanently.

        Raises:
            TeacherError: A weight is NaN or infinite.
        """
        for key, value in self.state_dict().items():
            if not value.isfinite().all():
                raise TeacherError(
                    f'Tensor {key} of the teacher {self._name} has '
                    f'{int((~value.isfinite()).sum())} of {value.numel()} values that are '
                    'NaN or infinite: its weight file is broken. Copy or download the '
                    'file again, or export it again in float32.'
                )
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> 'BaseTeacher':
        """Stay in eval mode for any ``mode``, so that BatchNorm statistics are fixed."""
        return super().train(False)

    def requires_grad_(self, requires_grad: bool = True) -> 'BaseTeacher':
        """Stay without gradient for any ``requires_grad``."""
        return super().requires_grad_(False)

    def init_weights(self) -> None:
        """Keep the weights: mmengine calls this on every module it initialises."""

    def __deepcopy__(self, memo: dict) -> 'BaseTeacher':
        """Return the teacher itself: it is constant, so an EMA need not copy it."""
        return self

    @property
    def device(self) -> torch.device:
        """Device of the parameters; the CPU if there are none."""
        first = next(self.parameters(), None)
        return torch.device('cpu') if first is None else first.device

    @property
    def has_image_tower(self) -> bool:
        """Whether :meth:`encode_image` is available."""
        return True

    @property
    def has_text_tower(self) -> bool:
        """Whether :meth:`encode_text` is currently available."""
        return self.text is not None

    @property
    def identity(self) -> str:
        """Name of the image tower and a fingerprint of its weights.

        The fingerprint does not depend on process, device or file format. Compare
        identities with :func:`~mmlgd.utils.identity.same_identity`, which ignores the
        name.
        """
        if self._identity is None:
            self._identity = f'{self._name}#{fingerprint(self._image_tensors())[:8]}'
        return self._identity

    @property
    def text_identity(self) -> str:
        """Name of the text tower and its fingerprint; '' if there was never one.

        It is kept after :meth:`release_text_tower`.
        """
        if self._text_identity is None:
            if self.text is None:
                return ''
            digest = fingerprint(self.text.state_dict().items())
            self._text_identity = f'{self.text.name}#{digest[:16]}'
        return self._text_identity

    def _image_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for key, value in self.state_dict().items():
            if not key.startswith('text.'):
                yield key, value

    def half_dtype(self, device_type: str) -> torch.dtype | None:
        """Half-precision dtype of the image tower on a device; None for float32."""
        return _HALF_DTYPES.get(self.precision) if device_type == 'cuda' else None

    def in_precision(self, device_type: str) -> torch.autocast:
        """Context for a forward pass in the image tower's precision on a device.

        Autocast alone would cast each weight in every step, since it caches only weights
        that require a gradient. Here the same casts are done once.
        """
        dtype = self.half_dtype(device_type)
        self._cast_weights(dtype or torch.float32)
        return torch.autocast(device_type, dtype=dtype, enabled=dtype is not None)

    def _cast_weights(self, dtype: torch.dtype) -> None:
        if dtype == self._weight_dtype:
            return
        # Fingerprints are computed from the float32 weights, on any device.
        self._remember_identity()
        for name, part in self.named_children():
            if name not in _FLOAT32_PARTS:
                cast_matmul_weights(part, dtype)
        self._weight_dtype = dtype

    def _remember_identity(self) -> None:
        self._identity = self.identity

    @abstractmethod
    def image_features(self, inputs: Tensor) -> Tensor:
        """Unnormalised features (B, D) of normalised images (B, 3, H, W)."""

    @torch.no_grad()
    def encode_features(self, inputs: Tensor) -> Tensor:
        """Compute unnormalised features in the teacher's own precision.

        The caller's autocast context has no effect: the CPU computes in float32 even
        under bfloat16 autocast.

        Args:
            inputs (Tensor): (B, 3, H, W) float, RGB, normalised with
                ``image_mean`` and ``image_std``.

        Returns:
            Tensor: (B, D) float32, without gradient.
        """
        with self.in_precision(inputs.device.type):
            return self.image_features(inputs.float()).float()

    def encode_image(self, inputs: Tensor) -> Tensor:
        """Encode images to unit rows (B, D): :meth:`encode_features`, normalised.

        Args:
            inputs (Tensor): See :meth:`encode_features`.
        """
        with torch.autocast(inputs.device.type, enabled=False):
            return F.normalize(self.encode_features(inputs), dim=-1)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Encode texts in float32.

        Args:
            texts (Sequence[str]): Any number N of texts.

        Returns:
            Tensor: (N, D) float32, unit rows, without gradient.

        Raises:
            TeacherError: The teacher has no text tower, or it was released.
            ConfigError: ``texts`` is a single string, or empty.
        """
        if self.text is None:
            raise TeacherError(
                f'{self._name} has no text tower (any more), so it cannot encode '
                'text. Build the textual bank before release_text_tower(), load a '
                'bank file (tools/build_text_bank.py writes one), or, for an '
                'MMPretrainTeacher or a TIMMTeacher, set text_encoder.'
            )
        return self.text(texts)

    def release_text_tower(self) -> None:
        """Free the memory of the text tower, after the textual bank is built."""
        # The fingerprint must be computed before the weights are freed.
        self._text_identity = self.text_identity
        self.text = None


def fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 over names, shapes, types and values of tensors.

    Args:
        tensors (Iterable[tuple[str, Tensor]]): Names and tensors, on any device
            and in any memory format. Floating-point tensors are converted to float32,
            so that weights in half precision have the same fingerprint.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        if tensor.is_floating_point():
            tensor = tensor.float()
        digest.update(f'{name}{tuple(tensor.shape)}{tensor.dtype}'.encode())
        # Flattened in logical order, so that channels_last has the same hash.
        flat = tensor.detach().cpu().reshape(-1).contiguous()
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()
