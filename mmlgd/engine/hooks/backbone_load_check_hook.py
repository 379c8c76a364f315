"""Proof that a downstream run starts from the backbone it names."""

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
    """Stops a run whose backbone does not hold the weights of its ``init_cfg``.

    For configs of mmdet, mmseg and mmpretrain whose backbone has
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``. There,
    a wrong prefix, width, depth or variant loads a part or nothing and only warns.
    This hook compares names and shapes before initialisation and values after it,
    logs how many tensors match, and stops the run where some do not.

    A run that resumes, or starts from ``load_from``, replaces those weights, so
    there it compares none and says so.

    Features depend on the normalisation of images, too. What the checkpoint says of
    it is compared with the data preprocessor. Whatever the run uses goes into the
    ``meta`` of its own checkpoints, where a resumed run and a test find it.

    Args:
        preprocessing (str): 'check' stops the run if the data preprocessor
            normalises otherwise; 'take' changes the data preprocessor, and the
            config that the run saves, to the checkpoint's; 'ignore' leaves it as it
            is, and also takes checkpoints that tell nothing. Defaults to 'check'.
        min_share (float): Share of tensors that must match, above 0. Below 1 it
            allows for a backbone with layers of its own. Defaults to 1.0.

    Raises:
        ConfigError: An unknown option.

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
        self._built_from: object = 'not told'

    def before_run(self, runner: Runner) -> None:
        """Read the checkpoint before the libraries do; compare names and shapes.

        Raises:
            CheckpointError: The file is absent or broken, has not the prefix or does
                not fit the backbone, or its normalisation differs.
        """
        if not is_training(runner):
            return  # A test initialises nothing.
        checkpoint, prefix = pretrained_source(runner.model)
        if checkpoint is None:
            runner.logger.warning(
                'BackboneLoadCheckHook: model.backbone.init_cfg names no checkpoint; '
                'nothing to check: the backbone starts from random weights.'
            )
            return
        # Also for a run that resumes: mmengine initialises that one first, too.
        contents = read_checkpoint(checkpoint)
        self._settle(runner, contents['meta'], checkpoint)
        if _will_load(runner):
            return
        self._stored = select_prefix(contents['state_dict'], prefix, checkpoint)
        check_finite(self._stored, checkpoint, prefix or '')
        self._source = f'{checkpoint} under {prefix!r}' if prefix else checkpoint
        self._built_from = contents['meta'].get('backbone', 'not told')
        self._compare(runner, compare_values=False)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Normalise as the run did that saved this checkpoint.

        Raises:
            CheckpointError: The config normalises otherwise ('check'), or the
                checkpoint to be tested says nothing of it ('take') or lacks weights of
                the model.
        """
        meta = checkpoint.get('meta', {})
        source = loaded_source(runner) or 'The latest checkpoint'
        if CheckpointMeta.from_meta(meta, source).preprocessing is not None:
            self._settle(runner, meta, source)
        elif self.preprocessing == 'take' and not is_training(runner):
            raise CheckpointError(
                f'{source} does not carry the mean and std it was trained '
                "with, as preprocessing='take' asks; train with BackboneLoadCheckHook, "
                "or set mean and std in the config and preprocessing='ignore'."
            )
        if not is_training(runner):
            check_complete(runner.model, checkpoint, source)

    def before_train(self, runner: Runner) -> None:
        """Compare the values of all tensors, after initialisation.

        Raises:
            CheckpointError: Too small a share is equal.
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
        """Write the normalisation into ``meta``, whoever chose it."""
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
                f'match {self._source}: {match.faults()}. Set model.backbone to what the '
                f'checkpoint was saved from ({self._built_from}), and '
                'init_cfg.prefix to where its keys begin.'
            )
        return match

    def _settle(self, runner: Runner, meta: dict, source: str) -> None:
        """Check, or take over, the normalisation that a checkpoint carries."""
        if self.preprocessing == 'ignore':
            return
        wanted = CheckpointMeta.from_meta(meta, source).preprocessing
        if wanted is None:
            raise CheckpointError(
                f'{source} is not a checkpoint of mmlgd: its meta has no image_mean, '
                'image_std and to_rgb, so there is no telling how images must be '
                "normalised. Set preprocessing='ignore' for BackboneLoadCheckHook, and "
                'the right mean and std in data_preprocessor.'
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
        wanted.give_to(module)
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
