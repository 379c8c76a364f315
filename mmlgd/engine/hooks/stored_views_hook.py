"""Comparison of the embeddings of a store with the teacher of the model."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.datasets.dataset_wrapper import find_wrapper
from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.identity import same_identity
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class StoredViewsHook(Hook):
    """Refuses, before the first iteration, embeddings that the model cannot use.

    Raises:
        ConfigError: Another teacher than the model's made the store; the method needs
            more than embeddings; stored pixels have another size than the config; or the
            model expects embeddings that no dataset has.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Check the training set, and the model's teacher."""
        model = unwrap_model(runner.model)
        dataset = find_wrapper(runner.train_dataloader.dataset, 'store')
        if dataset is None:
            if model.teacher.has_image_tower:
                return
            raise ConfigError(
                'model.teacher is a StoredTeacher, but train_dataloader.dataset brings no '
                "embeddings; set its type to 'StoredViews' and its store to "
                f'{model.teacher.store!r}, or use the teacher itself.'
            )
        model.check_learns_from_store()
        if hasattr(dataset, 'check_size'):
            dataset.check_size(model.student_size)
        stored, identity = dataset.store.manifest.teacher, model.stored_identity
        if not same_identity(stored, identity):
            raise ConfigError(
                f'The views in {dataset.store_path} were embedded by {stored}, but the '
                f'model has the teacher {identity}; set the same store, or the same '
                'teacher, for model.teacher and train_dataloader.dataset, or build a '
                'store of this teacher with tools/build_stored_views.py.'
            )
