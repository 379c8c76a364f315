"""Zero-shot accuracy of student and teacher."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.evaluation import Accuracy

from mmlgd.errors import DataError
from mmlgd.registry import METRICS

_SCORES = dict(student='pred_score', teacher='teacher_pred_score')


@METRICS.register_module()
class ZeroShotAccuracy(BaseMetric):
    """Top-k accuracy, in percent, of the names chosen by student and teacher.

    Reported as ``zero_shot/student_top1`` and so on; the teacher's where the
    predictions carry its scores.

    Args:
        topk (int | Sequence[int]): The k; one above the number of categories is
            left out. Defaults to (1, 5).
        collect_device (str): 'cpu' or 'gpu'. Defaults to 'cpu'.
        prefix (str, optional): Replaces ``zero_shot``. Defaults to None.
    """

    default_prefix = 'zero_shot'

    def __init__(
        self,
        topk: int | Sequence[int] = (1, 5),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep labels and scores of one batch.

        Raises:
            DataError: A sample has no label.
        """
        for sample in data_samples:
            if 'gt_label' not in sample:
                raise DataError(
                    f'The validation image {sample.get("img_path", "?")} has no label; use a '
                    'labelled data set in val_dataloader, or run with --no-validate.'
                )
            result = {
                who: sample[key].cpu() for who, key in _SCORES.items() if key in sample
            }
            self.results.append(dict(result, label=sample['gt_label'].cpu()))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Accuracies in percent over the whole set."""
        labels = torch.cat([result['label'] for result in results])
        metrics = {}
        for who in _SCORES:
            if who not in results[0]:
                continue
            scores = torch.stack([result[who] for result in results])
            topk = [k for k in self.topk if k <= scores.shape[1]]
            # No threshold: at a temperature of 0.01 low ranks underflow to 0.
            accuracies = Accuracy.calculate(scores, labels, topk=topk, thrs=(None,))
            for k, (accuracy,) in zip(topk, accuracies):
                metrics[f'{who}_top{k}'] = accuracy.item()
        return metrics
