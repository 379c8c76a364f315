"""Scenes on disk, in the formats of COCO and ADE20K.

Layout::

    OUT/
      scenes.json                        settings, counts, classes; written last
      {train,val}/images/000000.png      scenes
      annotations/{train,val}.json       COCO: boxes and run-length masks
      annotations/{train,val}/000000.png ADE20K: label maps
"""

import json
import tempfile
import zlib
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from demo.fashion_mnist import prepare_demo_data, read_split
from demo.prepared import is_prepared
from mmlgd.errors import DataError
from mmlgd.utils.atomic import replace_folder
from mmlgd.utils.rng import mix_seed

from .compose import MAX_ITEMS, Scene, compose_scene
from .formats import ITEM_CLASSES, SCENE_CLASSES, coco_annotation, label_map
from .settings import SceneSettings

# Scenes in an older format are written again.
_FORMAT = 1
_SOURCE_SPLITS = {'train': 'train', 'val': 'test'}
_DEFAULT = SceneSettings()


def prepare_fashion_scenes(
    out_dir: str | Path,
    settings: SceneSettings = _DEFAULT,
    source_dir: str | Path | None = None,
) -> Path:
    """Write the scenes, unless they exist with the same settings.

    They are written next to ``out_dir`` and renamed when complete. Scenes with other
    settings are replaced.

    Args:
        out_dir: Folder to create.
        settings: Counts, size and seed.
        source_dir: Folder with the unpacked idx files of Fashion-MNIST. Defaults to the
            images in the repository.

    Returns:
        Path: ``out_dir``.

    Raises:
        DataError: The source is missing or damaged, or ``out_dir`` contains anything
            but scenes.
        DependencyError: pycocotools is not installed.
    """
    out_dir = Path(out_dir)
    source = _read_source(source_dir)
    summary = dict(
        format=_FORMAT,
        **asdict(settings),
        source_crc32={split: zlib.crc32(source[split][0]) for split in source},
        classes=list(SCENE_CLASSES),
    )
    if is_prepared(out_dir, 'scenes.json', summary, 'scenes'):
        return out_dir
    with replace_folder(out_dir) as partial:
        _write_splits(partial, settings, source)
        _write_json(partial / 'scenes.json', summary)
    return out_dir


def _read_source(source_dir: str | Path | None) -> dict[str, tuple]:
    """Images and labels of each split of the scenes."""
    if source_dir is None:
        with tempfile.TemporaryDirectory() as folder:
            return _read_source(prepare_demo_data(folder))
    source = {}
    for split, source_split in _SOURCE_SPLITS.items():
        source[split] = read_split(source_dir, source_split)
        if len(source[split][0]) < MAX_ITEMS:
            raise DataError(
                f'{source_dir}: the split {source_split!r} holds '
                f'{len(source[split][0])} items, but a scene takes {MAX_ITEMS}.'
            )
    return source


def _write_splits(
    out_dir: Path, settings: SceneSettings, source: dict[str, tuple]
) -> None:
    for split, count in (('train', settings.num_train), ('val', settings.num_val)):
        _write_split(out_dir, split, count, settings, *source[split])


def _write_split(
    out_dir: Path,
    split: str,
    count: int,
    settings: SceneSettings,
    images: np.ndarray,
    labels: np.ndarray,
) -> None:
    image_dir = out_dir / split / 'images'
    label_dir = out_dir / 'annotations' / split
    for folder in (image_dir, label_dir):
        folder.mkdir(parents=True)
    coco = dict(
        info=dict(description=f'Fashion-MNIST scenes, {split}', **asdict(settings)),
        images=[],
        annotations=[],
        categories=[dict(id=i, name=name) for i, name in enumerate(ITEM_CLASSES, 1)],
    )
    for number in range(count):
        scene = _scene(split, number, settings, images, labels)
        name = f'{number:06d}.png'
        cv2.imwrite(str(image_dir / name), scene.image)
        cv2.imwrite(str(label_dir / name), label_map(scene))
        coco['images'].append(
            dict(id=number, file_name=name, height=settings.size, width=settings.size)
        )
        for instance in scene.instances:
            annotation = coco_annotation(instance)
            annotation.update(id=len(coco['annotations']) + 1, image_id=number)
            coco['annotations'].append(annotation)
    _write_json(out_dir / 'annotations' / f'{split}.json', coco)


def _scene(
    split: str,
    number: int,
    settings: SceneSettings,
    images: np.ndarray,
    labels: np.ndarray,
) -> Scene:
    """Scene ``number`` of a split. An item is reused only after all items were used."""
    part = list(_SOURCE_SPLITS).index(split)
    order = np.random.default_rng(mix_seed(settings.seed, part))
    deck = order.permutation(len(images))
    places = np.arange(number * MAX_ITEMS, (number + 1) * MAX_ITEMS) % len(images)
    rng = np.random.default_rng(mix_seed(settings.seed, part, number))
    return compose_scene(images, labels, deck[places], settings.size, rng)


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=None), encoding='utf-8')
