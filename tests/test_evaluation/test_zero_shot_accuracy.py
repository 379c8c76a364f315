import pytest
import torch

from mmlgd.errors import DataError
from mmlgd.evaluation import ZeroShotAccuracy


def sample(label, student, teacher=None):
    fields = dict(gt_label=torch.tensor([label]), pred_score=torch.tensor(student))
    if teacher is not None:
        fields['teacher_pred_score'] = torch.tensor(teacher)
    return fields


def test_top1_and_top2_by_hand():
    metric = ZeroShotAccuracy(topk=(1, 2, 5))
    # Ranks of the labels: 1, 2, 3, 1 by the student; 3, 3, 2, 1 by the teacher.
    metric.process(
        None,
        [
            sample(0, [0.7, 0.2, 0.1], [0.1, 0.7, 0.2]),
            sample(1, [0.6, 0.3, 0.1], [0.6, 0.1, 0.3]),
        ],
    )
    metric.process(
        None,
        [
            sample(2, [0.5, 0.3, 0.2], [0.1, 0.5, 0.4]),
            sample(2, [0.1, 0.2, 0.7], [0.0, 0.1, 0.9]),
        ],
    )
    found = metric.evaluate(4)
    # Of three names there is no top-5.
    assert found == {
        'zero_shot/student_top1': pytest.approx(50),
        'zero_shot/student_top2': pytest.approx(75),
        'zero_shot/teacher_top1': pytest.approx(25),
        'zero_shot/teacher_top2': pytest.approx(50),
    }


def test_scores_of_zero_count_in_their_rank():
    metric = ZeroShotAccuracy(topk=(3,))
    metric.process(None, [sample(2, [1.0, 0.0, 0.0])])
    assert metric.evaluate(1)['zero_shot/student_top3'] == pytest.approx(100)


def test_student_alone():
    metric = ZeroShotAccuracy()
    metric.process(None, [sample(0, [0.9, 0.1])])
    assert set(metric.evaluate(1)) == {'zero_shot/student_top1'}


def test_image_without_label_is_refused():
    with pytest.raises(DataError, match='a.jpg has no label'):
        ZeroShotAccuracy().process(
            None, [dict(img_path='a.jpg', pred_score=torch.ones(2))]
        )
