"""Which images a data set has, told the same way wherever its folder lies."""

from collections.abc import Iterator, Sized
from typing import NamedTuple

import numpy as np

from mmlgd.errors import ConfigError

from .dataset_wrapper import find_wrapper


class ListedImage(NamedTuple):
    """One image of a data set, before its pipeline.

    Attributes:
        name (str): Path below the data set's folder; '' for one held in memory.
        source (str | np.ndarray): Path of the file, or the pixels.
    """

    name: str
    source: str | np.ndarray


def list_image(dataset: Sized, index: int) -> ListedImage:
    """Image ``index`` of a data set.

    Args:
        dataset (Sized): With ``get_data_info``, as mmengine's have it.
        index (int): In [0, N).

    Raises:
        ConfigError: The data set tells neither path nor pixels.
    """
    info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
    if info.get('img_path') is not None:
        path = str(info['img_path'])
        return ListedImage(path.removeprefix(_folder(dataset)).lstrip('/'), path)
    if isinstance(info.get('img'), np.ndarray):
        return ListedImage('', np.ascontiguousarray(info['img']))
    raise ConfigError(
        f'{type(dataset).__name__} tells neither img_path nor img of image {index}, so '
        'what is made of its images cannot be tied to them; use UnlabeledImages or '
        "another data set of mmengine's kind."
    )


def list_images_of(dataset: Sized) -> Iterator[ListedImage]:
    """All images of a data set in their order; see :func:`list_image`."""
    return (list_image(dataset, index) for index in range(len(dataset)))


def _folder(dataset: Sized) -> str:
    images = find_wrapper(dataset, 'data_prefix')
    return str(getattr(images, 'data_prefix', {}).get('img_path', ''))
