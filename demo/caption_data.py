"""Your own images with captions, to train a teacher."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from mmlgd.datasets.category_names import load_templates
from mmlgd.datasets.image_folder import list_images
from mmlgd.errors import DataError


@dataclass(frozen=True)
class CaptionData:
    """Images, and the texts that describe each of them.

    Attributes:
        paths: Files of the N images.
        texts: T distinct texts.
        captions: For each image, which of the texts are its captions, at least one.
        keys: (T,) int64. Texts with the same key describe the same images: those of one
            class have one key, and each distinct caption has its own.
    """

    paths: list[Path]
    texts: list[str]
    captions: list[list[int]]
    keys: torch.Tensor

    def draw(self, images: torch.Tensor) -> torch.Tensor:
        """A random caption of each image: indices (B,) into ``texts``."""
        drawn = torch.rand(len(images)).tolist()
        found = [self.captions[image] for image in images.tolist()]
        return torch.tensor([own[int(u * len(own))] for u, own in zip(drawn, found)])

    def read_images(self, size: int) -> torch.Tensor:
        """All images, scaled to squares: (N, 3, size, size) uint8, RGB.

        Raises:
            DataError: An image cannot be read.
        """
        images = np.empty((len(self.paths), size, size, 3), dtype=np.uint8)
        for place, path in enumerate(self.paths):
            try:
                with Image.open(path) as image:
                    image = ImageOps.exif_transpose(image).convert('RGB')
                    images[place] = image.resize(
                        (size, size), Image.Resampling.BILINEAR
                    )
            except (OSError, ValueError, SyntaxError) as error:
                raise DataError(f'the image {path} cannot be read: {error}') from error
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def read_captions(file: Path, folder: Path | None = None) -> CaptionData:
    """Read a list of images and captions.

    Args:
        file: CSV with the columns ``path`` and ``caption``, in which an image may have
            several rows; or a JSON object that maps each path to a caption or a list of
            captions.
        folder: Folder that paths are relative to. Defaults to the folder of the file.

    Raises:
        DataError: The file has neither format, or an image is missing or has no
            caption.
    """
    folder = folder or file.parent
    try:
        text = file.read_text('utf-8-sig')
        pairs = _read_json(text) if file.suffix == '.json' else _read_csv(text)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f'{file} cannot be read: {error} Give a CSV with the columns path and '
            'caption, or a JSON object of path to caption or list of captions.'
        ) from error
    if not pairs:
        raise DataError(f'{file} lists no image.')
    texts, by_image = {}, {}
    for path, caption in pairs:
        if not caption.strip():
            raise DataError(f'{file}: the image {path!r} has an empty caption.')
        place = texts.setdefault(caption.strip(), len(texts))
        by_image.setdefault(path, []).append(place)
    paths = [folder / path for path in by_image]
    if absent := [path for path in paths if not path.is_file()]:
        raise DataError(
            f'{file} names {len(absent)} of {len(paths)} images that do not exist, e.g. '
            f'{absent[0]}; set the folder that paths are relative to with --images.'
        )
    keys = torch.arange(len(texts))
    return CaptionData(paths, list(texts), list(by_image.values()), keys)


def _read_csv(text: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(text, newline=''), strict=True)
    if not {'path', 'caption'} <= {*(rows.fieldnames or ())}:
        raise ValueError(f'its first line is {rows.fieldnames}.')
    return [(row['path'] or '', row['caption'] or '') for row in rows]


def _read_json(text: str) -> list[tuple[str, str]]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError('it is not a JSON object.')
    pairs = []
    for path, captions in found.items():
        captions = [captions] if isinstance(captions, str) else captions
        if not (isinstance(captions, list) and captions):
            raise ValueError(f'the image {path!r} has no caption.')
        if not all(isinstance(caption, str) for caption in captions):
            raise ValueError(f'a caption of {path!r} is not a text.')
        pairs += [(path, caption) for caption in captions]
    return pairs


def read_classes(
    folder: Path, templates: str | Path | Sequence[str] = 'imagenet'
) -> CaptionData:
    """Caption the images of class folders with the class name in every template.

    Args:
        folder: Has one folder per class, of any size. Underscores in the class names
            are replaced by spaces.
        templates: As for :func:`~mmlgd.datasets.category_names.load_templates`.

    Raises:
        DataError: There are fewer than two class folders, or one has no image.
    """
    if not folder.is_dir():
        raise DataError(f'the image folder {folder} does not exist.')
    classes = sorted(
        each for each in folder.iterdir() if each.is_dir() and each.name[0] != '.'
    )
    if len(classes) < 2:
        raise DataError(
            f'{folder} has {len(classes)} class folder(s), but a teacher needs at '
            'least two; or give captions with --captions.'
        )
    templates = load_templates(templates)
    paths, texts, captions, keys = [], [], [], []
    for key, each in enumerate(classes):
        own = range(len(texts), len(texts) + len(templates))
        texts += [text.format(each.name.replace('_', ' ')) for text in templates]
        keys += [key] * len(templates)
        found = [Path(path) for path in list_images(str(each))]
        paths += found
        captions += [[*own]] * len(found)
    return CaptionData(paths, texts, captions, torch.tensor(keys))
