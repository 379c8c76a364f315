"""Annotations of scenes: COCO's format and ADE20K's label maps.

COCO's category ids are 1 to 10. The label maps follow ADE20K: 0 means "unlabelled" (and
does not occur), 1 to 10 are the items, 11 is the background. Read them with
``reduce_zero_label=True``. The background is a separate class. If it were ignored,
predicting items everywhere would not lower mIoU, and the outlines would not count.
"""

import cv2
import numpy as np

from mmlgd.datasets.category_names import load_category_names
from mmlgd.errors import DependencyError

from .compose import Instance, Scene

ITEM_CLASSES = tuple(load_category_names('fashion_mnist'))
SCENE_CLASSES = (*ITEM_CLASSES, 'ground')


def label_map(scene: Scene) -> np.ndarray:
    """The category of each pixel.

    Returns:
        np.ndarray: (size, size) uint8, 1 to 10 for items, 11 for the background.
    """
    labels = np.full(scene.image.shape[:2], len(SCENE_CLASSES), np.uint8)
    for instance in scene.instances:
        labels[instance.mask] = instance.category + 1
    return labels


def coco_annotation(instance: Instance) -> dict:
    """COCO's annotation of an instance, without the ids.

    Args:
        instance: It must have at least one visible pixel.

    Returns:
        dict: ``segmentation`` run-length encoded, ``bbox`` as [x, y, width,
        height] in pixels; ``item`` is the image's index in Fashion-MNIST's split.

    Raises:
        DependencyError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise DependencyError(
            'scenes are written with pycocotools: pip install pycocotools'
        ) from error
    encoded = coco_mask.encode(np.asfortranarray(instance.mask, np.uint8))
    return dict(
        category_id=instance.category + 1,
        segmentation=dict(size=encoded['size'], counts=encoded['counts'].decode()),
        area=int(instance.mask.sum()),
        bbox=list(map(int, cv2.boundingRect(instance.mask.astype(np.uint8)))),
        iscrowd=0,
        item=instance.item,
    )
