import numpy as np
import pytest
import torch
from mmengine.dataset import (
    BaseDataset,
    ClassBalancedDataset,
    ConcatDataset,
    RepeatDataset,
)
from mmpretrain.datasets import CustomDataset

from mmlgd.datasets import SeededViews
from mmlgd.errors import ConfigError, DataError
from mmlgd.evaluation import dataset_classes, match_dataset, match_labels
from tests.runs import write_images


class Labelled(BaseDataset):
    """Labels in memory."""

    def __init__(self, labels, classes=None):
        self.labels = labels
        super().__init__(metainfo=classes and dict(classes=classes))

    def load_data_list(self):
        return [dict(gt_label=label) for label in self.labels]

    def get_gt_labels(self):
        return np.array([self.get_data_info(i)['gt_label'] for i in range(len(self))])

    def get_cat_ids(self, index):
        return [self.get_data_info(index)['gt_label']]


NAMES = ['cat', 'dog', 'bird']
WRAPPERS = {
    'none': lambda dataset: dataset,
    'concatenated': lambda dataset: ConcatDataset([dataset, dataset]),
    'repeated': lambda dataset: RepeatDataset(dataset, 2),
    'balanced': lambda dataset: ClassBalancedDataset(dataset, 0.1),
    'views': SeededViews,
    'subset': lambda dataset: torch.utils.data.Subset(dataset, [1]),
    'nested': lambda dataset: SeededViews(ConcatDataset([dataset])),
}


@pytest.mark.parametrize('wrap', WRAPPERS.values(), ids=WRAPPERS)
def test_classes_are_found_and_matched_through_wrappers(wrap):
    dataset = wrap(Labelled([0, 2, 1], ['bird', 'cat', 'dog']))
    assert dataset_classes(dataset) == ['bird', 'cat', 'dog']
    assert match_dataset(dataset, NAMES) == [2, 0, 1]


def test_folders_are_classes_in_the_order_of_text(tmp_path):
    write_images(tmp_path, num=12, names=[str(i) for i in range(12)])
    dataset = CustomDataset(data_root=str(tmp_path / 'val'))
    names = [f'name {i}' for i in range(12)]
    assert match_dataset(dataset, names) == [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]
    # A wrapper that was made before the folders were read knows no classes.
    late = CustomDataset(data_root=str(tmp_path / 'val'), lazy_init=True)
    assert len(match_dataset(RepeatDataset(late, 1), names)) == 12


def test_parts_of_different_classes_are_refused():
    parts = torch.utils.data.ConcatDataset(
        [Labelled([0], ['cat', 'dog']), Labelled([0], ['dog', 'cat'])]
    )
    with pytest.raises(
        ConfigError, match="val concatenates .*'cat', 'dog' and 'dog', 'cat'"
    ):
        match_dataset(parts, NAMES, 'val')


def test_without_class_names_labels_are_taken_with_a_warning(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmlgd.evaluation.classes.print_log', lambda text, *args: said.append(text)
    )
    assert match_dataset(Labelled([0, 2, 2]), NAMES, 'val') == [0, 1, 2]
    assert len(said) == 1
    assert 'val has no class names' in said[0]
    assert 'order could not be checked' in said[0]


@pytest.mark.parametrize('label', [-1, 3])
@pytest.mark.parametrize('classes', [None, NAMES])
def test_labels_without_a_class_are_refused(label, classes):
    with pytest.raises(DataError, match='labels from .* but 3 classes'):
        match_dataset(Labelled([1, label], classes), NAMES)


def test_empty_and_unlabelled_datasets_are_refused(tmp_path):
    with pytest.raises(DataError, match='val has no images'):
        match_dataset(torch.utils.data.Subset(Labelled([0]), []), NAMES, 'val')
    write_images(tmp_path)
    flat = CustomDataset(data_root=str(tmp_path / 'train'), with_label=False)
    with pytest.raises(DataError, match='val contains images without a label'):
        match_dataset(flat, NAMES, 'val')


def test_class_names_need_classes():
    with pytest.raises(ConfigError, match='class_names is set, but'):
        match_dataset(Labelled([0]), NAMES, class_names=dict(a='cat'))


@pytest.mark.slow
def test_labels_of_a_test_set_are_those_of_the_training_set():
    train = Labelled([0, 1, 2], NAMES)
    assert match_labels(train, Labelled([0, 1], ['bird', 'dog'])) == (NAMES, [2, 1])
    with pytest.raises(ConfigError, match="test set .*'wolf'"):
        match_labels(train, Labelled([0], ['wolf']))
    with pytest.raises(DataError, match='training set has labels from 0 to 3'):
        match_labels(Labelled([0, 3], NAMES), train)


def test_missing_names_are_reported(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmlgd.evaluation.classes.print_log', lambda text, *args: said.append(text)
    )
    assert match_labels(Labelled([0, 1]), Labelled([0], NAMES)) == (None, None)
    assert len(said) == 1 and 'the training set has no class names' in said[0]
