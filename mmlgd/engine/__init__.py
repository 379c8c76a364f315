"""Hooks, wrappers and schedulers for mmengine's Runner."""

from .amp_optim_wrapper import AmpOptimWrapper
from .any_device_ddp import AnyDeviceDDP
from .epoch_cosine_lr import EpochCosineLR
from .fused_optimizer import FusedOptimWrapperConstructor
from .hooks import *  # noqa: F403
from .resumable_loop import ResumableEpochLoop

__all__ = [
    'AmpOptimWrapper',
    'AnyDeviceDDP',
    'EpochCosineLR',
    'FusedOptimWrapperConstructor',
    'ResumableEpochLoop',
]
