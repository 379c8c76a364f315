"""Stops a downstream run whose data set and model do not belong together."""

from collections.abc import Iterator

from mmengine.fileio import load
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model

# Heads that tell the data set's classes apart; a region proposal head has one class.
_HEADS = {'bbox_head', 'mask_head', 'decode_head', 'auxiliary_head', 'head'}


@HOOKS.register_module()
class DatasetCheckHook(Hook):
    """Compares data sets, class names and heads before the first iteration.

    Stock libraries train on without a word where a COCO file's categories are not the
    configured names: those images are left out.

    Raises:
        DataError: A data set is empty, or its annotation file lacks names.
        ConfigError: A head tells apart another number of classes.
    """

    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        """Check the training set, and the validation set where there is one."""
        datasets = [('train_dataloader', runner.train_dataloader.dataset)]
        if runner.val_loop is not None:
            datasets.append(('val_dataloader', runner.val_dataloader.dataset))
        model = unwrap_model(runner.model)
        for key, dataset in datasets:
            _check_names(key, _innermost(dataset))
            _check_size(key, dataset)
            _check_heads(key, dataset, model)


def _check_names(key: str, dataset: object) -> None:
    """Compare the names with the categories of a COCO-format file."""
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    found = getattr(dataset, 'cat_ids', None)
    if classes is None or found is None or len(found) >= len(classes):
        return
    stored = [category['name'] for category in load(dataset.ann_file)['categories']]
    missing = [name for name in classes if name not in stored]
    raise DataError(
        f'{dataset.ann_file} of {key} lacks {len(missing)} of the {len(classes)} class names, '
        f'first {missing[:5]}; it has {stored[:5]}, ... Set dataset.metainfo=dict(classes=...) '
        'to names of the file, spelled alike.'
    )


def _check_size(key: str, dataset: object) -> None:
    if len(dataset) == 0:
        inner = _innermost(dataset)
        source = getattr(inner, 'ann_file', '') or getattr(inner, 'data_root', '')
        raise DataError(
            f'{key} holds no image that could be used: {source} has none, or none with an '
            'annotation of the configured classes. Give it an annotated file.'
        )


def _check_heads(key: str, dataset: object, model: object) -> None:
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    if classes is None:
        return
    for name, head in _heads(model):
        if head.num_classes != len(classes):
            raise ConfigError(
                f'model.{name} tells {head.num_classes} classes apart, but {key} has '
                f'{len(classes)}: {list(classes)[:5]}, ... Set num_classes of that head to '
                f'{len(classes)}, or dataset.metainfo to the right classes.'
            )


def _heads(model: object) -> Iterator[tuple[str, object]]:
    for name, module in model.named_modules():
        if _HEADS & set(name.split('.')) and isinstance(
            getattr(module, 'num_classes', None), int
        ):
            yield name, module


def _innermost(dataset: object) -> object:
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset
