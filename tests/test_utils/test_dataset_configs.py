import torch
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset

from mmlgd.datasets import SeededViews
from mmlgd.utils.dataset_configs import innermost_datasets


def test_configs_are_found_inside_any_wrappers_in_order():
    first, second, third = (dict(type='CustomDataset', data_root=r) for r in 'abc')
    repeated = dict(type='RepeatDataset', times=2, dataset=second)
    joined = dict(type='ConcatDataset', datasets=[first, repeated])
    nested = dict(
        type='SeededViews',
        dataset=dict(type='ConcatDataset', datasets=[joined, third]),
    )
    assert innermost_datasets(nested) == [first, second, third]
    assert innermost_datasets(first) == [first]


class Images(BaseDataset):
    def load_data_list(self):
        return [dict(gt_label=0), dict(gt_label=1)]


def test_built_datasets_are_found_inside_any_wrappers():
    first, second = Images(), Images()
    joined = ConcatDataset([first, second])
    part = torch.utils.data.Subset(joined, [0])
    assert innermost_datasets(SeededViews(part)) == [first, second]
    assert innermost_datasets(RepeatDataset(first, 3)) == [first]
    assert innermost_datasets(first) == [first]
