"""Four images in the format and at the path of each downstream config."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 72, 96
COUNT = 4
WORDS = ('a', 'b', 'c')

Box = tuple[int, int, int, int]


def scene(index: int) -> tuple[np.ndarray, list[Box]]:
    """Two coloured rectangles on noise: an image (H, W, 3), BGR, boxes x, y, w, h."""
    rng = np.random.default_rng(index)
    image = rng.integers(0, 80, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    boxes = []
    for left in (2, WIDTH // 2 + 2):
        x, y = (int(v) for v in rng.integers(0, 8, 2))
        box = (left + x, 4 + y, 34, 50)
        image[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = rng.integers(
            120, 256, 3
        )
        boxes.append(box)
    return image, boxes


def save(path: Path, image: np.ndarray) -> None:
    """Write an image and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def write_coco(root: Path, classes: Sequence[str]) -> None:
    """COCO 2017: two objects per image, with polygons."""
    for split in ('train', 'val'):
        annotations = _annotations(root, split, classes)
        _write_json(root / f'annotations/instances_{split}2017.json', annotations)


def write_lvis(root: Path, classes: Sequence[str]) -> None:
    """LVIS v1: COCO's folders, and the additional fields of its evaluation."""
    for split in ('train', 'val'):
        annotations = _annotations(root, split, classes)
        for image in annotations['images']:
            name = image.pop('file_name')
            image.update(
                coco_url=f'http://images.cocodataset.org/{split}2017/{name}',
                neg_category_ids=[5],
                not_exhaustive_category_ids=[],
            )
        for category in annotations['categories']:
            category['frequency'] = 'f'
        _write_json(root / f'annotations/lvis_v1_{split}.json', annotations)


def _annotations(root: Path, split: str, classes: Sequence[str]) -> dict:
    categories = [dict(id=i, name=name) for i, name in enumerate(classes, start=1)]
    images, objects = [], []
    for index in range(COUNT):
        pixels, boxes = scene(index)
        name = f'{index:012}.jpg'
        save(root / f'{split}2017' / name, pixels)
        images.append(dict(id=index, file_name=name, height=HEIGHT, width=WIDTH))
        for x, y, w, h in boxes:
            outline = [x, y, x + w, y, x + w, y + h, x, y + h]
            objects.append(
                dict(
                    id=len(objects) + 1,
                    image_id=index,
                    category_id=1 + len(objects) % 2,
                    bbox=[x, y, w, h],
                    area=w * h,
                    segmentation=[outline],
                    iscrowd=0,
                )
            )
    return dict(images=images, annotations=objects, categories=categories)


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_ade20k(root: Path) -> None:
    """ADE20K: label 0 is unlabelled, 1 to 150 are the categories."""
    for split in ('training', 'validation'):
        for index in range(COUNT):
            image, labels = _labelled(index, ground=3, objects=(1, 150), void=0)
            name = f'ADE_{index:08}'
            save(root / 'images' / split / f'{name}.jpg', image)
            save(root / 'annotations' / split / f'{name}.png', labels)


def write_cityscapes(root: Path) -> None:
    """Cityscapes with the label maps of its own script: 0 to 18, 255 is void."""
    for split in ('train', 'val'):
        for index in range(COUNT):
            image, labels = _labelled(index, ground=0, objects=(11, 18), void=255)
            name = f'ulm/ulm_{index:06}_000019'
            save(root / f'leftImg8bit/{split}/{name}_leftImg8bit.png', image)
            save(root / f'gtFine/{split}/{name}_gtFine_labelTrainIds.png', labels)


def _labelled(
    index: int, ground: int, objects: tuple, void: int
) -> tuple[np.ndarray, np.ndarray]:
    image, boxes = scene(index)
    labels = np.full((HEIGHT, WIDTH), ground, dtype=np.uint8)
    labels[:2] = void
    for (x, y, w, h), label in zip(boxes, objects):
        labels[y : y + h, x : x + w] = label
    return image, labels


def write_imagenet(root: Path) -> None:
    """ImageNet with all its lists, as tools/dataset_converters writes them."""
    lists = {'train': 'train', 'val': 'val', '1percent': 'train', '10percent': 'train'}
    for name, split in lists.items():
        lines = []
        for index in range(COUNT):
            path = f'n{index:08}/{index}.JPEG'
            save(root / split / path.replace('.JPEG', '.jpg'), scene(index)[0])
            jpeg = root / split / path
            jpeg.with_suffix('.jpg').rename(jpeg)
            lines.append(f'{path} {index * 333}\n')
        (root / 'meta').mkdir(exist_ok=True)
        (root / f'meta/{name}.txt').write_text(''.join(lines))


def write_caltech256(root: Path, names: Sequence[str]) -> None:
    """Caltech-256 with the split and the names of tools/dataset_converters."""
    lines = []
    for index in range(COUNT):
        path = f'{index + 1:03}.name/{index + 1:03}_0001.jpg'
        save(root / '256_ObjectCategories' / path, scene(index)[0])
        lines.append(f'{path} {index}\n')
    (root / 'meta').mkdir(exist_ok=True)
    for split in ('train', 'test'):
        (root / f'meta/{split}.txt').write_text(''.join(lines))
    (root / 'meta/names.txt').write_text('\n'.join(names) + '\n')


def write_folders(root: Path) -> None:
    """Any classification dataset: one folder per name."""
    for index in range(COUNT):
        save(root / WORDS[index % len(WORDS)] / f'{index}.jpg', scene(index)[0])
