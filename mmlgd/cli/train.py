"""``mmlgd train``: train any config."""

import argparse
import signal

from mmengine.config import Config

from mmlgd.apis.training import train_config
from mmlgd.engine.hooks.preemption_hook import Preempted
from mmlgd.errors import ConfigError
from mmlgd.utils.config_types import class_name
from mmlgd.utils.run_config import load_config
from mmlgd.utils.tool import add_common_arguments
from mmlgd.utils.torchrun import SIGNALS, LaunchFolder

_NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train any config: distillation, classification, detection or '
        'segmentation.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint; without a value or with `auto`, from the '
        'latest one in the work dir, if any',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='start a new run in a work dir that contains checkpoints of an earlier run; '
        'files of the same name are replaced',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (see README)'
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='disable validation during training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by total batch size / base_batch_size',
    )
    parser.add_argument(
        '--global-batch-size',
        type=int,
        metavar='N',
        help='images per iteration over all ranks; each rank gets N / ranks; by default '
        'that of the checkpoint to resume, or of the config',
    )
    parser.add_argument(
        '--micro-batch-size',
        type=int,
        metavar='N',
        help='images that a rank computes at once, at most; a larger share is computed in '
        'parts, whose gradients add up to one step; by default that of the checkpoint to '
        'resume, or no limit',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def use_amp(cfg: Config) -> None:
    """Replace the optimizer wrapper by one for mixed precision on any device.

    Raises:
        ConfigError: The wrapper has no mixed-precision variant.
    """
    kind = class_name(cfg.optim_wrapper.get('type', 'OptimWrapper'))
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ConfigError(
            f'--amp replaces an OptimWrapper, but optim_wrapper.type is {kind!r}; '
            'omit --amp and enable mixed precision in the config.'
        )
    cfg.optim_wrapper.type = 'mmlgd.AmpOptimWrapper'


def use_auto_scale_lr(cfg: Config) -> None:
    """Let the Runner scale the learning rate to the total batch size.

    Raises:
        ConfigError: The config does not define the batch size that its rate is for.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise ConfigError(
            '--auto-scale-lr needs the batch size that the learning rate of the config is '
            'meant for: set auto_scale_lr=dict(base_batch_size=...).'
        )
    cfg.auto_scale_lr.enable = True


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the options of the command line to the config."""
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        use_auto_scale_lr(cfg)


def exit_code(stop: Preempted) -> int:
    """Exit code of a rank of a preempted training.

    The launcher of ``tools/dist_*.sh`` reads the code from a file, because torchrun
    exits with 1 for any code of a rank. If that launcher asked for the stop, the ranks
    exit with 0, since torchrun restarts them otherwise.
    """
    # Schedulers end the remaining ranks when the first one exits.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    launch = LaunchFolder.of_rank()
    if launch is not None:
        launch.leave_code(stop.code)
    return 0 if launch is not None and stop.requested else stop.code


def main(argv: list[str] | None = None) -> int | None:
    """Train from the command line; returns the exit code of a preempted training."""
    args = parse_args(argv)
    cfg = load_config(args, _NEEDED)
    apply_options(cfg, args)
    try:
        train_config(
            cfg,
            args.resume,
            args.overwrite,
            args.global_batch_size,
            args.micro_batch_size,
        )
    except Preempted as stop:
        return exit_code(stop)
    return None
