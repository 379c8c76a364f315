"""Transfer of a run's backbone to detection and segmentation on the fashion scenes."""

from pathlib import Path

from demo.scenes import SceneSettings, prepare_fashion_scenes
from demo.scenes.measures import percentages
from demo.scenes.runs import CONFIGS, load_config, shorten, train
from mmlgd.errors import ConfigError


def prepare_scenes(folder: Path, settings: dict) -> None:
    """Make the scenes that all runs share, of the options ``scenes`` of the settings."""
    prepare_fashion_scenes(folder / 'scenes', SceneSettings(**settings['scenes']))


def measure_transfer(
    folder: Path, checkpoint: Path | None, seed: int, settings: dict
) -> dict:
    """Fine-tune a detector and a segmenter, one after the other, on one thread.

    Args:
        folder (Path): Where they train; the scenes lie beside it.
        checkpoint (Path | None): Where the backbone starts from; None for random
            weights.
        seed (int): Of both trainings.
        settings (dict): ``tasks``, some of 'detection' and 'segmentation'; ``options``,
            dotted keys laid over their configs; ``short``.

    Returns:
        dict: ``box_ap``, ``mask_ap``, ``mIoU`` and ``aAcc`` in percent, as far as
        their task is asked for, and ``seconds``.

    Raises:
        ConfigError: A task is unknown, or the options do not fit its config.
        MMLGDError: A training failed, or measured nothing.
    """
    found, start = dict(seconds=0.0), checkpoint and str(checkpoint)
    for task in settings.get('tasks', CONFIGS):
        task_folder = folder.with_name(f'{folder.name}_{task}')
        cfg = load_config(task, start, seed, task_folder, short=False)
        try:
            cfg.merge_from_dict(settings.get('options', {}))
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"settings['transfer']['options'] do not fit {CONFIGS[task]}: {error}; "
                'correct them in the benchmark file.'
            ) from error
        # Last: the options give the length of a whole training.
        if settings.get('short', False):
            shorten(cfg)
        logged = train(cfg, 1)
        found['seconds'] += round(logged['seconds'], 1)
        for name, value in percentages(task, logged, task_folder).items():
            found[name] = round(value, 2)
    return found
