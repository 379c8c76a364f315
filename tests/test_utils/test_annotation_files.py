import json

import pytest
from mmengine.config import Config

from mmlgd.errors import DataError
from mmlgd.utils.annotation_files import check_annotation_files


def config(root, **dataset):
    inner = dict(type='CocoDataset', data_root=str(root), **dataset)
    wrapped = dict(type='ClassBalancedDataset', dataset=inner)
    return Config(dict(train_dataloader=dict(dataset=wrapped), val_dataloader=None))


def test_missing_file_is_named_through_wrappers(tmp_path):
    cfg = config(tmp_path, ann_file='annotations/train.json')
    with pytest.raises(DataError, match='annotations/train.json.*check_datasets'):
        check_annotation_files(cfg, ['train_dataloader', 'val_dataloader'])
    # A key that the tool does not use may name what it likes.
    check_annotation_files(cfg, ['val_dataloader', 'test_dataloader'])


def test_present_unnamed_and_remote_files_pass(tmp_path):
    (tmp_path / 'train.txt').write_text('')
    for dataset in (
        dict(ann_file='train.txt'),
        dict(ann_file=''),
        dict(),
        dict(ann_file='s3://bucket/train.json'),
        dict(ann_file='train.json', backend_args=dict(backend='petrel')),
    ):
        check_annotation_files(config(tmp_path, **dataset), ['train_dataloader'])


@pytest.mark.parametrize(
    'content, message',
    [
        (
            json.dumps(dict(images=[{}, {}], annotations=[])),
            '2 images but has no annotations',
        ),
        (json.dumps(dict(images=[{}])), '1 images but has no annotations'),
        ('<html>404</html>', 'is not JSON'),
    ],
)
def test_coco_file_that_annotates_nothing_is_refused(tmp_path, content, message):
    (tmp_path / 'train.json').write_text(content)
    cfg = config(tmp_path, ann_file='train.json')
    with pytest.raises(DataError, match=message):
        check_annotation_files(cfg, ['train_dataloader'])
    # COCO's own test set has no annotations.
    cfg.test_dataloader = cfg.pop('train_dataloader')
    check_annotation_files(cfg, ['test_dataloader'])
