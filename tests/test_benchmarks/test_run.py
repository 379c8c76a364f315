"""Evaluations of hand-made features."""

from types import SimpleNamespace

import pytest
import torch

from benchmarks.comparison import run as evaluate


def two_rate_data(best_on_test: bool) -> dict:
    """One feature whose sign is the class, unless a split differs."""
    x = torch.tensor([[-1.0], [1.0]]).repeat(10, 1)
    labels = torch.tensor([0, 1]).repeat(10)
    test_labels = labels if best_on_test else 1 - labels
    return dict(train=(x, labels), val=(x, labels), test=(x, test_labels))


def test_the_rate_is_chosen_on_the_validation_images():
    # At a rate of nearly 0 the probe stays at its random start; 1 separates.
    lrs = [1e-9, 1.0]
    options = dict(split='test', percent=100, epochs=5, lrs=lrs, seed=0)
    found = evaluate.probe(two_rate_data(True), **options)
    assert found == dict(top1=100, balanced=100, lr=1.0)
    # Contradicting test images lower the accuracy but do not change the choice.
    found = evaluate.probe(two_rate_data(False), **options)
    assert found == dict(top1=0, balanced=0, lr=1.0)


def test_probes_average_their_draws(monkeypatch):
    seeds = []

    def probe(data, split, percent, epochs, lrs, seed):
        seeds.append((percent, epochs, seed))
        return dict(top1=50.0 + seed % 100, balanced=40.0, lr=1.0)

    monkeypatch.setattr(evaluate, 'probe', probe)
    settings = dict(lrs=[1], percentages={'1': dict(draws=3, epochs=4)})
    found = evaluate.probe_all({}, 'test', settings, seed=2)
    assert found['1'] == dict(top1=51, balanced=40, lrs=[1, 1, 1])
    # Runs of different seeds never share a draw.
    assert seeds == [(1, 4, 200), (1, 4, 201), (1, 4, 202)]


def test_one_percent_of_small_classes_is_an_image_of_each():
    x = torch.eye(3).repeat_interleave(torch.tensor([40, 5, 2]), dim=0)
    labels = x.argmax(dim=1)
    data = dict.fromkeys(('train', 'val', 'test'), (x, labels))
    found = evaluate.probe(data, 'test', percent=1, epochs=50, lrs=[1.0], seed=0)
    # One image of each class is sufficient here.
    assert found == dict(top1=100, balanced=100, lr=1.0)


def test_neighbours_vote_and_classes_weigh_the_same():
    bank = torch.eye(2).repeat(4, 1)
    labels = torch.tensor([0, 1]).repeat(4)
    queries = torch.tensor([[1.0, 0.1], [0.9, 0.0], [1.0, 0.2], [1.0, 0.0]])
    data = dict(train=(bank, labels), val=(queries, torch.tensor([0, 0, 0, 1])))
    # Three of four; all of the first class, none of the second.
    assert evaluate.vote(data, 'val', k=4) == dict(top1=75, balanced=50)
    # There are only eight neighbours.
    assert evaluate.vote(data, 'val', k=20)['top1'] == pytest.approx(75)


def test_teacher_features_are_its_embeddings():
    class Teacher(torch.nn.Module):
        def encode_image(self, inputs):
            return inputs.flatten(1)[:, :2]

    features = evaluate.TeacherFeatures(Teacher())(torch.ones(3, 3, 2, 2))
    assert features.shape == (3, 2)


def test_labels_of_all_splits_are_those_of_the_training_set():
    def loader(*classes):
        return SimpleNamespace(dataset=Labelled([0, 1], classes))

    loaders = dict(train=loader('dog', 'cat'), test=loader('cat', 'dog'))
    features, labels = torch.eye(2), torch.tensor([0, 1])
    data = dict.fromkeys(loaders, (features, labels))
    found = evaluate.count_alike(data, loaders)
    assert found['train'][1].tolist() == [0, 1]
    assert found['test'][1].tolist() == [1, 0]


class Labelled(list):
    """Two images under class names."""

    def __init__(self, images, classes):
        super().__init__(images)
        self.metainfo = dict(classes=classes)
