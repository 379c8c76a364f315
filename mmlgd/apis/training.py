"""A training from its config, as ``mmlgd train`` and ``mmlgd distill`` run it."""

from importlib.util import find_spec

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmlgd.engine.hooks import (
    GlobalBatchHook,
    ResumeHook,
    StartupHook,
    WholeCheckpointHook,
)
from mmlgd.engine.tool_runner import TrainRunner
from mmlgd.utils.config_types import class_name
from mmlgd.utils.global_batch import set_global_batch
from mmlgd.utils.launch import read_ranks
from mmlgd.utils.launch_id import claim, has_saved, is_restart, launch_identity
from mmlgd.utils.resume import (
    check_work_dir,
    is_finished,
    read_training_meta,
    set_resume,
)
from mmlgd.utils.run_config import build_runner, check_run


def train_config(
    cfg: Config,
    resume: str | None = None,
    overwrite: bool = False,
    global_batch_size: int | None = None,
    micro_batch_size: int | None = None,
) -> Runner | None:
    """Train a config.

    Args:
        cfg (Config): Full config with ``work_dir`` and ``launcher``; changed in place.
        resume (str, optional): Checkpoint to resume from; 'auto' is the latest one in
            ``work_dir``, if any. Defaults to None: ``resume`` of the config.
        overwrite (bool): Whether a new run may start in a folder that contains
            checkpoints. Defaults to False.
        global_batch_size (int, optional): Images per step over all ranks. Defaults to
            None: that of the checkpoint to resume, or of the config.
        micro_batch_size (int, optional): Images that a rank computes at once, at most.
            Defaults to None: that of the checkpoint to resume, or no limit.

    Returns:
        Runner | None: After the training; None if the run to resume was finished.

    Raises:
        ConfigError: The config or the folder cannot be used.
        CheckpointError: The checkpoint to resume from is missing or incomplete.
        DataError: The images cannot be used.
        Preempted: The run was asked to stop, and has saved a checkpoint.
    """
    restart = is_restart(cfg.work_dir)
    if restart and has_saved(cfg.work_dir):
        print_log(
            f'This launch ({launch_identity()}) has already trained into '
            f'{cfg.work_dir}: it resumes from its last checkpoint.'
        )
        resume = 'auto'
    if resume is None and cfg.get('resume'):  # requested by the config
        resume = cfg.get('load_from') or 'auto'
    if resume is not None:
        set_resume(cfg, resume)
    use_tensorboard(cfg)
    meta = read_training_meta(cfg) if cfg.get('resume') else None
    if meta is not None:
        if is_finished(cfg, meta):
            return None
    elif not restart:
        check_work_dir(cfg, overwrite)
    batch = set_global_batch(
        cfg, read_ranks(cfg.launcher), global_batch_size, micro_batch_size, meta
    )
    check_run(cfg, ['train_dataloader', 'val_dataloader'])
    runner = build_runner(cfg, TrainRunner)
    claim(cfg.work_dir)
    runner.register_hook(ResumeHook())
    if batch is not None:
        runner.register_hook(GlobalBatchHook(batch))
    runner.register_hook(WholeCheckpointHook())
    runner.register_hook(StartupHook())
    runner.train()
    return runner


def use_tensorboard(cfg: Config) -> None:
    """Add a TensorBoard backend if tensorboard is installed.

    ``visualizer=dict(vis_backends=[...])`` with a TensorboardVisBackend or with any
    backend other than LocalVisBackend is left as it is.
    """
    visualizer = cfg.get('visualizer')
    if find_spec('tensorboard') is None or not visualizer:
        return
    backends = visualizer.get('vis_backends') or []
    if [class_name(each['type']) for each in backends] == ['LocalVisBackend']:
        visualizer.vis_backends = [*backends, dict(type='TensorboardVisBackend')]
