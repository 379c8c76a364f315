"""Hooks for the Runner; each stands in a module of its own."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .backbone_load_check_hook import BackboneLoadCheckHook
from .bags_hook import BagsHook
from .broken_images_hook import BrokenImagesHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_meta_hook import CheckpointMetaHook
from .dataset_check_hook import DatasetCheckHook
from .export_backbone_hook import ExportBackboneHook
from .non_finite_loss_hook import NonFiniteLossHook
from .progress_bar_hook import ProgressBarHook
from .semantics_bank_hook import SemanticsBankHook
from .short_history_hook import ShortHistoryHook
from .stateless_seed_hook import StatelessSeedHook
from .training_cost_hook import TrainingCostHook
from .true_color_visualization_hook import TrueColorVisualizationHook

__all__ = [
    'AtomicCheckpointHook',
    'BackboneLoadCheckHook',
    'BagsHook',
    'BrokenImagesHook',
    'ChannelsLastHook',
    'CheckpointMetaHook',
    'DatasetCheckHook',
    'ExportBackboneHook',
    'NonFiniteLossHook',
    'ProgressBarHook',
    'SemanticsBankHook',
    'ShortHistoryHook',
    'StatelessSeedHook',
    'TrainingCostHook',
    'TrueColorVisualizationHook',
]
