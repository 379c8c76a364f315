"""Running a pipeline so that broken images and faulty transforms are told apart."""

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
    """Run transforms, of which the first ones load the image.

    A transform with a true attribute ``separates_reading`` raises ImageReadError where
    an image cannot be read, and other errors for other reasons. From other transforms,
    :data:`FOREIGN_READ_ERRORS` count as reading while ``data`` has no ``img``.

    Args:
        transforms: Of a pipeline.
        data: What the first one takes.
        path: Of the image, for messages.

    Returns:
        dict or None: What the last one makes of it; None where a transform behind the
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
                f'({reason}). This is not the fault of the file: look at the options of '
                'the transform and at its position.'
            ) from error
        if result is None:
            if not loaded:
                raise ImageReadError(f'{path}: the loading transform gave nothing')
            return None
        data = result
        loaded = loaded or data.get('img') is not None
    return data


def _may_be_reading(transform: Callable, error: Exception) -> bool:
    if getattr(transform, 'separates_reading', False):
        return False
    return isinstance(error, FOREIGN_READ_ERRORS)
