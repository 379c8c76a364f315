"""Ridge regression from a stream, against least squares on the whole."""

import numpy as np
import pytest
import torch

from mmlgd.errors import ConfigError, DataError, TeacherError
from mmlgd.models.teachers.alignment import LinearMap, RidgeAlignment
from mmlgd.models.teachers.cosine_meter import CosineMeter
from tests.two_ranks import run_on_two_ranks

N, C, D = 50, 7, 4


def pairs(seed: int = 0, number: int = N, shift: float = 3.0):
    """Correlated features far from the origin, and unit targets."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(number, C)) @ rng.normal(size=(C, C)) + shift
    targets = np.tanh(features @ rng.normal(size=(C, D))) + rng.normal(size=(number, D))
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    return torch.from_numpy(features), torch.from_numpy(targets)


def least_squares(features, targets, strength):
    """Ridge as ordinary least squares on rows that are added for the penalty.

    The bias is a further column, which the added rows leave alone.
    """
    features, targets = features.numpy(), targets.numpy()
    centred = features - features.mean(axis=0)
    penalty = strength * np.square(centred).sum() / C
    rows = np.block(
        [
            [features, np.ones((len(features), 1))],
            [np.sqrt(penalty) * np.eye(C), np.zeros((C, 1))],
        ]
    )
    solution, *_ = np.linalg.lstsq(
        rows, np.vstack([targets, np.zeros((C, D))]), rcond=None
    )
    return solution[:C].T, solution[C]


def streamed(features, targets, *sizes):
    ridge = RidgeAlignment(C, D)
    for part in zip(features.split(list(sizes)), targets.split(list(sizes))):
        ridge.update(*part)
    return ridge


@pytest.mark.parametrize('strength', [0, 1e-4, 1e-2, 1.0, 30.0])
def test_solution_is_that_of_augmented_least_squares(strength):
    features, targets = pairs()

    (found,) = streamed(features, targets, N).solve([strength])

    weight, bias = least_squares(features, targets, strength)
    np.testing.assert_allclose(found.weight, weight, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.bias, bias, rtol=1e-8, atol=1e-10)


def test_a_stream_equals_the_whole_data():
    features, targets = pairs()
    parts = streamed(features, targets, 20, 20, 9, 1)

    assert parts.num_images == N
    for one, other in zip(
        parts.solve([1e-3, 0.1]), streamed(features, targets, N).solve([1e-3, 0.1])
    ):
        torch.testing.assert_close(one.weight, other.weight, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(one.bias, other.bias, rtol=1e-10, atol=1e-12)


def test_memory_does_not_grow_with_the_images():
    def kept(ridge):
        return [
            (name, value.shape if isinstance(value, torch.Tensor) else value)
            for name, value in vars(ridge).items()
        ]

    features, targets = pairs()
    assert kept(streamed(features, targets, N)) == kept(RidgeAlignment(C, D))


@pytest.mark.parametrize('scale', [1e-3, 1e3])
def test_a_strength_means_the_same_at_any_scale_and_number(scale):
    features, targets = pairs()
    (small,) = streamed(features, targets, N).solve([0.1])
    scaled = scale * features.repeat(3, 1), targets.repeat(3, 1)
    (large,) = streamed(*scaled, 3 * N).solve([0.1])

    torch.testing.assert_close(scale * large.weight, small.weight)
    torch.testing.assert_close(large.bias, small.bias)


def test_a_planted_map_is_recovered():
    features, _ = pairs()
    rng = torch.Generator().manual_seed(0)
    planted = torch.randn(D, C + 1, generator=rng).double().split([C, 1], dim=1)
    planted = planted[0], planted[1].flatten()
    targets = features @ planted[0].T + planted[1]

    (found,) = streamed(features, targets, N).solve([0])

    torch.testing.assert_close(found.weight, planted[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.bias, planted[1], rtol=1e-9, atol=1e-9)


def test_half_precision_batches_are_summed_in_double():
    features, targets = pairs(number=4000)
    half = features.half(), targets.half()

    (found,) = streamed(*half, *[40] * 100).solve([1e-3])

    weight, bias = least_squares(half[0].double(), half[1].double(), 1e-3)
    np.testing.assert_allclose(found.weight, weight, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.bias, bias, rtol=1e-6, atol=1e-8)


def test_dead_features_need_a_strength():
    features, targets = pairs()
    features[:, 2] = 5.0

    ridge = streamed(features, targets, N)
    with pytest.raises(ConfigError, match=f'span {C - 1} of {C} .*strength 0'):
        ridge.solve([1e-3, 0])
    (found,) = ridge.solve([1e-3])
    weight, _ = least_squares(features, targets, 1e-3)
    np.testing.assert_allclose(found.weight, weight, rtol=1e-7, atol=1e-9)
    assert found.weight[:, 2].abs().max() < 1e-9


def test_fewer_images_than_features_need_a_strength():
    ridge = streamed(*pairs(number=5), 5)
    with pytest.raises(ConfigError, match=f'5 images span 4 of {C} dimensions'):
        ridge.solve([0])
    assert ridge.solve([1e-2])[0].weight.isfinite().all()


@pytest.mark.parametrize(
    'strengths, fault',
    [([], 'at least one number'), ([-1], r'\[0, inf'), ('1', 'list'), (0.1, 'list')],
)
def test_invalid_strengths_are_refused(strengths, fault):
    with pytest.raises(ConfigError, match=fault):
        streamed(*pairs(), N).solve(strengths)


def test_no_images_and_the_same_images():
    with pytest.raises(DataError, match='no image to fit'):
        RidgeAlignment(C, D).solve([1.0])
    with pytest.raises(DataError, match='no held-out image'):
        CosineMeter([LinearMap(torch.zeros(D, C), torch.ones(D))]).means()
    features, targets = pairs()
    same = 7.3 * torch.ones_like(features)
    with pytest.raises(DataError, match='All 50 images have the same features'):
        streamed(same, targets, N).solve([1.0])


@pytest.mark.parametrize(
    'shapes', [((3, C + 1), (3, D)), ((3, C), (2, D)), ((C,), (D,))]
)
def test_widths_that_differ(shapes):
    batch = [torch.zeros(shape) for shape in shapes]
    meter = CosineMeter([LinearMap(torch.zeros(D, C), torch.ones(D))])
    for sums in (RidgeAlignment(C, D), meter):
        with pytest.raises(TeacherError, match=rf'must be \(B, {C}\) and \(B, {D}\)'):
            sums.update(*batch)
        assert sums.num_images == 0


@pytest.mark.parametrize('side, name', [(0, 'teacher'), (1, 'target')])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite(side, name, value):
    batch = pairs()
    batch[side][4, 2] = value
    with pytest.raises(TeacherError, match=f'The {name} returns .* 1 of 50 images'):
        RidgeAlignment(C, D).update(*batch)


def test_cosines_of_several_maps_are_those_of_the_whole():
    features, targets = pairs()
    maps = streamed(features, targets, N).solve([1e-3, 1.0])
    maps.append(streamed(features, targets, N).constant())
    meter = CosineMeter(maps)
    held_out, wanted = pairs(seed=1, number=23)

    for part in zip(held_out.split(10), wanted.split(10)):
        meter.update(*part)

    expected = []
    for weight, bias in maps:
        rows = held_out.numpy() @ weight.numpy().T + bias.numpy()
        dots = (rows * wanted.numpy()).sum(axis=1)
        expected.append((dots / np.linalg.norm(rows, axis=1)).mean())
    assert meter.num_images == 23
    assert meter.means() == pytest.approx(expected, abs=1e-12)
    mean = targets.mean(dim=0)
    torch.testing.assert_close(maps[-1].bias, mean)
    assert maps[-1].weight.abs().max() == 0


def fit_half(rank: int):
    """One rank's part of the images: 30 or 20."""
    part = slice(0, 30) if rank == 0 else slice(30, N)
    features, targets = pairs()
    ridge = RidgeAlignment(C, D)
    ridge.update(features[part], targets[part])
    ridge.reduce()
    (found,) = ridge.solve([1e-2])
    meter = CosineMeter([found])
    meter.update(features[part], targets[part])
    meter.reduce()
    return [found.weight, found.bias, torch.tensor([*meter.means(), meter.num_images])]


@pytest.mark.slow
def test_two_ranks_find_what_one_finds(tmp_path):
    features, targets = pairs()
    (whole,) = streamed(features, targets, N).solve([1e-2])
    meter = CosineMeter([whole])
    meter.update(features, targets)

    for weight, bias, measured in run_on_two_ranks(fit_half, tmp_path):
        torch.testing.assert_close(weight, whole.weight)
        torch.testing.assert_close(bias, whole.bias)
        assert measured.tolist() == pytest.approx([*meter.means(), N], abs=1e-6)
