"""What every teacher is: a frozen encoder of unit rows, always in eval mode."""

import hashlib
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlgd.errors import ConfigError, TeacherError

from .open_clip_source import cast_products
from .spatial import SpatialEncoder
from .text_tower import TextTower

_HALF_DTYPES = {'auto': torch.float16, 'fp16': torch.float16, 'bf16': torch.bfloat16}
# Text is encoded in float32; a fitted projection may have entries that cancel.
_FLOAT32_PARTS = ('text', 'projection')


class BaseTeacher(SpatialEncoder, nn.Module, metaclass=ABCMeta):
    """A frozen teacher of images, and of text where it has a text tower.

    A subclass builds its image modules, assigns the attributes below and, where
    it has one, ``self.text``, then calls :meth:`freeze`; it computes features in
    :meth:`image_features`.

    Args:
        precision (str): How the image tower runs on a CUDA device: 'auto' and
            'fp16' in float16, 'bf16' in bfloat16, 'fp32' in float32. In the half
            precisions the weights of convolutions and products are cast once, at the
            first batch, and norms and softmax stay in float32. Any other device
            computes in float32 whatever is asked. Defaults to 'auto'.

    Attributes:
        embed_dims (int): Size D of the embeddings.
        image_mean (list[float]): Mean of R, G and B, 0 to 255.
        image_std (list[float]): Standard deviation of R, G and B, 0 to 255.
        image_size (int): Side of the square input, in pixels.
        logit_scale (float | None): Logarithm of the scale by which a CLIP has learned to
            multiply similarities of image and text; None where none was learned.

    Raises:
        ConfigError: ``precision`` is none of the four.
    """

    embed_dims: int
    image_mean: list[float]
    image_std: list[float]
    image_size: int
    # A number and not a buffer: identities are of weights, and stay as they were.
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
        """Takes all parameters out of training and enters eval mode for good.

        Raises:
            TeacherError: A weight is NaN or infinite.
        """
        for key, value in self.state_dict().items():
            if not value.isfinite().all():
                raise TeacherError(
                    f'Tensor {key} of the teacher {self._name} has '
                    f'{int((~value.isfinite()).sum())} of {value.numel()} values that '
                    'are NaN or infinite: its weight file is broken. Copy or download '
                    'the file again, or export it again in float32.'
                )
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> 'BaseTeacher':
        """Stays in eval mode, whatever ``mode`` says, so that no BatchNorm drifts."""
        return super().train(False)

    def requires_grad_(self, requires_grad: bool = True) -> 'BaseTeacher':
        """Stays without gradient, whatever ``requires_grad`` says."""
        return super().requires_grad_(False)

    def init_weights(self) -> None:
        """Keeps the weights: mmengine calls this on every module it initialises."""

    def __deepcopy__(self, memo: dict) -> 'BaseTeacher':
        """Returns the teacher itself: it is constant, and an EMA need not copy it."""
        return self

    @property
    def device(self) -> torch.device:
        """Where the parameters are; the CPU where there are none."""
        first = next(self.parameters(), None)
        return torch.device('cpu') if first is None else first.device

    @property
    def has_image_tower(self) -> bool:
        """Whether :meth:`encode_image` works."""
        return True

    @property
    def has_text_tower(self) -> bool:
        """Whether :meth:`encode_text` works at the moment."""
        return self.text is not None

    @property
    def identity(self) -> str:
        """Name of the image side and a fingerprint of its weights.

        The same fingerprint for the same weights in any process, on any device and
        from any kind of file. Compare identities with
        :func:`~mmlgd.utils.identity.same_identity`, for which the name does not count.
        """
        if self._identity is None:
            self._identity = f'{self._name}#{fingerprint(self._image_tensors())[:8]}'
        return self._identity

    @property
    def text_identity(self) -> str:
        """Name of the text side and its fingerprint; '' where there was never one.

        It stays after :meth:`release_text_tower`.
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
        """What the image tower computes in on a device; None for float32."""
        return _HALF_DTYPES.get(self.precision) if device_type == 'cuda' else None

    def in_precision(self, device_type: str) -> torch.autocast:
        """A context for a forward pass in the image tower's precision on a device.

        Autocast alone would cast each weight again in every step: its cache holds
        only weights that require a gradient. The casts here are the same, done once.
        """
        dtype = self.half_dtype(device_type)
        self._cast_weights(dtype or torch.float32)
        return torch.autocast(device_type, dtype=dtype, enabled=dtype is not None)

    def _cast_weights(self, dtype: torch.dtype) -> None:
        if dtype == self._weight_dtype:
            return
        # The fingerprints are those of the float32 weights, on any device.
        self._remember_identity()
        for name, part in self.named_children():
            if name not in _FLOAT32_PARTS:
                cast_products(part, dtype)
        self._weight_dtype = dtype

    def _remember_identity(self) -> None:
        self._identity = self.identity

    @abstractmethod
    def image_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) of normalised images (B, 3, H, W), not yet unit rows."""

    @torch.no_grad()
    def encode_features(self, inputs: Tensor) -> Tensor:
        """Features before normalisation, under the teacher's own precision.

        The caller's autocast context does not reach in: the CPU computes in
        float32 even under bfloat16 autocast.

        Args:
            inputs (Tensor): (B, 3, H, W) float, RGB, normalised with
                ``image_mean`` and ``image_std``.

        Returns:
            Tensor: (B, D) float32, without gradient.
        """
        with self.in_precision(inputs.device.type):
            return self.image_features(inputs.float()).float()

    def encode_image(self, inputs: Tensor) -> Tensor:
        """Unit rows (B, D) of images: what :meth:`encode_features` gives, normalised.

        Args:
            inputs (Tensor): As of :meth:`encode_features`.
        """
        with torch.autocast(inputs.device.type, enabled=False):
            return F.normalize(self.encode_features(inputs), dim=-1)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Encodes texts in float32.

        Args:
            texts (Sequence[str]): N texts, in any number.

        Returns:
            Tensor: (N, D) float32, unit rows, without gradient.

        Raises:
            TeacherError: The text tower was released, or never was.
            ConfigError: ``texts`` is one string, or empty.
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
        """Frees the text tower's memory, once the textual bank is built."""
        # The fingerprint must be taken while the weights are there.
        self._text_identity = self.text_identity
        self.text = None


def fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 over names, shapes, types and values of tensors.

    Args:
        tensors (Iterable[tuple[str, Tensor]]): Names and tensors, on any device
            and in any memory format. Floating-point ones count as float32, so that
            weights kept in half precision are the same after conversion.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        if tensor.is_floating_point():
            tensor = tensor.float()
        digest.update(f'{name}{tuple(tensor.shape)}{tensor.dtype}'.encode())
        # Flattened in logical order, so that channels_last hashes alike.
        flat = tensor.detach().cpu().reshape(-1).contiguous()
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()
