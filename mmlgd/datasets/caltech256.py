"""Images of Caltech-256 by class.

Class 257, "clutter", is not a category and is omitted. Other files next to the numbered
images (the published archive has a few, in the folders of dog and spider) are not
counted.
"""

import os
import re
from pathlib import Path

from mmlgd.errors import DataError

IMAGE_FOLDER = '256_ObjectCategories'
NUM_CLASSES = 256
NUM_IMAGES = 29_780
_FOLDER = re.compile(r'\d{3}\..+')
_IMAGE = re.compile(r'\d{3}_\d{4}\.jpg')


def caltech256_images(
    image_dir: str | Path, num_images: int | None = NUM_IMAGES
) -> list[list[str]]:
    """List the images of the 256 categories.

    Args:
        image_dir: The folder ``256_ObjectCategories``.
        num_images: Expected number; None accepts any. Defaults to that of the published
            archive.

    Returns:
        list[list[str]]: 'folder/name' of the sorted images, one list per class, in the
        order of the folder numbers and of the names in ``caltech256.txt``.

    Raises:
        DataError: A class is missing or duplicated, or the number of images is wrong.
    """
    image_dir = Path(image_dir)
    classes = [
        [f'{folder}/{n}' for n in sorted(os.listdir(image_dir / folder)) if is_image(n)]
        for folder in _class_folders(image_dir)
    ]
    found = sum(map(len, classes))
    if num_images is not None and found != num_images:
        raise DataError(
            f'{image_dir} has {found} images of the 256 categories, but the published '
            f'archive has {num_images}: unpack it again.'
        )
    return classes


def _class_folders(image_dir: Path) -> list[str]:
    """Names of the 256 folders, in the order of their numbers."""
    names = sorted(os.listdir(image_dir)) if image_dir.is_dir() else []
    numbered = [name for name in names if _FOLDER.fullmatch(name)]
    folders = [name for name in numbered if int(name[:3]) <= NUM_CLASSES]
    numbers = [int(name[:3]) for name in folders]
    if numbers != [*range(1, NUM_CLASSES + 1)]:
        raise DataError(
            f"{image_dir} has {len(folders)} folders of Caltech-256's 256 categories "
            '(001.ak47 to 256.toad): unpack 256_ObjectCategories.tar there.'
        )
    return folders


def is_image(name: str) -> bool:
    """Whether a file name is that of an image of the dataset."""
    return _IMAGE.fullmatch(name) is not None
