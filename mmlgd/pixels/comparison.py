"""Whether views that are drawn again have the pixels that a teacher saw."""

import zlib
from importlib import import_module

import torch

from mmlgd.errors import ConfigError, DataError

#: Libraries whose versions may change pixels.
_LIBRARIES = ('mmcv', 'mmpretrain', 'cv2', 'PIL', 'numpy', 'torch')


def pixel_checksum(inputs: torch.Tensor) -> int:
    """CRC-32 of a view (3, H, W), uint8, which need not be contiguous."""
    return zlib.crc32(inputs.contiguous().numpy())


def pixel_libraries() -> dict[str, str]:
    """Versions of the libraries that draw views, by name."""
    return {name: import_module(name).__version__ for name in _LIBRARIES}


def other_libraries(versions: dict) -> str:
    """Which libraries have other versions here, for messages; '' if none has.

    Args:
        versions: What :func:`pixel_libraries` returned where the views were drawn.
    """
    found = [
        f'{name} {versions.get(name)} (here {version})'
        for name, version in pixel_libraries().items()
        if versions.get(name) != version
    ]
    return f'they were drawn with {", ".join(found)}' if found else ''


def check_is_drawn(pixels: dict | None, store: str) -> None:
    """Check that the views of a store are drawn from the images.

    Args:
        pixels: Of the store's manifest.
        store: Folder of the store.

    Raises:
        ConfigError: The store has the pixels themselves.
    """
    if pixels is not None:
        raise ConfigError(
            f'The store {store} has the pixels of its views, and its embeddings are of '
            "these: set train_dataloader.dataset.type to 'StoredPixels'."
        )


def changed_pixels(view: str, store: str, versions: dict) -> DataError:
    """An error about a view whose pixels are not those of the store, with the cause.

    Args:
        view: The view, for the message.
        store: Folder of the store.
        versions: See :func:`other_libraries`.
    """
    cause = other_libraries(versions) or (
        'the file, or what its decoder or a transform does, changed'
    )
    return DataError(
        f'{view} does not have the pixels that the teacher of the store {store} saw: '
        f'{cause}. Look with `python tools/build_stored_views.py CONFIG --verify --out '
        f'{store}`, and build the store again if it says so.'
    )
