"""A training from its config, as ``mmlgd train`` and ``mmlgd distill`` run it."""

from importlib.util import find_spec

from mmengine.config import Config
from mmengine.runner import Runner

from mmlgd.engine.hooks import ResumeHook, StartupHook, WholeCheckpointHook
from mmlgd.engine.tool_runner import TrainRunner
from mmlgd.utils.config_types import class_name
from mmlgd.utils.resume import check_work_dir, is_finished, set_resume
from mmlgd.utils.run_config import build_runner, check_run


def train_config(
    cfg: Config, resume: str | None = None, overwrite: bool = False
) -> Runner | None:
    """Train a config.

    Args:
        cfg (Config): Full config with ``work_dir`` and ``launcher``; changed in place.
        resume (str, optional): Checkpoint to resume from; 'auto' is the latest one in
            ``work_dir``, if any. Defaults to None: ``resume`` of the config.
        overwrite (bool): Whether a new run may start in a folder that contains
            checkpoints. Defaults to False.

    Returns:
        Runner | None: After the training; None if the run to resume was finished.

    Raises:
        ConfigError: The config or the folder cannot be used.
        CheckpointError: The checkpoint to resume from is missing or incomplete.
        DataError: The images cannot be used.
    """
    if resume is None and cfg.get('resume'):  # requested by the config
        resume = cfg.get('load_from') or 'auto'
    if resume is not None:
        set_resume(cfg, resume)
    use_tensorboard(cfg)
    if not cfg.get('resume'):
        check_work_dir(cfg, overwrite)
    elif is_finished(cfg):
        return None
    check_run(cfg, ['train_dataloader', 'val_dataloader'])
    runner = build_runner(cfg, TrainRunner)
    runner.register_hook(ResumeHook())
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
