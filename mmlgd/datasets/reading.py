"""Runs a pipeline and distinguishes broken images from faulty transforms."""

import struct
from collections.abc import Callable, Iterable

import cv2

from mmlgd.errors import ConfigError, ImageReadError, MMLGDError

#: Errors by which transforms of other libraries report a file that does not load.
#: Pillow raises a SyntaxError for some; mmcv fails an assertion.
FOREIGN_READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    AssertionError,
    AttributeError,
    struct.error,
    cv2.error,
)


def run_transforms(
    transforms: Iterable[Callable], data: dict, path: str
) -> dict | None:
    """Run the transforms of a pipeline, the first of which load the image.

    A transform with a true attribute ``separates_reading`` raises ImageReadError where
    an image cannot be read, and other errors for other reasons. From other transforms,
    :data:`FOREIGN_READ_ERRORS` count as reading while ``data`` has no ``img``.

    Args:
        transforms: Transforms of a pipeline.
        data: Input of the first transform.
        path: Path of the image, for messages.

    Returns:
        dict or None: Result of the last transform; None if a transform after the
        loading rejects the image.

    Raises:
        ImageReadError: The image cannot be read.
        ConfigError: A transform fails for another reason.
    """
    loaded = False
    for number, transform in enumerate(transforms):
        try:
            result = transform(data)
        except (MemoryError, MMLGDError):
            raise
        except Exception as error:
            reason = f'{type(error).__name__}: {error}'
            loaded = loaded or data.get('img') is not None
            if not loaded and _may_be_reading(transform, error):
                raise ImageReadError(f'{path}: {reason}') from error
            raise ConfigError(
                f'Transform {number} of the pipeline, {transform!r}, fails on {path} '
                f'({reason}). The file itself is readable: check the options and the '
                'position of the transform.'
            ) from error
        if result is None:
            if not loaded:
                raise ImageReadError(f'{path}: the loading transform returned None')
            return None
        data = result
        loaded = loaded or data.get('img') is not None
    return data


def _may_be_reading(transform: Callable, error: Exception) -> bool:
    if getattr(transform, 'separates_reading', False):
        return False
    return isinstance(error, FOREIGN_READ_ERRORS)
