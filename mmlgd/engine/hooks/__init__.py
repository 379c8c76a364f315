"""Hooks for the Runner, one per module."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .backbone_load_check_hook import BackboneLoadCheckHook
from .bags_hook import BagsHook
from .broken_images_hook import BrokenImagesHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_meta_hook import CheckpointMetaHook
from .compile_hook import CompileHook
from .dataset_check_hook import DatasetCheckHook
from .deferred_runtime_info_hook import DeferredRuntimeInfoHook
from .export_backbone_hook import ExportBackboneHook
from .feature_statistics_hook import FeatureStatisticsHook
from .global_batch_hook import GlobalBatchHook
from .non_finite_loss_hook import NonFiniteLossHook
from .preemption_hook import PreemptionHook
from .prefetch_hook import PrefetchHook
from .progress_bar_hook import ProgressBarHook
from .quantisation_aware_hook import QuantisationAwareHook
from .report_hook import ReportHook
from .resume_hook import ResumeHook
from .sampler_position_hook import SamplerPositionHook
from .semantics_bank_hook import SemanticsBankHook
from .startup_hook import StartupHook
from .stateless_seed_hook import StatelessSeedHook
from .stored_views_hook import StoredViewsHook
from .training_cost_hook import TrainingCostHook
from .upstream import LVISNumpyHook, ShortHistoryHook, TrueColorVisualizationHook
from .whole_checkpoint_hook import WholeCheckpointHook

__all__ = [
    'AtomicCheckpointHook',
    'BackboneLoadCheckHook',
    'BagsHook',
    'BrokenImagesHook',
    'ChannelsLastHook',
    'CheckpointMetaHook',
    'CompileHook',
    'DatasetCheckHook',
    'DeferredRuntimeInfoHook',
    'ExportBackboneHook',
    'FeatureStatisticsHook',
    'GlobalBatchHook',
    'LVISNumpyHook',
    'NonFiniteLossHook',
    'PreemptionHook',
    'PrefetchHook',
    'ProgressBarHook',
    'SamplerPositionHook',
    'QuantisationAwareHook',
    'ReportHook',
    'ResumeHook',
    'SemanticsBankHook',
    'ShortHistoryHook',
    'StartupHook',
    'StatelessSeedHook',
    'StoredViewsHook',
    'TrainingCostHook',
    'TrueColorVisualizationHook',
    'WholeCheckpointHook',
]
