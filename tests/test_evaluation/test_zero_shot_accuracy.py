import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, recall_score

from mmlgd.errors import ConfigError, DataError
from mmlgd.evaluation import ZeroShotAccuracy
from tests.test_evaluation.test_classes import Labelled
from tests.two_ranks import run_on_two_ranks


def sample(label, student, teacher=None):
    fields = dict(gt_label=torch.tensor([label]), pred_score=torch.tensor(student))
    if teacher is not None:
        fields['teacher_pred_score'] = torch.tensor(teacher)
    return fields


def samples_of(labels, student, teacher=None):
    teacher = [None] * len(labels) if teacher is None else teacher.tolist()
    return [sample(*row) for row in zip(labels.tolist(), student.tolist(), teacher)]


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
    # Of three names there is no top-5. Balanced: (100 + 0 + 50) / 3, (0 + 0 + 50) / 3.
    assert found == {
        'zero_shot/student_top1': pytest.approx(50),
        'zero_shot/student_top2': pytest.approx(75),
        'zero_shot/student_balanced': pytest.approx(50),
        'zero_shot/teacher_top1': pytest.approx(25),
        'zero_shot/teacher_top2': pytest.approx(50),
        'zero_shot/teacher_balanced': pytest.approx(50 / 3),
    }


def test_scores_of_zero_count_in_their_rank():
    metric = ZeroShotAccuracy(topk=(3,))
    metric.process(None, [sample(2, [1.0, 0.0, 0.0])])
    assert metric.evaluate(1)['zero_shot/student_top3'] == pytest.approx(100)


def test_student_alone():
    metric = ZeroShotAccuracy()
    metric.process(None, [sample(0, [0.9, 0.1])])
    found = {'zero_shot/student_top1', 'zero_shot/student_balanced'}
    assert set(metric.evaluate(1)) == found


def test_of_equal_scores_the_first_name_wins():
    metric = ZeroShotAccuracy(topk=(1, 2))
    metric.process(None, [sample(1, [0.4, 0.4, 0.2]), sample(0, [0.4, 0.4, 0.2])])
    found = metric.evaluate(2)
    assert found['zero_shot/student_top1'] == pytest.approx(50)
    assert found['zero_shot/student_top2'] == pytest.approx(100)


NAMES = ['cat', 'dog', 'bird', 'fish', 'wolf']


def random_case(number=200, seed=0):
    """Labels of a long tail (class 4 has no images) and scores that are often right."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.tensor([100.0, 30.0, 10.0, 3.0])
    labels = torch.multinomial(weights, number, replacement=True, generator=generator)
    noise = torch.randn(number, 5, generator=generator)
    return labels, (torch.eye(5)[labels] * 1.5 + noise).softmax(1)


def test_balanced_grouped_and_single_accuracies_are_those_of_sklearn():
    labels, scores = random_case()
    groups = dict(pets=['cat', 'dog'], wild=['wolf', 'fish'])
    counts = dict(cat=500, dog=100, bird=20, fish=19, wolf=1)
    metric = ZeroShotAccuracy(groups=groups, class_counts=counts)
    metric.match(Labelled([0], NAMES), NAMES)
    for rows in torch.arange(200).split(64):
        metric.process(None, samples_of(labels[rows], scores[rows]))
    found = metric.evaluate(200)

    predicted = scores.argmax(1)
    recalls = recall_score(labels, predicted, labels=range(4), average=None) * 100
    assert found['zero_shot/student_balanced'] == pytest.approx(
        100 * balanced_accuracy_score(labels, predicted)
    )
    assert found['zero_shot/student_pets'] == pytest.approx(recalls[:2].mean())
    # Wolf has no images.
    assert found['zero_shot/student_wild'] == pytest.approx(recalls[3])
    assert found['zero_shot/student_many'] == pytest.approx(recalls[0])
    assert found['zero_shot/student_medium'] == pytest.approx(recalls[1:3].mean())
    assert found['zero_shot/student_few'] == pytest.approx(recalls[3])
    rows = metric.per_class
    assert [row['name'] for row in rows] == NAMES
    assert [row['images'] for row in rows] == labels.bincount(minlength=5).tolist()
    wanted = [pytest.approx(value, abs=0.005) for value in recalls] + [None]
    assert [row['student'] for row in rows] == wanted


def test_labels_in_another_order_give_the_same_accuracies():
    labels, scores = random_case()
    wanted = ZeroShotAccuracy()
    wanted.match(Labelled([0], NAMES), NAMES)
    wanted.process(None, samples_of(labels, scores))
    found = ZeroShotAccuracy()
    found.match(Labelled([0], NAMES[::-1]), NAMES)
    found.process(None, samples_of(4 - labels, scores))
    assert found.evaluate(200) == wanted.evaluate(200)
    assert found.per_class == wanted.per_class


def test_classes_that_are_left_out_count_in_nothing():
    metric = ZeroShotAccuracy(class_names=dict(clutter=None))
    metric.match(Labelled([0], ['cat', 'clutter', 'dog']), ['cat', 'dog'])
    metric.process(
        None, [sample(0, [0.9, 0.1]), sample(1, [0.9, 0.1]), sample(2, [0.9, 0.1])]
    )
    assert metric.evaluate(3)['zero_shot/student_top1'] == pytest.approx(50)
    assert [row['images'] for row in metric.per_class] == [1, 1]


def test_the_teacher_is_known_after_the_first_validation_of_the_same_images():
    dataset = Labelled([0, 1], NAMES)
    labels, student = torch.tensor([0, 1]), torch.eye(5)[[0, 1]]
    teacher = torch.eye(5)[[0, 2]]
    metric = ZeroShotAccuracy()
    metric.match(dataset, NAMES)
    assert not metric.teacher_is_known
    metric.process(None, samples_of(labels, student, teacher))
    first = metric.evaluate(2)
    assert first['zero_shot/teacher_top1'] == 50
    metric.match(dataset, NAMES)
    assert metric.teacher_is_known
    metric.process(None, samples_of(labels, student))
    assert metric.evaluate(2) == first
    assert metric.per_class[1] == dict(name='dog', images=1, student=100, teacher=0)
    # Other images: nothing is known of them.
    metric.match(Labelled([1, 0], NAMES), NAMES)
    assert not metric.teacher_is_known
    metric.process(None, samples_of(labels, student))
    assert 'zero_shot/teacher_top1' not in metric.evaluate(2)
    assert 'teacher' not in metric.per_class[0]


def test_the_teacher_can_be_asked_every_time():
    metric = ZeroShotAccuracy(teacher_once=False)
    metric.match(Labelled([0], NAMES), NAMES)
    metric.process(None, [sample(0, [1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0])])
    metric.evaluate(1)
    assert not metric.teacher_is_known


def evaluate_on_ranks(rank):
    """Five images on two ranks: the sampler repeats the first to fill the last batch."""
    labels, scores = random_case(5)
    order = [0, 1, 2, 3, 4, 0][rank::2]
    metric = ZeroShotAccuracy()
    metric.match(Labelled([0], NAMES), NAMES)
    metric.process(None, samples_of(labels[order], scores[order], scores[order]))
    first = metric.evaluate(5)
    metric.process(None, samples_of(labels[order], scores[order]))
    return dict(first=first, second=metric.evaluate(5), known=metric.teacher_is_known)


@pytest.mark.slow
def test_two_ranks_agree_with_one_and_repeat_no_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels, scores = random_case(5)
    metric = ZeroShotAccuracy()
    metric.match(Labelled([0], NAMES), NAMES)
    metric.process(None, samples_of(labels, scores, scores))
    wanted = metric.evaluate(5)
    for found in run_on_two_ranks(evaluate_on_ranks, tmp_path):
        assert found['first'] == wanted
        assert found['second'] == wanted
        assert found['known']


class Transfers(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts values that are read from tensors one by one."""

    def __init__(self):
        super().__init__()
        self.scalars = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.scalars += '_local_scalar_dense' in str(function)
        return function(*args, **(kwargs or {}))


def test_no_value_of_an_image_is_read_by_itself_and_no_scores_are_kept():
    labels, scores = random_case(64)
    metric = ZeroShotAccuracy()
    metric.match(Labelled([0], NAMES), NAMES)
    batch = samples_of(labels, scores, scores)
    with Transfers() as transfers:
        metric.process(None, batch)
    assert transfers.scalars == 0
    assert all(isinstance(value, int) for row in metric.results for value in row)
    assert {len(row) for row in metric.results} == {4}


def test_image_without_one_label_is_refused():
    with pytest.raises(DataError, match='a.jpg has no label'):
        ZeroShotAccuracy().process(
            None, [dict(img_path='a.jpg', pred_score=torch.ones(2))]
        )
    two = dict(gt_label=torch.tensor([0, 1]), pred_score=torch.ones(2))
    with pytest.raises(DataError, match='has 2 labels'):
        ZeroShotAccuracy().process(None, [two])


@pytest.mark.parametrize('label', [-1, 5])
def test_label_that_no_class_has_is_refused(label):
    metric = ZeroShotAccuracy()
    metric.match(Labelled([0], NAMES), NAMES)
    broken = dict(sample(label, [1.0, 0, 0, 0, 0]), img_path='a.jpg')
    with pytest.raises(
        DataError, match=rf'a.jpg\) has labels from {label}.* 5 classes'
    ):
        metric.process(None, [broken])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('who', ['student', 'teacher'])
def test_non_finite_scores_are_an_error(who, value):
    scores = dict(student=[0.9, 0.1], teacher=[0.9, 0.1])
    scores[who] = [value, 0.1]
    broken = dict(sample(0, **scores), img_path='a.jpg')
    with pytest.raises(DataError, match=f'scores of {who} for a.jpg are not finite'):
        ZeroShotAccuracy().process(None, [sample(0, [0.9, 0.1], [0.9, 0.1]), broken])


def test_empty_set_is_refused():
    with pytest.raises(DataError, match='has no images'):
        ZeroShotAccuracy().evaluate(0)


def test_names_must_be_known_and_as_many_as_the_scores():
    metric = ZeroShotAccuracy()
    metric.dataset_meta = dict(classes=['dog', 'cat'])
    with pytest.raises(ConfigError, match='does not know the names.*SemanticsBankHook'):
        metric.process(None, [sample(0, [0.9, 0.1])])
    metric.match(Labelled([0], NAMES), NAMES)
    with pytest.raises(ConfigError, match='2 scores, .* matched to 5 names'):
        metric.process(None, [sample(0, [0.9, 0.1])])


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(groups=dict(pets=['cta'])), "'cta', which is .* Did you mean 'cat'"),
        (dict(groups=dict(pets=[])), 'at least one name'),
        (
            dict(groups=dict(balanced=['cat'])),
            "'balanced', which is the name of a metric",
        ),
        (dict(class_counts=[1, 2]), '2 counts for 5 names'),
        (dict(class_counts=dict(cat=1, wofl=2)), 'missing: .*unknown: .*wofl'),
        (dict(class_counts=[1] * 5, shots=(100, 20)), 'two ascending counts'),
    ],
)
def test_invalid_groups_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ZeroShotAccuracy(**options).match(Labelled([0], NAMES), NAMES)
