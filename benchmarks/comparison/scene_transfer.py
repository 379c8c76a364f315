"""Transfer of a run's backbone to detection and segmentation on the fashion scenes."""

from pathlib import Path

from mmengine.config import Config

from demo.scenes import SceneSettings, prepare_fashion_scenes
from demo.scenes.measures import percentages
from demo.scenes.runs import CONFIGS, load_config, shorten, train
from mmlgd.errors import ConfigError


def prepare_scenes(folder: Path, settings: dict) -> None:
    """Create the scenes for all runs, with the options ``scenes`` of the settings."""
    prepare_fashion_scenes(folder / 'scenes', SceneSettings(**settings['scenes']))


def measure_transfer(
    folder: Path, checkpoint: Path | None, seed: int, settings: dict
) -> dict:
    """Fine-tune a detector and then a segmentor, on one thread.

    Args:
        folder (Path): Work directory; the scenes are in a folder next to it.
        checkpoint (Path | None): Initial weights of the backbone; None for random
            weights.
        seed (int): Seed of both trainings.
        settings (dict): ``tasks``, a subset of 'detection' and 'segmentation';
            ``iterations``; ``options``, dotted keys that override their configs;
            ``short``.

    Returns:
        dict: ``box_ap``, ``mask_ap``, ``mIoU`` and ``aAcc`` in percent for the
        requested tasks, and ``seconds``.

    Raises:
        ConfigError: A task is unknown, or the options do not match its config.
        MMLGDError: A training failed or logged no metric.
    """
    found, start = dict(seconds=0.0), checkpoint and str(checkpoint)
    for task in settings.get('tasks', CONFIGS):
        task_folder = folder.with_name(f'{folder.name}_{task}')
        cfg = load_config(task, start, seed, task_folder, short=False)
        try:
            cfg.merge_from_dict(settings.get('options', {}))
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"settings['transfer']['options'] do not match {CONFIGS[task]}: {error}; "
                'correct them in the benchmark file.'
            ) from error
        # After the options, which may set another length.
        if 'iterations' in settings:
            _set_length(cfg, settings['iterations'])
        if settings.get('short', False):
            shorten(cfg)
        logged = train(cfg, 1)
        found['seconds'] += round(logged['seconds'], 1)
        for name, value in percentages(task, logged, task_folder).items():
            found[name] = round(value, 2)
    return found


def _set_length(cfg: Config, iterations: int) -> None:
    """Shorten or extend the schedule; the warm-up keeps its length."""
    warm_up = cfg.param_scheduler[1].begin
    if iterations <= warm_up:
        raise ConfigError(
            f'{iterations} iterations of transfer are not more than the {warm_up} of the '
            'warm-up; set more.'
        )
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)
    cfg.default_hooks.checkpoint.interval = iterations
    decay = cfg.param_scheduler[1]
    decay.update(T_max=iterations - warm_up, end=iterations)
