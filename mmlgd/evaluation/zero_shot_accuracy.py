"""Zero-shot accuracy of student and teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import METRICS

from .accuracy import class_recalls, label_ranks, mean_recall
from .class_groups import resolve_groups
from .classes import LEFT_OUT, check_label_range, match_dataset

_SCORES = dict(student='pred_score', teacher='teacher_pred_score')


@METRICS.register_module()
class ZeroShotAccuracy(BaseMetric):
    """Zero-shot accuracies of student and teacher, in percent.

    Reports ``zero_shot/student_top1``, ``zero_shot/student_top5``,
    ``zero_shot/student_balanced`` (the mean recall of the classes with images) and, for
    each group with images, ``zero_shot/student_<group>`` (the mean recall within the
    group). The same metrics are reported for the teacher if the predictions contain its
    scores. Of equal scores, the name with the lower index ranks first.

    ``SemanticsBankHook`` passes the names of the scores to the metric, see
    :meth:`match`, and writes the accuracy of each class to a file next to the log.
    Without names and dataset, labels are indices of the scores.

    Args:
        topk (int | Sequence[int]): Values of k; those above the number of names are
            omitted. Defaults to (1, 5).
        groups (Mapping[str, Sequence[str]], optional): Names of each group. Defaults to
            None.
        class_counts (Mapping[str, int] | Sequence[int], optional): Training images of
            each name, for the groups ``many``, ``medium`` and ``few``. Defaults to
            None.
        shots (tuple[int, int]): Names with fewer training images than the first number
            form ``few``, those with more than the second ``many``. Defaults to (20, 100).
        class_names (Mapping[str, str | None], optional): Names of dataset classes that
            are spelled differently; None excludes a class. Defaults to None.
        teacher_once (bool): Whether the teacher's accuracies are computed only at the
            first validation of a run and repeated afterwards. They are constant, since
            validation has no random transforms. Defaults to True.
        collect_device (str): 'cpu' or 'gpu'. Defaults to 'cpu'.
        prefix (str, optional): Replaces ``zero_shot``. Defaults to None.

    Attributes:
        per_class (list[dict]): Set by ``evaluate`` on the main process: ``name``,
            ``images``, ``student`` and, if known, ``teacher``; the accuracies are in
            percent, or None without images.
    """

    default_prefix = 'zero_shot'

    def __init__(
        self,
        topk: int | Sequence[int] = (1, 5),
        groups: Mapping[str, Sequence[str]] | None = None,
        class_counts: Mapping[str, int] | Sequence[int] | None = None,
        shots: tuple[int, int] = (20, 100),
        class_names: Mapping[str, str | None] | None = None,
        teacher_once: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.groups = groups
        self.class_counts = class_counts
        self.shots = shots
        self.class_names = class_names
        self.teacher_once = teacher_once
        self.per_class: list[dict] = []
        self._dataset: Any = None
        self._names: list[str] | None = None
        # Name index of each label of the dataset.
        self._to_name: torch.Tensor | None = None
        self._groups: dict[str, list[int]] = {}
        self._num_scores = 0
        self._teacher: dict[str, float] = {}
        self._teacher_recalls: list[float] | None = None

    def match(
        self, dataset: Any, names: Sequence[str], place: str = 'val_dataloader'
    ) -> None:
        """Set the evaluated dataset and the names of the scores.

        Args:
            dataset (Any): The evaluated dataset, which may be wrapped.
            names (Sequence[str]): The C names.
            place (str): Name of the dataset in messages.

        Raises:
            ConfigError: Classes or groups do not match the names.
            DataError: The dataset is empty, or a label has no class.
        """
        names = list(names)
        if self._dataset is dataset and self._names == names:
            return
        matched = match_dataset(dataset, names, place, self.class_names)
        self._groups = resolve_groups(self.groups, self.class_counts, self.shots, names)
        self._to_name = torch.tensor(matched)
        self._dataset, self._names = dataset, names
        self._teacher, self._teacher_recalls = {}, None

    @property
    def teacher_is_known(self) -> bool:
        """Whether predictions no longer need the teacher's scores."""
        return self.teacher_once and self._dataset is not None and bool(self._teacher)

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Store the label, the name and the rank of the correct name of each image.

        Raises:
            ConfigError: The names are unknown, or their number differs from the scores'.
            DataError: A sample has no label, several labels or one without a class, or
                its scores are not finite.
        """
        labels = torch.cat([_label(sample) for sample in data_samples])
        names = self._to_names(labels)
        columns = [labels, names]
        models = [who for who, key in _SCORES.items() if key in data_samples[0]]
        for who in models:
            scores = torch.stack([sample[_SCORES[who]] for sample in data_samples])
            self._check_width(scores.shape[1])
            ranks = label_ranks(scores, names.clamp(0, scores.shape[1] - 1))
            finite = scores.isfinite().all(dim=1)
            columns += [ranks.where(finite, ranks.new_tensor(-1))]
        # The only transfer to the host for this batch.
        rows = torch.stack(columns, dim=1).tolist()
        num_classes = self._num_scores if self._to_name is None else len(self._to_name)
        for row, sample in zip(rows, data_samples):
            path = sample.get('img_path', 'an image')
            if not 0 <= row[0] < num_classes:
                check_label_range(row[:1], num_classes, f'the dataset ({path})')
            if -1 in row[2:]:
                raise DataError(
                    f'the scores of {models[row[2:].index(-1)]} for {path} are not finite: '
                    'the weights are broken, as after a diverged training.'
                )
        self.results.extend(rows)

    def evaluate(self, size: int) -> dict[str, float]:
        """See :meth:`mmengine.evaluator.BaseMetric.evaluate`.

        Raises:
            DataError: There are no images.
        """
        if size == 0:
            raise DataError('the evaluated dataset has no images: check its paths.')
        metrics = super().evaluate(size)
        start = f'{self.prefix}/teacher_'
        found = {key: value for key, value in metrics.items() if key.startswith(start)}
        self._teacher = found or self._teacher
        return metrics | self._teacher if self.teacher_is_known else metrics

    def compute_metrics(self, results: list[list[int]]) -> dict[str, float]:
        """Accuracies in percent over all images that are not excluded."""
        table = torch.tensor(results)
        table = table[table[:, 1] != LEFT_OUT]
        if not len(table):
            raise DataError('class_names excludes all images of the dataset.')
        names, metrics, recalls = table[:, 1], {}, {}
        for who, ranks in zip(_SCORES, table[:, 2:].T):
            for k in self.topk:
                if k <= self._num_scores:
                    metrics[f'{who}_top{k}'] = 100 * (ranks < k).double().mean().item()
            recalls[who], counts = class_recalls(names, ranks == 0, self._num_scores)
            metrics[f'{who}_balanced'] = mean_recall(recalls[who])
            for group, members in self._groups.items():
                if counts[members].any():
                    metrics[f'{who}_{group}'] = mean_recall(recalls[who], members)
        if 'teacher' in recalls:
            self._teacher_recalls = recalls['teacher'].tolist()
        self._keep_per_class(recalls['student'].tolist(), counts.tolist())
        return metrics

    def _keep_per_class(self, student: list[float], counts: list[int]) -> None:
        columns = dict(student=student)
        if self._teacher_recalls is not None:
            columns['teacher'] = self._teacher_recalls
        names = self._names or [str(index) for index in range(len(counts))]
        self.per_class = [
            dict(
                name=name,
                images=count,
                **{
                    who: round(c[i], 2) if count else None for who, c in columns.items()
                },
            )
            for i, (name, count) in enumerate(zip(names, counts))
        ]

    def _to_names(self, labels: torch.Tensor) -> torch.Tensor:
        """Index of the name of each label; arbitrary for labels that are out of range."""
        if self._to_name is not None:
            self._to_name = self._to_name.to(labels.device)
            return self._to_name[labels.clamp(0, len(self._to_name) - 1)]
        if self.dataset_meta is not None:
            raise ConfigError(
                'ZeroShotAccuracy does not know the names of the scores; add '
                "dict(type='SemanticsBankHook') to custom_hooks, or call match()."
            )
        return labels

    def _check_width(self, num_scores: int) -> None:
        if self._names is not None and num_scores != len(self._names):
            raise ConfigError(
                f'predictions have {num_scores} scores, but the dataset was matched to '
                f'{len(self._names)} names; match it to the names of the model.'
            )
        self._num_scores = num_scores


def _label(sample: dict) -> torch.Tensor:
    label = sample.get('gt_label')
    if label is None or label.numel() != 1:
        found = 'no label' if label is None else f'{label.numel()} labels'
        raise DataError(
            f'The validation image {sample.get("img_path", "?")} has {found}; use a '
            'dataset with one label per image in val_dataloader, or run with '
            '--no-validate.'
        )
    return label.flatten().long()
