"""Mean and standard deviation of further teachers' features, before training."""

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Subset

from mmlgd.errors import BankError, ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.checks import check_count
from mmlgd.utils.identity import same_identity
from mmlgd.utils.model import unwrap_model
from mmlgd.utils.rng import mix_seed, seeded


@HOOKS.register_module()
class FeatureStatisticsHook(Hook):
    """Computes what a :class:`MultiTeacherLGD` standardises its features with.

    Before the first iteration, the further teachers embed images of the training set,
    shared among the ranks. With stored views, no teacher is run. The images are drawn
    with a fixed seed. Every rank gets the same mean and standard deviation, up to
    rounding the same with any number of ranks. They are in the checkpoint, and a resumed
    run does not compute them again.

    Args:
        num_images (int): Number of images, at most those of the training set. Defaults
            to 8192.

    Raises:
        ConfigError: The model has no further teachers, or ``num_images`` is below 2.
        DataError: The features are constant or not finite.
    """

    priority = 'NORMAL'

    def __init__(self, num_images: int = 8192) -> None:
        self.num_images = check_count('FeatureStatisticsHook.num_images', num_images, 2)

    def before_train(self, runner: Runner) -> None:
        """Compute the statistics, unless a checkpoint had them."""
        model = unwrap_model(runner.model)
        if not hasattr(model, 'feature_statistics'):
            raise ConfigError(
                'FeatureStatisticsHook prepares a MultiTeacherLGD, but the model is '
                f'{type(model).__name__}; remove the hook from custom_hooks.'
            )
        statistics = model.feature_statistics
        if all(one.fitted for one in statistics.values()):
            return
        moments = {
            name: torch.zeros_like(one.moments(one.mean[None]))
            for name, one in statistics.items()
        }
        # Restores the state of the generators, which the loader's seed is drawn from.
        with seeded(mix_seed(0)):
            for batch in self._batches(runner.train_dataloader):
                data = model.data_preprocessor(batch, False)
                rows = data.get('teacher_embeddings')
                for name, target in model.feature_targets(data['inputs'], rows).items():
                    moments[name] += statistics[name].moments(target)
        for name, one in statistics.items():
            all_reduce(moments[name])
            target, number = name.split('_')
            one.fit(moments[name], f'The {target} of teachers[{number}]')
            runner.logger.info(
                f'Mean and standard deviation of {name} from {int(one.num_rows)} vectors.'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check that the checkpoint was distilled from the same further teachers.

        Raises:
            BankError: The teachers, their order or their targets differ.
        """
        stored = checkpoint.get('meta', {}).get('further_teachers')
        wanted = unwrap_model(runner.model).checkpoint_meta.get('further_teachers', [])
        if stored is None or _are_same(stored, wanted):
            return
        raise BankError(
            f'The checkpoint was distilled from the further teachers {stored}, but those '
            f'of the config are {wanted}, for which its projectors and statistics are '
            'wrong; set the same teachers in the same order, or start a new run.'
        )

    def _batches(self, loader: DataLoader) -> DataLoader:
        """A loader of this rank's share of the drawn images."""
        total = len(loader.dataset)
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randperm(total, generator=generator)[: self.num_images].tolist()
        return DataLoader(
            Subset(loader.dataset, drawn[get_rank() :: get_world_size()]),
            batch_size=loader.batch_size or 32,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
        )


def _are_same(stored: object, wanted: list[dict]) -> bool:
    if not isinstance(stored, list) or len(stored) != len(wanted):
        return False
    return all(
        isinstance(one, dict)
        and same_identity(one.get('teacher'), other['teacher'])
        and one.get('targets') == other['targets']
        for one, other in zip(stored, wanted)
    )
