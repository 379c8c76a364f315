"""Compares a store of views with the model that learns from it."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmlgd.datasets.dataset_wrapper import find_wrapper
from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.identity import same_identity
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class StoredViewsHook(Hook):
    """Refuses, before the first iteration, embeddings that the model cannot use.

    Raises:
        ConfigError: The views were stored with another teacher than the model's;
            the method needs more than embeddings; or the model expects
            embeddings that no dataset brings.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Check the training set, and the model's teacher."""
        model = unwrap_model(runner.model)
        dataset = find_wrapper(runner.train_dataloader.dataset, 'store')
        if dataset is not None:
            model.check_learns_from_store()
            _check_teacher(dataset.store_path, dataset.store.manifest.teacher, model)
        elif not model.teacher.has_image_tower:
            raise ConfigError(
                'model.teacher is a StoredTeacher, but train_dataloader.dataset brings no '
                "embeddings; set its type to 'StoredViews' and its store to "
                f'{model.teacher.store!r}, or use the teacher itself.'
            )


def _check_teacher(store: str, stored: str, model: nn.Module) -> None:
    if not same_identity(stored, model.teacher.identity):
        raise ConfigError(
            f'The views in {store} were embedded by {stored}, but the model has the '
            f'teacher {model.teacher.identity}; set the same store, or the same teacher, '
            'for model.teacher and train_dataloader.dataset, or build a store of this '
            'teacher with tools/build_stored_views.py.'
        )
