"""Check that a downstream run starts from the configured backbone weights."""

from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.backbone_match import (
    BackboneMatch,
    match_states,
    model_with_backbone,
    pretrained_source,
    select_prefix,
)
from mmlgd.utils.checkpoint import check_complete, check_finite, read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.checks import check_in_range
from mmlgd.utils.mmengine_private import is_resuming, is_training, loaded_source
from mmlgd.utils.preprocessing import Preprocessing

_MODES = ('check', 'take', 'ignore')


@HOOKS.register_module()
class BackboneLoadCheckHook(Hook):
    """Stops a run whose backbone does not have the weights of its ``init_cfg``.

    For configs of mmdet, mmseg and mmpretrain whose backbone has
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``. With a
    wrong prefix, width, depth or variant, these load some weights or none and only
    warn. This hook compares names and shapes before initialisation and values after
    it, logs how many tensors match, and stops the run if some do not.

    A run that resumes or starts from ``load_from`` replaces those weights, so they are
    not compared, which is logged.

    Features also depend on the normalisation of images. The checkpoint's normalisation
    is compared with the data preprocessor. The one in use is saved in the ``meta`` of
    the run's checkpoints, for resumed runs and tests.

    Args:
        preprocessing (str): 'check' stops the run if the data preprocessor
            normalises differently; 'take' changes the data preprocessor, and the
            config that the run saves, to the checkpoint's; 'ignore' keeps it, and also
            accepts checkpoints without a recorded normalisation. Defaults to 'check'.
        min_share (float): Share of tensors that must match, above 0. A value below 1
            allows for a backbone with additional layers. Defaults to 1.0.

    Raises:
        ConfigError: An option is unknown or out of range.

    Example:
        >>> custom_hooks = [dict(type='mmlgd.BackboneLoadCheckHook')]
    """

    # Before hooks that may change weights or copy the data preprocessor.
    priority = 'HIGH'

    def __init__(self, preprocessing: str = 'check', min_share: float = 1.0) -> None:
        if preprocessing not in _MODES:
            raise ConfigError(
                f'BackboneLoadCheckHook.preprocessing is {preprocessing!r}, but must be '
                f'one of {_MODES}; set it in custom_hooks.'
            )
        self.preprocessing = preprocessing
        self.min_share = check_in_range(
            'BackboneLoadCheckHook.min_share', min_share, 0, 1, low_open=True
        )
        self._stored: Any = None
        self._source = ''
        self._built_from: object = 'not recorded'

    def before_run(self, runner: Runner) -> None:
        """Read the checkpoint before the libraries do; compare names and shapes.

        Raises:
            CheckpointError: The file is missing or broken, lacks the prefix or does
                not match the backbone, or its normalisation differs.
        """
        if not is_training(runner):
            return  # A test initialises nothing.
        checkpoint, prefix = pretrained_source(runner.model)
        if checkpoint is None:
            runner.logger.warning(
                'BackboneLoadCheckHook: model.backbone.init_cfg has no checkpoint, so '
                'there is nothing to check: the backbone starts from random weights.'
            )
            return
        # mmengine also initialises a run that resumes.
        contents = read_checkpoint(checkpoint)
        self._check_preprocessing(runner, contents['meta'], checkpoint)
        if _will_load(runner):
            return
        self._stored = select_prefix(contents['state_dict'], prefix, checkpoint)
        check_finite(self._stored, checkpoint, prefix or '')
        self._source = f'{checkpoint} under {prefix!r}' if prefix else checkpoint
        self._built_from = contents['meta'].get('backbone', 'not recorded')
        self._compare(runner, compare_values=False)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check or apply the normalisation of the loaded checkpoint.

        Raises:
            CheckpointError: The config normalises differently ('check'), or the
                checkpoint to be tested has no normalisation ('take') or lacks weights
                of the model.
        """
        meta = checkpoint.get('meta', {})
        source = loaded_source(runner) or 'The latest checkpoint'
        if CheckpointMeta.from_meta(meta, source).preprocessing is not None:
            self._check_preprocessing(runner, meta, source)
        elif self.preprocessing == 'take' and not is_training(runner):
            raise CheckpointError(
                f'{source} does not contain the mean and std it was trained '
                "with, which preprocessing='take' needs; train with BackboneLoadCheckHook, "
                "or set mean and std in the config and preprocessing='ignore'."
            )
        if not is_training(runner):
            check_complete(runner.model, checkpoint, source)

    def before_train(self, runner: Runner) -> None:
        """Compare the values of all tensors, after initialisation.

        Raises:
            CheckpointError: The share of equal tensors is too small.
        """
        if self._stored is None:
            if pretrained_source(runner.model)[0] is not None:
                runner.logger.info(
                    'BackboneLoadCheckHook: the run resumes or starts from load_from, '
                    'which replaces the weights of init_cfg; they are not compared.'
                )
            return
        match = self._compare(runner, compare_values=True)
        self._stored = None
        runner.logger.info(f'BackboneLoadCheckHook: {match.summary(self._source)}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write the normalisation in use into ``meta``."""
        used = Preprocessing.from_module(
            model_with_backbone(runner.model).data_preprocessor
        )
        if used is not None:
            checkpoint['meta'].update(used.to_meta())

    def _compare(self, runner: Runner, compare_values: bool) -> BackboneMatch:
        backbone = model_with_backbone(runner.model).backbone
        match = match_states(backbone.state_dict(), self._stored, compare_values)
        if match.share < self.min_share:
            raise CheckpointError(
                f'{len(match.matched)} of {match.total} tensors '
                f'({100 * match.share:.1f} %) of the backbone {type(backbone).__name__} '
                f'match {self._source}: {match.mismatches()}. Set model.backbone to what the '
                f'checkpoint was saved from ({self._built_from}), and '
                'init_cfg.prefix to the prefix of its keys.'
            )
        return match

    def _check_preprocessing(self, runner: Runner, meta: dict, source: str) -> None:
        """Check or apply the normalisation of a checkpoint."""
        if self.preprocessing == 'ignore':
            return
        wanted = CheckpointMeta.from_meta(meta, source).preprocessing
        if wanted is None:
            raise CheckpointError(
                f'{source} is not a checkpoint of mmlgd: its meta has no image_mean, '
                'image_std and to_rgb, so its normalisation of images is unknown. Set '
                "preprocessing='ignore' for BackboneLoadCheckHook, and the right mean and "
                'std in data_preprocessor.'
            )
        module = model_with_backbone(runner.model).data_preprocessor
        found = Preprocessing.from_module(module)
        if wanted.equals(found):
            return
        if self.preprocessing == 'check':
            raise CheckpointError(
                f'{source} was trained with {wanted}, but the data preprocessor '
                f"has {found or 'none'}. Write the checkpoint's values into "
                "data_preprocessor, or set preprocessing='take' (or 'ignore') for "
                'BackboneLoadCheckHook.'
            )
        wanted.apply_to(module)
        # Inference from the saved config and a checkpoint builds no hooks.
        for holder in (runner.cfg.get('model') or {}, runner.cfg):
            if holder.get('data_preprocessor') is not None:
                wanted.write_to(holder['data_preprocessor'], module)
        if is_main_process():
            runner.dump_config()
        runner.logger.info(
            f'BackboneLoadCheckHook: images are normalised as for {source}: {wanted}.'
        )


def _will_load(runner: Runner) -> bool:
    """Whether the Runner is about to replace the initial weights."""
    latest = find_latest_checkpoint(runner.work_dir) if is_resuming(runner) else None
    return loaded_source(runner) is not None or latest is not None
