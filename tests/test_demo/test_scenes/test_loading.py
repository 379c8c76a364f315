"""mmdetection and mmsegmentation read the scenes as they are meant."""

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations as LoadLabelMap

from demo.scenes import (
    ITEM_CLASSES,
    SCENE_CLASSES,
    SceneSettings,
    prepare_fashion_scenes,
)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp('data') / 'scenes'
    return prepare_fashion_scenes(out_dir, SceneSettings(2, 2, 64))


def read_map(scenes, index):
    path = scenes / 'annotations' / 'val' / f'{index:06d}.png'
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_mmdet_reads_boxes_masks_and_labels(scenes):
    dataset = CocoDataset(
        data_root=str(scenes),
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/images/'),
        metainfo=dict(classes=ITEM_CLASSES),
        test_mode=True,
    )
    load = LoadAnnotations(with_bbox=True, with_mask=True)
    assert len(dataset) == 2
    for index in range(2):
        info = dataset.get_data_info(index)
        assert cv2.imread(info['img_path']).shape == (64, 64, 3)
        loaded = load(dict(info, ori_shape=(64, 64)))
        masks = loaded['gt_masks'].masks.astype(bool)
        again = np.full((64, 64), 11)
        for mask, label in zip(masks, loaded['gt_bboxes_labels']):
            again[mask] = label + 1
        assert (again == read_map(scenes, index)).all()
        boxes = loaded['gt_masks'].get_bboxes('hbox')
        assert np.array_equal(loaded['gt_bboxes'].numpy(), boxes.numpy())


def test_mmseg_reads_eleven_classes_and_ignores_none(scenes):
    dataset = BaseSegDataset(
        data_root=str(scenes),
        data_prefix=dict(img_path='val/images', seg_map_path='annotations/val'),
        img_suffix='.png',
        reduce_zero_label=True,
        metainfo=dict(classes=SCENE_CLASSES, palette=[[0, 0, 0]] * 11),
    )
    assert len(dataset) == 2
    for index in range(2):
        labels = LoadLabelMap()(dataset.get_data_info(index))['gt_seg_map']
        assert (labels == read_map(scenes, index) - 1).all()
        assert labels.max() == 10
        assert SCENE_CLASSES[labels.max()] == 'ground'
