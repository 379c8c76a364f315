"""Transfer of a run's backbone to detection and segmentation on the fashion scenes."""

from collections.abc import Sequence
from pathlib import Path

from transfer.runs import CONFIGS, METRICS, load_config, train

from mmlgd.datasets.fashion_scenes import SceneSettings, prepare_fashion_scenes


def prepare_scenes(folder: Path, settings: dict) -> None:
    """Make the scenes that all runs share.

    Args:
        folder (Path): Of the transfers of a benchmark.
        settings (dict): ``scenes``, options of :class:`SceneSettings`.
    """
    prepare_fashion_scenes(folder / 'scenes', SceneSettings(**settings['scenes']))


def measure_transfer(
    folder: Path,
    checkpoint: Path | None,
    seed: int,
    settings: dict,
    keep_open: Sequence[int] = (),
) -> dict:
    """Fine-tune a detector and a segmenter, one after the other, on one thread.

    Args:
        folder (Path): Where they train; the scenes lie beside it.
        checkpoint (Path | None): Where the backbone starts from; None for random
            weights.
        seed (int): Of both trainings.
        settings (dict): ``tasks``, some of 'detection' and 'segmentation'; ``options``,
            dotted keys laid over their configs; ``short``.
        keep_open (Sequence[int]): As for ``run_process``.

    Returns:
        dict: ``box_ap``, ``mask_ap``, ``mIoU`` and ``aAcc`` in percent, as far as
        their task is asked for, and ``seconds``.
    """
    found = dict(seconds=0.0)
    for task in settings.get('tasks', CONFIGS):
        cfg = load_config(
            task,
            checkpoint and str(checkpoint),
            seed,
            folder.with_name(f'{folder.name}_{task}'),
            settings.get('short', False),
        )
        cfg.merge_from_dict(settings.get('options', {}))
        logged = train(cfg, 1, keep_open)
        found['seconds'] += round(logged['seconds'], 1)
        for name, (key, _, factor) in METRICS[task].items():
            found[name] = round(factor * logged[key], 2)
    return found
