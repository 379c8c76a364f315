"""Functions of SemanticsBankHook for the evaluation of zero-shot prediction."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmlgd.errors import ConfigError
from mmlgd.evaluation import ZeroShotAccuracy, match_dataset
from mmlgd.evaluation.accuracy import worst_classes
from mmlgd.utils.atomic import write_atomically


def match_names(model: torch.nn.Module, loop: BaseLoop, place: str) -> None:
    """Pass the names that the model predicts to the metrics of a loop.

    Args:
        model (torch.nn.Module): Model with a ``prediction_bank``.
        loop (BaseLoop): The validation or test loop.
        place (str): Name of its dataset in messages.

    Raises:
        ConfigError: The model has no names, or they do not match the dataset's classes.
        DataError: The dataset is empty or its labels match no class.
    """
    bank = model.prediction_bank
    if bank is None:
        raise ConfigError(
            f'{place} is set, but {type(model).__name__} has no names to predict; set '
            "model.zero_shot_bank=dict(type='TextualSemanticsBank', categories=...), or "
            'pass --no-validate.'
        )
    dataset, metrics = loop.dataloader.dataset, _zero_shot_metrics(loop)
    for metric in metrics:
        metric.match(dataset, bank.category_names, place)
    if not metrics:
        matched = match_dataset(dataset, bank.category_names, place)
        if matched != list(range(len(matched))):
            print_log(
                f'The classes of {place} are in another order than the names. Only '
                'ZeroShotAccuracy accounts for that: another metric that compares '
                'labels with predictions will be wrong.',
                'current',
                logging.WARNING,
            )


def teacher_is_known(loop: BaseLoop) -> bool:
    """Whether no metric of a loop needs the teacher's scores."""
    metrics = getattr(loop.evaluator, 'metrics', [])
    return bool(metrics) and all(
        getattr(metric, 'teacher_is_known', False) for metric in metrics
    )


def report_classes(
    runner: Runner, loop: BaseLoop, mode: str, metrics: Mapping[str, float] | None
) -> None:
    """Write the accuracy of each class to the folder of the log; log the worst.

    ``<work_dir>/<timestamp>/per_class/zero_shot_<mode>.json`` contains the latest
    evaluation.

    Args:
        runner (Runner): The run.
        loop (BaseLoop): The validation or test loop.
        mode (str): ``val`` or ``test``.
        metrics (Mapping[str, float], optional): All metrics of the evaluation.
    """
    if not is_main_process():
        return
    for metric in _zero_shot_metrics(loop):
        name = f'{metric.prefix}_{mode}.json'.replace('/', '_')
        # A separate folder: the log's folder must contain only mmengine's JSON report.
        path = Path(runner.log_dir) / 'per_class' / name
        found = dict(
            epoch=runner.epoch,
            iter=runner.iter,
            metrics=dict(metrics or {}),
            classes=metric.per_class,
        )
        write_atomically(path, json.dumps(found, indent=1, ensure_ascii=False) + '\n')
        worst = worst_classes({row['name']: row['student'] for row in metric.per_class})
        shown = ', '.join(f'{name} {value:.1f}' for name, value in worst)
        runner.logger.info(f'Lowest student accuracies: {shown}. All classes: {path}')


def _zero_shot_metrics(loop: BaseLoop) -> list[ZeroShotAccuracy]:
    metrics = getattr(loop.evaluator, 'metrics', [])
    return [metric for metric in metrics if isinstance(metric, ZeroShotAccuracy)]
