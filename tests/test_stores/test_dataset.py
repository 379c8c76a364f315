"""Training items from a store of views."""

import pickle
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mmlgd.apis.stored_views import prepare_views
from mmlgd.datasets import SeededViews
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS
from mmlgd.stores import StoredViews
from mmlgd.utils.rng import seeded
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import write_store
from tests.toys import ToyTeacher

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Sixteen images, and two views of each stored, in shards of five rows."""
    root = tmp_path_factory.mktemp('stored')
    write_images(root)
    write_store(toy_run_cfg(root, root / 'online'), root / 'store')
    return root


def images(root, **options):
    """Config of the images, with options of their random crop."""
    init_default_scope('mmlgd')
    config = toy_run_cfg(root, root / 'run').train_dataloader.dataset.dataset
    config.pipeline[1].update(options)
    return config


def stored(root, **options):
    store = options.pop('store', root / 'store')
    return StoredViews(images(root), store, **options)


def embed(inputs):
    """The toy teacher's unit rows of BGR uint8 images, by hand."""
    teacher = ToyTeacher()
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (teacher.image_mean, teacher.image_std)
    )
    rows = teacher.image_features((inputs.flip(-3).float() - mean) / std)
    return rows / rows.norm(dim=1, keepdim=True)


def test_items_are_seeded_views_with_their_teachers_embeddings(root):
    dataset, online = stored(root), SeededViews(images(root))
    assert len(dataset) == 16 and dataset.num_views == 2
    for index in range(32):
        item, expected = dataset[index], online[index]
        assert torch.equal(item['inputs'], expected['inputs'])
        assert item['data_samples'].img_path == expected['data_samples'].img_path
        assert item['teacher_embeddings'].dtype == torch.float32
        wanted = embed(expected['inputs'][None])[0]
        assert torch.allclose(item['teacher_embeddings'], wanted, atol=1e-3)


def test_views_start_over_after_the_last(root):
    dataset = stored(root)
    assert dataset.split(2 * 16 + 3) == (0, 3) and dataset.split(-1) == (0, 15)
    for index in (3, 3 + 5 * 16):
        again = dataset[index + 2 * 16]
        assert torch.equal(again['inputs'], dataset[index]['inputs'])
    assert not torch.equal(dataset[3]['inputs'], dataset[3 + 16]['inputs'])


def test_fewer_views_can_be_used(root):
    dataset = stored(root, num_views=1)
    assert torch.equal(dataset[16 + 3]['inputs'], dataset[3]['inputs'])
    for wrong in (0, 3):
        with pytest.raises(ConfigError, match=f'num_views is {wrong}, but .* has 2'):
            stored(root, num_views=wrong)


def test_workers_read_the_same(root):
    dataset = stored(root)
    dataset[0]  # Maps that are open when the workers start.
    order = [31, 4, 17, 0, 40]
    loader = DataLoader(
        dataset, batch_size=5, sampler=order, num_workers=1, collate_fn=embeddings_of
    )
    expected = embeddings_of([dataset[index] for index in order])
    assert torch.equal(next(iter(loader)), expected)
    # As a spawned worker gets it.
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(embeddings_of([copy[index] for index in order]), expected)


def embeddings_of(items):
    return torch.stack([item['teacher_embeddings'] for item in items])


def test_some_of_the_images_in_another_order(root):
    config = images(root)
    config.indices = [9, 2]
    part, whole = StoredViews(config, root / 'store'), stored(root)
    for index, same in ((0, 9), (1, 2), (2 + 1, 16 + 2)):
        for key in ('inputs', 'teacher_embeddings'):
            assert torch.equal(part[index][key], whole[same][key])


@pytest.mark.parametrize('scale', [12, 40])
def test_another_resolution_has_the_same_crops(root, scale, monkeypatch):
    # The boxes themselves, as they are cut out.
    boxes = []
    crop = mmcv.imcrop

    def recorded(image, bboxes, *rest):
        boxes.append(bboxes.tolist())
        return crop(image, bboxes, *rest)

    monkeypatch.setattr('mmcv.imcrop', recorded)
    same = stored(root)
    other = StoredViews(images(root, scale=scale), root / 'store')
    assert same.compares_pixels and not other.compares_pixels
    for index in range(32):
        one, two = same[index], other[index]
        assert two['inputs'].shape == (3, scale, scale)
        assert one['data_samples'].flip == two['data_samples'].flip
        assert torch.equal(one['teacher_embeddings'], two['teacher_embeddings'])
    assert len(boxes) == 64 and boxes[::2] == boxes[1::2]
    assert len({str(box) for box in boxes}) > 16


def test_imagenets_views_have_one_crop_at_all_resolutions(root):
    init_default_scope('mmlgd')
    config = Config.fromfile(CONFIGS / '_base_/datasets/imagenet_unlabeled.py')
    pipeline = config.train_pipeline
    pipeline[-1].meta_keys = ('crop_box',)
    image = cv2.resize(cv2.imread(str(root / 'train/000.png')), (120, 100))

    def draw(scale, seed):
        pipeline[0].scale = scale
        with seeded(seed):
            item = Compose(pipeline)(dict(img=image.copy()))
        return item['data_samples'].crop_box, item['inputs'].float().mean((1, 2))

    boxes = set()
    for seed in range(20):
        (box, colour), (other_box, other_colour) = draw(48, seed), draw(64, seed)
        assert box == other_box
        # Neither box nor resolution says how colours were changed; their mean does.
        assert torch.allclose(colour, other_colour, atol=1.5)
        boxes.add(box)
    assert len(boxes) == 20


def test_other_transforms_are_refused_by_option(root):
    message = r'RandomResizedCrop.crop_ratio_range = \[0.3, 1.0\], .* has \[0.5, 1.0\]'
    with pytest.raises(ConfigError, match=message):
        StoredViews(images(root, crop_ratio_range=(0.5, 1.0)), root / 'store')


@pytest.fixture
def copy(tmp_path):
    """A separate store for tests that change its images."""
    write_images(tmp_path)
    write_store(toy_run_cfg(tmp_path, tmp_path / 'online'), tmp_path / 'store')
    return tmp_path


def paint_over(root, number):
    """Replace an image by another one with the same file size."""
    path = root / 'train' / f'{number:03}.png'
    size = path.stat().st_size
    cv2.imwrite(str(path), np.full((20, 24, 3), 40, np.uint8))
    with open(path, 'ab') as file:
        file.write(bytes(size - path.stat().st_size))


def test_an_image_that_changes_during_training_is_found_by_its_pixels(copy):
    dataset, unchecked = stored(copy), stored(copy, check_pixels=False)
    before = dataset[16 + 7]
    paint_over(copy, 7)
    message = (
        r'View 1 of 007.png does not have the pixels .* the file, or what its decoder'
    )
    with pytest.raises(DataError, match=message):
        dataset[16 + 7]
    after = unchecked[16 + 7]
    assert torch.equal(after['teacher_embeddings'], before['teacher_embeddings'])
    assert torch.equal(dataset[6]['inputs'], unchecked[6]['inputs'])


def test_different_pixels_are_attributed_to_different_libraries(copy):
    dataset = stored(copy)
    dataset.store.manifest.libraries['cv2'] = '0.1'
    paint_over(copy, 7)
    with pytest.raises(DataError, match=r'saw: they were drawn with cv2 0.1 \(here'):
        dataset[7]


def test_images_that_changed_before_are_refused(copy):
    paint_over(copy, 7)
    with pytest.raises(DataError, match='007.png is not what .* its content differs'):
        stored(copy)


@pytest.mark.parametrize('end', [[], [dict(type='mmpretrain.ToPIL', to_rgb=True)]])
def test_a_pipeline_that_does_not_give_one_image_is_refused(root, end):
    cfg = toy_run_cfg(root, root / 'run')
    pipeline = cfg.train_dataloader.dataset.dataset.pipeline
    pipeline[-1:] = end
    with pytest.raises(
        ConfigError, match='one image .* UnlabeledImages gives inputs of'
    ):
        prepare_views(cfg, 'float16', 5, 'cpu')


def test_an_unknown_dtype_is_refused(root):
    with pytest.raises(ConfigError, match="float16 or int8, not 'float32'"):
        prepare_views(toy_run_cfg(root, root / 'run'), 'float32', 5, 'cpu')


def test_dataset_is_registered(root):
    init_default_scope('mmlgd')
    config = dict(type='StoredViews', store=str(root / 'store'), dataset=images(root))
    assert isinstance(DATASETS.build(config), StoredViews)
