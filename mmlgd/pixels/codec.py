"""Encoding of views as JPEG or WebP."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image

from mmlgd.datasets.transforms.decoding import jpeg_size
from mmlgd.errors import ConfigError
from mmlgd.models.resizing import resize_images

#: Codecs, with the extension of their files.
CODECS = dict(jpeg='jpg', webp='webp')
#: Pillow's options. JPEG keeps the resolution of the colours, which WebP always halves.
#: Pillow cannot optimise the tables of noisy JPEGs.
_OPTIONS = dict(jpeg=dict(subsampling=0), webp=dict(method=4))


@dataclass(frozen=True)
class PixelCodec:
    """How views are encoded.

    Pillow encodes. OpenCV decodes, which is the fastest of OpenCV, Pillow and torchvision
    for WebP, and as fast as torchvision for JPEG.

    Attributes:
        codec: 'jpeg' or 'webp'.
        quality: Of the encoder, 1 to 100.
        height, width: Of a stored view, in pixels.
    """

    codec: str
    quality: int
    height: int
    width: int

    def __post_init__(self) -> None:
        # Types first: the values may come from a file.
        sides = self.height, self.width
        if self.codec not in (*CODECS,):
            raise ConfigError(
                f'Pixels are stored as {" or ".join(CODECS)}, not {self.codec!r}.'
            )
        if type(self.quality) is not int or not 1 <= self.quality <= 100:
            raise ConfigError(
                f'The quality of stored pixels must be an integer from 1 to 100, but is '
                f'{self.quality!r}.'
            )
        if not all(type(side) is int and 1 <= side <= 16383 for side in sides):
            raise ConfigError(
                f'Stored pixels have sides of 1 to 16383 pixels, not {sides}.'
            )

    @property
    def extension(self) -> str:
        """Of the file names of encoded views."""
        return CODECS[self.codec]

    def round_trip(self, view: torch.Tensor) -> tuple[bytes, torch.Tensor]:
        """Encode a view, and return what a teacher sees of it.

        Args:
            view: (3, h, w), uint8 BGR.

        Returns:
            tuple: The encoded view, and its decoded pixels, resized to (3, h, w) if they
            are stored smaller.
        """
        encoded = self.encode(view)
        return encoded, _resize(self.decode(encoded), view.shape[1:])

    def encode(self, view: torch.Tensor) -> bytes:
        """Encode a view (3, h, w), uint8 BGR, resized to the stored size if necessary."""
        view = _resize(view, (self.height, self.width))
        rgb = np.ascontiguousarray(view.numpy()[::-1].transpose(1, 2, 0))
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(
            buffer, self.codec, quality=self.quality, **_OPTIONS[self.codec]
        )
        return buffer.getvalue()

    def decode(self, data: bytes) -> torch.Tensor:
        """Decode a view (3, height, width), uint8 BGR.

        Raises:
            ValueError: It is not an image of this codec and size. Nothing larger is
                decoded.
        """
        size = jpeg_size(data) if self.codec == 'jpeg' else _webp_size(data)
        if size != (self.height, self.width):
            raise ValueError(
                f'it is not a {self.codec} image of {self.width}x{self.height} pixels'
            )
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:
            raise ValueError(f'OpenCV cannot decode it: {error}') from error
        if image is None or image.shape[:2] != size:
            raise ValueError('OpenCV cannot decode it')
        # Faster than a transposed copy by numpy.
        planes = np.empty((3, *size), np.uint8)
        cv2.split(image, [*planes])
        return torch.from_numpy(planes)

    @classmethod
    def is_described(cls, value: object) -> bool:
        """Whether a value from a file has the attributes of a codec."""
        try:
            return isinstance(value, dict) and bool(cls(**value))
        except (TypeError, ConfigError):
            return False


def _resize(view: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """A view (3, H, W) in another size, by the filter that models use for squares."""
    height, width = size
    if tuple(view.shape[1:]) == (height, width):
        return view
    if height != width or view.shape[1] != view.shape[2]:
        raise ConfigError(
            f'Views of {tuple(view.shape[1:])} pixels cannot be stored as {height}x{width}: '
            'only squares are resized. Let the pipeline give all views one size.'
        )
    resized = resize_images(view[None].float(), height)[0]
    return resized.round().clamp(0, 255).to(torch.uint8)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """(H, W) of a plain lossy WebP, from its header; None for anything else."""
    if len(data) < 30 or data[:4] != b'RIFF' or data[8:16] != b'WEBPVP8 ':
        return None
    width, height = struct.unpack_from('<HH', data, 26)
    return height & 0x3FFF, width & 0x3FFF
