"""Hooks for the Runner; each stands in a module of its own."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .broken_images_hook import BrokenImagesHook
from .channels_last_hook import ChannelsLastHook
from .non_finite_loss_hook import NonFiniteLossHook
from .progress_bar_hook import ProgressBarHook
from .stateless_seed_hook import StatelessSeedHook

__all__ = [
    'AtomicCheckpointHook',
    'BrokenImagesHook',
    'ChannelsLastHook',
    'NonFiniteLossHook',
    'ProgressBarHook',
    'StatelessSeedHook',
]
