"""The sample of a report agrees with predictions made image by image."""

import base64

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmlgd.errors import ConfigError, DataError
from mmlgd.report import measure_sample, read_sample, write_sample
from tests.toys import NAMES, toy_lgd


class Images(torch.utils.data.Dataset):
    """Random images with labels and paths, in memory."""

    metainfo = dict(classes=list(reversed(NAMES)))

    def __init__(self, number=40):
        generator = torch.Generator().manual_seed(1)
        size = (number, 3, 16, 16)
        self.images = torch.randint(0, 255, size, generator=generator).byte()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        sample = DataSample().set_gt_label(index % 4)
        sample.set_field(f'{index}.png', 'img_path', field_type='metainfo')
        return dict(inputs=self.images[index], data_samples=sample)


@pytest.fixture
def model():
    return toy_lgd()


def predictions(model, dataset):
    """Names and confidences of student and teacher, one image at a time."""
    model.eval()
    rows = []
    for item in (
        dataset
        if isinstance(dataset, list)
        else map(dataset.__getitem__, range(len(dataset)))
    ):
        inputs = model.data_preprocessor(dict(inputs=[item['inputs']]))['inputs']
        sample = model(inputs, mode='predict')[0]
        student, teacher = sample.pred_score, sample.teacher_pred_score
        rows.append((student.argmax(), student.max(), teacher.argmax(), teacher.max()))
    return torch.tensor(rows)


def test_counts_agreement_and_calibration_with_labels(model):
    dataset = Images()
    sample = measure_sample(model, dataset, 'val_dataloader', batch_size=7)
    student, confidence, teacher, _ = predictions(model, dataset).T
    assert (sample.images, sample.available, sample.ended_early) == (40, 40, False)
    for c in range(4):
        assert sample.student_counts[c] == int((student == c).sum())
        assert sample.teacher_counts[c] == int((teacher == c).sum())
        assert sample.agreed[c] == int(((teacher == c) & (student == c)).sum())
    # The classes are the names in the opposite order.
    labels = torch.tensor([3 - i % 4 for i in range(40)])
    bins = sample.calibration['student']
    assert sum(count for count, _, _ in bins) == 40
    right = sum(count * share for count, _, share in bins)
    assert right == pytest.approx(float((student == labels).sum()))
    mean = sum(count * value for count, value, _ in bins) / 40
    assert mean == pytest.approx(confidence.mean().item(), abs=1e-5)
    assert sample.correct == 'labels'


def test_without_labels_the_teacher_is_what_is_right(model):
    dataset = Images()
    sample = measure_sample(model, dataset, 'train_dataloader', labelled=False)
    student, _, teacher, _ = predictions(model, dataset).T
    assert sample.correct == 'teacher'
    assert set(sample.calibration) == {'student'}
    right = sum(count * share for count, _, share in sample.calibration['student'])
    assert right == pytest.approx(float((student == teacher).sum()))
    assert not any(example.label for example in sample.examples)


def test_examples_are_those_with_other_names_the_least_similar_first(model):
    dataset = Images()
    sample = measure_sample(model, dataset, 'val_dataloader')
    student, _, teacher, _ = predictions(model, dataset).T
    differing = {f'{i}.png' for i in range(40) if student[i] != teacher[i]}
    assert differing
    shown = [example.path for example in sample.examples]
    assert set(shown) <= differing and len(shown) == min(len(differing), 24)
    cosines = [example.cosine for example in sample.examples]
    assert cosines == sorted(cosines)
    index = int(shown[0].removesuffix('.png'))
    assert sample.examples[0].student == NAMES[int(student[index])]
    data = np.frombuffer(base64.b64decode(sample.examples[0].image), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    wanted = dataset.images[index].permute(1, 2, 0).numpy()
    # JPEG changes noise; its mean colour stays.
    assert np.abs(image.mean((0, 1)) - wanted.mean((0, 1))).max() < 6


def test_a_smaller_sample_is_drawn_at_random_and_repeated(model):
    dataset = Images()
    first = measure_sample(model, dataset, 'val_dataloader', 10)
    again = measure_sample(model, dataset, 'val_dataloader', 10)
    assert first.images == 10 and first.available == 40
    assert first.examples == again.examples
    assert {int(e.path.removesuffix('.png')) for e in first.examples} - set(range(10))


def test_it_ends_when_the_time_is_up_and_says_so(model):
    sample = measure_sample(
        model, Images(), 'val_dataloader', max_seconds=0, batch_size=8
    )
    assert sample.images == 8 and sample.ended_early


def test_the_mode_of_the_model_is_restored(model):
    model.train()
    measure_sample(model, Images(4), 'val_dataloader')
    assert model.training and model.backbone.training


def test_a_model_without_names_has_only_similarities():
    from mmlgd.registry import MODELS

    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='FeatureMimicry',
            teacher=dict(type='ToyTeacher'),
            backbone=dict(type='ToyBackbone'),
        )
    )
    sample = measure_sample(model, Images(6), 'val_dataloader')
    assert sample.names == [] and sample.agreed == [] and sample.calibration == {}
    assert len(sample.examples) == 6 and sample.examples[0].teacher == ''
    assert -1 <= sample.cosine <= 1


def test_no_images_are_refused(model):
    with pytest.raises(ConfigError, match='val_dataloader has no images'):
        measure_sample(model, Images(0), 'val_dataloader')
    with pytest.raises(ConfigError, match='number of images'):
        measure_sample(model, Images(), 'val_dataloader', 0)


def test_a_sample_is_read_as_it_was_written(model, tmp_path):
    sample = measure_sample(model, Images(), 'val_dataloader')
    write_sample(sample, tmp_path)
    found = read_sample(tmp_path)
    assert found.examples == sample.examples and found.agreed == sample.agreed
    assert read_sample(tmp_path / 'absent') is None


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('images', 0, 'images cannot be 0'),
        ('agreed', [1, 2], 'agreed has 2 entries for 4 names'),
        ('calibration', dict(student=[[1, 2]]), 'calibration cannot be'),
        ('names', [1, 2, 3, 4], 'names cannot be'),
        ('examples', [3], 'contains int, not a dict'),
        ('examples', 3, 'examples is int, not list'),
    ],
)
def test_a_damaged_file_is_refused(model, tmp_path, key, value, message):
    import json

    path = write_sample(measure_sample(model, Images(4), 'val_dataloader'), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(DataError, match=message):
        read_sample(tmp_path)
