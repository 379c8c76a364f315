import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from demo.fashion_mnist import prepare_demo_data
from demo.scenes import (
    SCENE_CLASSES,
    SceneSettings,
    compose,
    compose_scene,
    prepare_fashion_scenes,
)
from mmlgd.datasets.category_names import load_category_names
from tests.fashion_source import flat_items, write_source

SMALL = SceneSettings(num_train=12, num_val=6, size=96)
GROUND = 11


@pytest.fixture(scope='module')
def demo_source(tmp_path_factory):
    return prepare_demo_data(tmp_path_factory.mktemp('fashion_mnist'))


@pytest.fixture(scope='module')
def scenes(tmp_path_factory, demo_source):
    out_dir = tmp_path_factory.mktemp('data') / 'scenes'
    return prepare_fashion_scenes(out_dir, SMALL, demo_source)


def truth(scenes, split):
    """Label map, instance masks and annotations of each scene, as COCO reads them."""
    coco = COCO(str(scenes / 'annotations' / f'{split}.json'))
    for image in coco.loadImgs(coco.getImgIds()):
        path = scenes / 'annotations' / split / image['file_name']
        annotations = coco.loadAnns(coco.getAnnIds(image['id']))
        masks = [coco.annToMask(annotation).astype(bool) for annotation in annotations]
        yield cv2.imread(str(path), cv2.IMREAD_UNCHANGED), masks, annotations


def test_layout_counts_and_names(scenes):
    for split, count in (('train', 12), ('val', 6)):
        names = [f'{number:06d}.png' for number in range(count)]
        for folder in (scenes / split / 'images', scenes / 'annotations' / split):
            assert sorted(path.name for path in folder.iterdir()) == names
        coco = COCO(str(scenes / 'annotations' / f'{split}.json'))
        assert [image['file_name'] for image in coco.imgs.values()] == names
        categories = coco.loadCats(coco.getCatIds())
        assert [c['id'] for c in categories] == [*range(1, 11)]
        assert [c['name'] for c in categories] == load_category_names('fashion_mnist')
    image = cv2.imread(str(scenes / 'val' / 'images' / '000000.png'))
    assert image.shape == (96, 96, 3)
    assert SCENE_CLASSES == (*load_category_names('fashion_mnist'), 'ground')


@pytest.mark.parametrize('split', ['train', 'val'])
def test_label_map_is_the_sum_of_the_instance_masks(scenes, split):
    overlaps = 0
    for label_map, masks, annotations in truth(scenes, split):
        again = np.full((96, 96), GROUND, np.uint8)
        for mask, annotation in zip(masks, annotations):
            again[mask] = annotation['category_id']
        assert label_map.dtype == np.uint8
        assert (label_map == again).all()
        assert np.sum(masks, axis=0).max() == 1, 'a pixel shows one item'
        boxes = [cv2.boundingRect(mask.astype(np.uint8)) for mask in masks]
        overlaps += sum(
            max(a[0], b[0]) < min(a[0] + a[2], b[0] + b[2])
            and max(a[1], b[1]) < min(a[1] + a[3], b[1] + b[3])
            for i, a in enumerate(boxes)
            for b in boxes[:i]
        )
    assert overlaps


def test_boxes_are_tight_and_areas_are_counts(scenes):
    for _, masks, annotations in truth(scenes, 'train'):
        for mask, annotation in zip(masks, annotations):
            rows, columns = np.nonzero(mask)
            left, top = columns.min(), rows.min()
            right, bottom = columns.max() + 1, rows.max() + 1
            assert annotation['bbox'] == [left, top, right - left, bottom - top]
            assert annotation['area'] == mask.sum() > 0
            assert annotation['iscrowd'] == 0


def test_items_differ_in_scale(scenes):
    sides = [max(a['bbox'][2:]) for *_, found in truth(scenes, 'train') for a in found]
    assert min(sides) < 30
    assert max(sides) > 50


def test_masks_are_the_pixels_that_show_the_item(monkeypatch):
    """On black, with flat untinted items, a pixel's level says whose it is."""
    monkeypatch.setattr(compose, 'textured_ground', black_ground)
    monkeypatch.setattr(compose, '_tint', lambda rng: np.ones(3, np.float32))
    levels = [40, 80, 120, 160, 200, 240]
    for seed in range(8):
        scene = compose_scene(
            flat_items(levels),
            np.arange(6),
            np.arange(6),
            80,
            np.random.default_rng(seed),
        )
        soft_edges = np.any([edge(i.mask) for i in scene.instances], axis=0)
        shown = scene.image[..., 0]
        assert (shown[~soft_edges] > 0).any()
        for instance in scene.instances:
            level = levels[instance.item]
            mine = (shown == level) & ~soft_edges
            assert (instance.mask[~soft_edges] == mine[~soft_edges]).all()


def edge(mask):
    """Pixels within two of a change, or of the end of the picture."""
    near = np.ones((5, 5), np.uint8)
    padded = np.pad(mask, 2).astype(np.uint8)
    return cv2.morphologyEx(padded, cv2.MORPH_GRADIENT, near)[2:-2, 2:-2] > 0


def black_ground(size, rng):
    return np.zeros((size, size, 3), np.float32)


def test_hidden_items_are_dropped_and_cover_nothing():
    def placed(index, columns):
        alpha = np.zeros((10, 20), np.float32)
        alpha[:, columns] = 1
        colour = np.zeros((10, 20, 3), np.float32)
        return compose._Placed(index, colour, alpha, int(alpha.sum()))

    lowest = placed(0, slice(0, 10))
    hidden = placed(1, slice(2, 10))
    topmost = placed(2, slice(4, 18))
    visible = compose._visible([lowest, hidden, topmost])
    # 2 of the 8 columns of `hidden` show: a quarter, which is enough.
    assert [item.index for item, _ in visible] == [1, 2]
    topmost = placed(2, slice(3, 17))
    visible = compose._visible([lowest, hidden, topmost])
    assert [(item.index, mask.sum()) for item, mask in visible] == [(0, 30), (2, 140)]


def test_splits_take_their_items_from_their_own_split(tmp_path):
    source = write_source(tmp_path / 'source')
    settings = SceneSettings(num_train=3, num_val=3, size=48)
    out_dir = prepare_fashion_scenes(tmp_path / 'scenes', settings, source)
    for split, category in (('train', 1), ('val', 6)):
        labels = [label_map for label_map, *_ in truth(out_dir, split)]
        assert {*np.unique(labels)} == {category, GROUND}


def test_no_item_comes_twice_before_all_were_used(scenes):
    items = [a['item'] for *_, found in truth(scenes, 'train') for a in found]
    assert len(items) == len({*items}) > 30
