import pytest
import torch
from mmpretrain.structures import DataSample

from mmlgd.datasets.transforms.photometric import OPERATIONS
from mmlgd.errors import ConfigError
from mmlgd.models import DistillDataPreprocessor

MEAN, STD = [10.0, 20.0, 30.0], [1.0, 2.0, 4.0]


def preprocessor():
    return DistillDataPreprocessor(mean=MEAN, std=STD, to_rgb=True)


def batch(size, seed, number=3):
    generator = torch.Generator().manual_seed(seed)
    shape = (number, 3, size, size)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def by_hand(images):
    blue, green, red = images.float().unbind(1)
    return torch.stack([red - 10, (green - 20) / 2, (blue - 30) / 4], dim=1)


def test_every_view_is_normalised():
    # Three images a batch: a batch must not be taken for one image.
    views = [batch(6, 0), batch(4, 1)]
    samples = [DataSample(img_path=str(i)) for i in range(3)]
    found = preprocessor()(dict(inputs=views, data_samples=samples), training=True)
    assert len(found['inputs']) == 2
    for view, wanted in zip(found['inputs'], views):
        torch.testing.assert_close(view, by_hand(wanted))
    assert [sample.img_path for sample in found['data_samples']] == ['0', '1', '2']


def test_one_view_comes_out_as_a_batch():
    images = batch(6, 0)
    found = preprocessor()(dict(inputs=images))['inputs']
    torch.testing.assert_close(found, by_hand(images))


def test_list_of_images_is_one_batch():
    images = batch(6, 0)
    found = preprocessor()(dict(inputs=list(images)))['inputs']
    torch.testing.assert_close(found, by_hand(images))


def test_stored_embeddings_go_along():
    rows = torch.randn(3, 5)
    found = preprocessor()(dict(inputs=batch(6, 0), teacher_embeddings=rows))
    assert torch.equal(found['teacher_embeddings'], rows)
    assert 'teacher_embeddings' not in preprocessor()(dict(inputs=batch(6, 0)))


def test_images_are_copied_asynchronously(monkeypatch):
    # Most machines that run the tests have no GPU, so the arguments are checked.
    asked = []
    to = torch.Tensor.to

    def watched(tensor, *args, **kwargs):
        asked.append(kwargs.get('non_blocking'))
        return to(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, 'to', watched)
    preprocess = DistillDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3)
    embeddings = torch.zeros(2, 4)
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    preprocess(dict(inputs=images, teacher_embeddings=embeddings))
    assert asked == [True, True]


def darkened(images, factor):
    """As PackForDevice packs them: the brightness of the first image is changed."""
    operations = torch.full((len(images), 1, 2), -1.0)
    operations[0, 0] = torch.tensor([list(OPERATIONS).index('brightness'), factor])
    return dict(image=images, operations=operations)


def test_drawn_operations_are_applied_before_the_normalisation():
    images = torch.full((3, 3, 4, 4), 100, dtype=torch.uint8)
    found = preprocessor()(dict(inputs=darkened(images, 0.5)), training=True)
    wanted = images.clone()
    wanted[0] = 50
    torch.testing.assert_close(found['inputs'], by_hand(wanted))


def test_each_view_has_its_own_operations():
    images = torch.full((3, 3, 4, 4), 100, dtype=torch.uint8)
    views = [darkened(images, 0.5), darkened(images, 0.2)]
    found = preprocessor()(dict(inputs=views), training=True)['inputs']
    for view, level in zip(found, (50, 20)):
        wanted = images.clone()
        wanted[0] = level
        torch.testing.assert_close(view, by_hand(wanted))


def test_nothing_is_augmented_in_validation():
    images = batch(6, 0)
    data = dict(inputs=darkened(images, 0.5))
    for found in (preprocessor()(data), preprocessor()(data, training=False)):
        torch.testing.assert_close(found['inputs'], by_hand(images))


def test_images_are_copied_to_the_device_as_uint8(monkeypatch):
    kinds = []
    preprocess = preprocessor()
    cast = preprocess.cast_data
    monkeypatch.setattr(
        preprocess, 'cast_data', lambda data: kinds.append(data.dtype) or cast(data)
    )
    preprocess(dict(inputs=darkened(batch(6, 0), 0.5)), training=True)
    assert kinds[0] == torch.uint8


def test_single_images_with_operations_are_refused():
    one = dict(image=batch(6, 0)[0], operations=torch.zeros(1, 2))
    with pytest.raises(ConfigError, match='default_collate'):
        preprocessor()(dict(inputs=[one, one]), training=True)
