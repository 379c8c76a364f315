default_scope = 'mmlgd'

default_hooks = dict(
    runtime_info=dict(type='DeferredRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='TrueColorVisualizationHook', enable=False),
)

custom_hooks = [
    dict(type='SemanticsBankHook'),
    dict(type='CheckpointMetaHook'),
    dict(type='ExportBackboneHook'),
    dict(type='BrokenImagesHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='ShortHistoryHook'),
    dict(type='StatelessSeedHook'),
    dict(type='SamplerPositionHook'),
    dict(type='ProgressBarHook'),
    # Exits with code 75 on SIGTERM or SIGUSR1, so that a scheduler can requeue the run.
    dict(type='PreemptionHook'),
    # On CUDA: the next batch is copied during the step.
    dict(type='PrefetchHook'),
    # Faster convolutions in half precision.
    dict(type='ChannelsLastHook', cuda_only=True),
    # report.html in the work dir.
    dict(type='ReportHook'),
]

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
    # Seconds that ranks wait while one of them lists images, downloads weights or encodes
    # names. dist_cfg.timeout (1800) is for single collectives.
    start_up_timeout=3600,
)

# mmengine looks the wrapper up in its root registry, so the prefix is needed. No
# buffers are broadcast: banks are equal on all ranks, and BatchNorm statistics are kept
# per rank.
model_wrapper_cfg = dict(
    type='mmlgd.AnyDeviceDDP', find_unused_parameters=False, broadcast_buffers=False
)

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='mmpretrain.UniversalVisualizer', vis_backends=vis_backends)

log_processor = dict(by_epoch=True, window_size=50)
log_level = 'INFO'

# ViewSampler, SeededViews and StatelessSeedHook need a fixed seed to resume.
randomness = dict(seed=0, deterministic=False)

load_from = None
resume = False
