from types import SimpleNamespace

import pytest
import torch
from mmdet.datasets import CocoDataset
from torch import nn

from mmlgd.engine.hooks import DatasetCheckHook
from mmlgd.errors import ConfigError, DataError
from tests.downstream_data import WORDS, write_coco


class Head(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes


class EmptyView(torch.utils.data.Subset):
    def __init__(self, dataset):
        super().__init__(dataset, [])


def detector(num_classes):
    model = nn.Module()
    model.rpn_head = Head(1)
    model.roi_head = nn.Module()
    model.roi_head.bbox_head = Head(num_classes)
    return model


def coco(root, classes=WORDS):
    return CocoDataset(
        data_root=str(root),
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        metainfo=dict(classes=tuple(classes)),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[],
    )


def check(dataset, num_classes=3):
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(
        model=detector(num_classes), train_dataloader=loader, val_loop=None
    )
    DatasetCheckHook().before_train(runner)


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, WORDS)
    return tmp_path


def test_matching_datasets_and_heads_pass(root):
    check(coco(root))
    check(torch.utils.data.Subset(coco(root), [0, 1]))


def test_names_that_the_file_has_not_are_named(root):
    with pytest.raises(
        DataError, match=r"lacks 1 of the 3 class names, first \['wolf'\]"
    ):
        check(coco(root, ['a', 'b', 'wolf']))


def test_dataset_without_a_usable_image_is_refused(root):
    with pytest.raises(
        DataError, match='has no usable image.*instances_train2017.json'
    ):
        check(EmptyView(coco(root)))


def test_head_of_other_size_is_refused(root):
    with pytest.raises(ConfigError, match='roi_head.bbox_head has 80 classes.* has 3'):
        check(coco(root), num_classes=80)


def test_categories_in_another_order_than_the_file_are_refused(root):
    # mmdet counts labels in the order of the file, whatever the order of the classes.
    dataset = coco(root, WORDS[::-1])
    assert dataset.cat2label == {i + 1: i for i in range(len(WORDS))}
    with pytest.raises(ConfigError, match='in another order than the classes'):
        check(dataset)


def test_every_part_of_a_concatenation_is_checked(root):
    parts = torch.utils.data.ConcatDataset([coco(root), coco(root, ['a', 'b', 'wolf'])])
    with pytest.raises(
        ConfigError, match='concatenates datasets with different classes'
    ):
        check(parts)


def test_a_validation_set_with_other_label_meanings_is_refused():
    def loader(*classes):
        dataset = torch.utils.data.TensorDataset(torch.zeros(3))
        dataset.metainfo = dict(classes=classes)
        return SimpleNamespace(dataset=dataset)

    def check_both(train, val):
        runner = SimpleNamespace(
            model=detector(len(train)),
            train_dataloader=loader(*train),
            val_dataloader=loader(*val),
            val_loop=True,
        )
        DatasetCheckHook().before_train(runner)

    check_both(['hot dog', 'cat'], ['Hot_dog', 'cat'])
    with pytest.raises(ConfigError, match='same labels stand for different classes'):
        check_both(['hot dog', 'cat'], ['cat', 'hot dog'])
