"""Check that datasets and model of a downstream run match."""

import json
import mmap
import os
from collections.abc import Iterator
from typing import Any

from mmengine.fileio import load
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.errors import ConfigError, DataError
from mmlgd.evaluation import dataset_classes, match_classes
from mmlgd.registry import HOOKS
from mmlgd.utils.dataset_configs import innermost_datasets
from mmlgd.utils.model import unwrap_model

# Heads with one output per dataset class; a region proposal head has one class.
_HEADS = {'bbox_head', 'mask_head', 'decode_head', 'auxiliary_head', 'head'}


@HOOKS.register_module()
class DatasetCheckHook(Hook):
    """Compares datasets, class names and heads before the first iteration.

    The libraries silently accept a COCO file whose categories differ from the configured
    names, and omit the images of missing names. They also accept categories in another
    order, so that labels have wrong names, and different label orders of training and
    validation set.

    Raises:
        DataError: A dataset is empty, or its annotation file lacks names.
        ConfigError: Classes are in another order than in the annotation file or the
            training set, or a head has another number of classes.
    """

    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        """Check the training set, and the validation set if there is one."""
        datasets = [('train_dataloader', runner.train_dataloader.dataset)]
        if runner.val_loop is not None:
            datasets.append(('val_dataloader', runner.val_dataloader.dataset))
        model = unwrap_model(runner.model)
        classes = [dataset_classes(dataset, key) for key, dataset in datasets]
        for (key, dataset), names in zip(datasets, classes):
            for part in innermost_datasets(dataset):
                _check_names(key, part)
            _check_size(key, dataset)
            _check_heads(key, names, model)
        known = [names for names in classes if names is not None]
        if len(known) == len(classes):
            _check_order(*known)


def _check_names(key: str, dataset: Any) -> None:
    """Compare the names with the categories of a COCO-format file."""
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    found = getattr(dataset, 'cat_ids', None)
    if classes is None or found is None:
        return
    names = {category['id']: category['name'] for category in _categories(dataset)}
    stored = [*names.values()]
    # Label i is the category cat_ids[i]; cat_ids are in the order of the file.
    ordered = [names[number] for number in found]
    if sorted(ordered) == sorted(classes) and ordered != [*classes]:
        raise ConfigError(
            f'{dataset.ann_file} of {key} has its categories in another order than the '
            f'classes, {list(classes)[:5]}, ...; labels follow the order of the file. '
            f'Set dataset.metainfo=dict(classes={tuple(ordered)[:5]}, ...).'
        )
    if len(found) >= len(classes):
        return
    missing = [name for name in classes if name not in stored]
    raise DataError(
        f'{dataset.ann_file} of {key} lacks {len(missing)} of the {len(classes)} class names, '
        f'first {missing[:5]}; it has {stored[:5]}, ... Set dataset.metainfo=dict(classes=...) '
        'to names of the file, in the same spelling.'
    )


def _check_size(key: str, dataset: Any) -> None:
    if len(dataset) == 0:
        inner = innermost_datasets(dataset)[0]
        source = getattr(inner, 'ann_file', '') or getattr(inner, 'data_root', '')
        raise DataError(
            f'{key} has no usable image: {source} has none, or none with an annotation of '
            'the configured classes. Set ann_file to an annotated file.'
        )


def _check_order(train: list[str], val: list[str] | None = None) -> None:
    """Compare the classes of labels in training and validation set."""
    if val is None:
        return
    matched = match_classes(val, train, 'val_dataloader')
    if matched != list(range(len(val))):
        raise ConfigError(
            f'val_dataloader has the classes {val[:5]}, ..., train_dataloader '
            f'{train[:5]}, ...: the same labels stand for different classes. Set the same '
            'classes=[...] for both datasets, with labels in that order.'
        )


def _categories(dataset: Any) -> list[dict]:
    """The categories of a COCO-format file, without parsing the whole file.

    mmdet has parsed it (450 MB for COCO's training images) but discards the result.
    """
    if os.path.isfile(dataset.ann_file):
        with (
            open(dataset.ann_file, 'rb') as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            start = text.find(b'"categories"')
            start = text.find(b'[', start) if start >= 0 else -1
            stop = text.find(b']', start) + 1
            try:
                found = json.loads(text[start:stop])
                if all({'id', 'name'} <= {*category} for category in found):
                    return found
            except (ValueError, TypeError):
                pass  # Nested lists, or an earlier occurrence of the word.
    return load(dataset.ann_file)['categories']


def _check_heads(key: str, classes: list[str] | None, model: Any) -> None:
    if classes is None:
        return
    for name, head in _heads(model):
        if head.num_classes != len(classes):
            raise ConfigError(
                f'model.{name} has {head.num_classes} classes, but {key} has '
                f'{len(classes)}: {classes[:5]}, ... Set num_classes of that head to '
                f'{len(classes)}, or dataset.metainfo to the right classes.'
            )


def _heads(model: Any) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_modules():
        if _HEADS & set(name.split('.')) and isinstance(
            getattr(module, 'num_classes', None), int
        ):
            yield name, module
