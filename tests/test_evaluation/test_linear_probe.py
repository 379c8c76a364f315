import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mmlgd.errors import ConfigError, DataError
from mmlgd.evaluation import (
    assign_folds,
    choose_lr,
    fit_linear_probes,
    linear_probe,
    predict,
)


def blobs(per_class=12, num_classes=3, spread=0.3, seed=0):
    """Points around one corner per class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_classes).repeat(per_class)
    noise = spread * torch.randn(len(labels), 4, generator=generator)
    return torch.eye(num_classes, 4)[labels] + noise, labels


def reference(features, labels, num_classes, rate, epochs, batch_size, seed):
    """The same run by torch's own layer, loss, optimizer and schedule."""
    generator = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(features.shape[1], num_classes)
    start = torch.randn(num_classes, features.shape[1] + 1, generator=generator)
    head.weight.data.copy_(0.01 * start[:, :-1])
    head.bias.data.zero_()
    batch_size = min(batch_size, len(features))
    optimizer = torch.optim.SGD(head.parameters(), rate * batch_size / 256, 0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        order = torch.randperm(len(features), generator=generator)
        for batch in order.split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(head(features[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    return torch.cat([head.weight, head.bias[:, None]], dim=1).detach()


@pytest.mark.parametrize('batch_size', [10, 256])
def test_each_classifier_is_that_of_torchs_own_sgd(batch_size):
    features, labels = blobs()
    rates = (0.3, 10.0)
    options = dict(epochs=7, batch_size=batch_size, seed=3)
    found = fit_linear_probes(features, labels, 3, rates, **options)
    assert found.shape == (2, 3, 5)
    for weights, rate in zip(found, rates):
        wanted = reference(features, labels, 3, rate, **options)
        assert torch.allclose(weights, wanted, atol=1e-5)


def test_it_learns_classes_that_lie_apart():
    features, labels = blobs(spread=0.1)
    weights = fit_linear_probes(features, labels, 3, [30.0])
    fresh, wanted = blobs(spread=0.1, seed=1)
    assert torch.equal(predict(weights, fresh), wanted[None])


def test_predict_takes_the_largest_logit_with_its_bias():
    weights = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]])
    features = torch.tensor([[1.0, 0.6], [1.0, 0.4]])
    assert predict(weights, features).tolist() == [[1, 0]]


def test_the_rate_that_learns_is_chosen():
    features, labels = blobs(spread=0.1)
    rates = (1e-9, 3.0)
    assert choose_lr(features, labels, 3, rates, epochs=20) == 3.0
    assert choose_lr(features, labels, 3, rates[::-1], epochs=20) == 3.0


def test_of_equally_good_rates_the_first_is_chosen():
    features, labels = blobs(spread=0.01)
    assert choose_lr(features, labels, 3, (3.0, 3.1), epochs=20) == 3.0


def test_every_image_judges_once_and_only_classifiers_that_did_not_see_it(monkeypatch):
    features, labels = blobs(per_class=5)
    fit, choose, trained, judged = fit_linear_probes, predict, [], []

    def fit_and_note(some, *args, **options):
        trained.append({tuple(row) for row in some.tolist()})
        return fit(some, *args, **options)

    def predict_and_note(weights, some):
        judged.append({tuple(row) for row in some.tolist()})
        return choose(weights, some)

    monkeypatch.setattr(linear_probe, 'fit_linear_probes', fit_and_note)
    monkeypatch.setattr(linear_probe, 'predict', predict_and_note)
    choose_lr(features, labels, 3, [1.0], epochs=1)
    everything = {tuple(row) for row in features.tolist()}
    assert [a | b for a, b in zip(trained, judged)] == [everything] * 4
    assert [a & b for a, b in zip(trained, judged)] == [set()] * 4
    # Five images of each of three classes in four folds: two of a class in one.
    assert sorted(map(len, judged)) == [3, 3, 3, 6]


def test_a_small_class_is_held_out_where_it_can_be():
    # Classes of 7, 1, 2 and 3 images in four folds: each image once, the single never;
    # a class of two or more always keeps one for training.
    labels = torch.tensor([0] * 7 + [1] + [2] * 2 + [3] * 3)[torch.randperm(13)]
    folds = assign_folds(labels, 4)
    assert folds[labels == 1].tolist() == [-1]
    assert sorted(folds[labels == 0].tolist()) == [0, 0, 1, 1, 2, 2, 3]
    assert sorted(folds[labels == 2].tolist()) == [0, 1]
    assert sorted(folds[labels == 3].tolist()) == [0, 1, 2]


def test_a_rate_is_chosen_with_small_classes():
    features, labels = blobs(per_class=6, spread=0.1)
    keep = ~((labels == 2) & (labels.cumsum(0) > 3))
    assert labels[keep].bincount().tolist() == [6, 6, 1]
    options = dict(epochs=20)
    assert choose_lr(features[keep], labels[keep], 3, (1e-9, 3.0), **options) == 3.0


def test_a_rate_that_diverges_is_not_chosen():
    features, labels = blobs(spread=0.1)
    weights = fit_linear_probes(features, labels, 3, [3.0, float('inf')], epochs=20)
    assert (predict(weights, features)[1] == -1).all()
    assert choose_lr(features, labels, 3, (float('inf'), 3.0), epochs=20) == 3.0
    with pytest.raises(DataError, match='diverged at all learning rates'):
        choose_lr(features, labels, 3, [float('inf')], epochs=20)


def test_too_few_images_or_folds():
    features, labels = blobs(per_class=1)
    with pytest.raises(DataError, match='each of the 3 classes has one labelled image'):
        choose_lr(features, labels, 3, [1.0])
    with pytest.raises(ConfigError, match='at least 2 folds, but got .* and 1'):
        choose_lr(features, labels, 3, [1.0], folds=1)
    with pytest.raises(ConfigError, match='needs learning rates'):
        choose_lr(features, labels, 3, [])


def test_labels_and_features_that_do_not_fit():
    features, labels = blobs()
    with pytest.raises(DataError, match='labels from 0 to 2, but 2 classes'):
        fit_linear_probes(features, labels, 2, [1.0])
    with pytest.raises(DataError, match=r'\(36, 4\) and labels of shape \(35,\)'):
        fit_linear_probes(features, labels[1:], 3, [1.0])
    features[3, 1] = float('nan')
    with pytest.raises(DataError, match='not finite'):
        fit_linear_probes(features, labels, 3, [1.0])


class LargestTensor(TorchDispatchMode):
    """Records the largest tensor that an operation creates."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


def test_memory_does_not_grow_with_images_times_classes():
    num_images, num_classes, rates = 20_000, 2_000, (0.1, 1.0)
    features = torch.randn(num_images, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(num_images) % num_classes
    with LargestTensor() as largest:
        weights = fit_linear_probes(features, labels, num_classes, rates, epochs=1)
    # One batch of logits: 256 rows, C classes, R rates.
    assert largest.elements <= 256 * num_classes * len(rates)
    with LargestTensor() as largest:
        found = predict(weights, features)
    # N x C x R is 80 million.
    assert largest.elements <= 2**24
    some = torch.arange(0, num_images, 997)
    ones = torch.ones(len(some), 1)
    logits = torch.cat([features[some], ones], 1) @ weights.mT
    assert torch.equal(found[:, some], logits.argmax(2))
