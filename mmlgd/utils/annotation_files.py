"""Checks of annotation files before a dataset is built."""

import json
import os
import os.path as osp
from collections.abc import Sequence

from mmengine.config import Config

from mmlgd.errors import DataError

from .dataset_configs import innermost_datasets

# A COCO file without annotations is small; a large one is not read twice.
_MAX_READ_BYTES = 64 * 2**20


def check_annotation_files(cfg: Config, dataloaders: Sequence[str]) -> None:
    """Check that the datasets' annotation files exist and have annotations.

    Otherwise the libraries train silently, or fail far from the cause.

    Args:
        cfg (Config): Full config.
        dataloaders (Sequence[str]): Keys of the loaders that are about to be used. A
            loader that is None or missing is skipped, as is an ``ann_file`` on an
            object store.

    Raises:
        DataError: A file is missing, or a COCO-format file for training or validation
            is not JSON or has no annotations.
    """
    for key in dataloaders:
        for dataset in innermost_datasets((cfg.get(key) or {}).get('dataset')):
            path = (dataset or {}).get('ann_file')
            if not path or dataset.get('backend_args') or '://' in path:
                continue
            path = osp.join(dataset.get('data_root') or '', path)
            if not osp.exists(path):
                raise DataError(
                    f'{key} ({dataset.get("type")}) needs the annotation file {path}, which '
                    f'is not there (the current folder is {osp.abspath(".")}). Set data_root '
                    'and ann_file, or see what is missing, and how to get it, with '
                    '`python tools/dataset_converters/check_datasets.py`.'
                )
            # A test set may have no annotations: its results are submitted.
            if path.endswith('.json') and key != 'test_dataloader':
                _check_annotated(key, path)


def _check_annotated(key: str, path: str) -> None:
    if os.path.getsize(path) > _MAX_READ_BYTES:
        return
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except ValueError as error:
        raise DataError(
            f'The annotation file {path} of {key} is not JSON ({error}). It may be truncated, '
            'or a web page saved under this name; download it again.'
        ) from error
    if (
        isinstance(content, dict)
        and 'images' in content
        and not content.get('annotations')
    ):
        raise DataError(
            f'The COCO file {path} of {key} lists {len(content["images"])} images but has no '
            'annotations; use the `instances_*.json` that belongs to them.'
        )
