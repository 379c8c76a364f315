import numpy as np
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from tests import reference_mimicry as reference
from tests.toys import D
from tests.two_ranks import run_on_two_ranks


def relational(**overrides):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='RelationalKD',
            teacher=dict(type='ToyTeacher'),
            backbone=dict(type='ToyBackbone'),
            **overrides,
        )
    )


def images(batch=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 16, 16, generator=generator)


def arrays(*tensors):
    return [x.detach().double().numpy() for x in tensors]


@pytest.mark.parametrize(
    'overrides, tau, weight',
    [({}, 0.07, 1), (dict(temperature=0.3, loss_weight=2.5), 0.3, 2.5)],
    ids=['default', 'own'],
)
def test_step_matches_float64(overrides, tau, weight):
    model, inputs = relational(**overrides), images()
    student, teacher = model(inputs), model.teacher.encode_image(inputs)
    s, t = arrays(student, teacher)
    wanted_grad = reference.gradient(
        lambda x: weight * reference.relational(x, t, tau), s
    )
    parameters = list(model.parameters())
    grads = torch.autograd.grad(student, parameters, torch.tensor(wanted_grad).float())

    losses = model(inputs, mode='loss')
    losses['loss_relational'].backward()

    assert set(losses) == {'loss_relational'}
    wanted = weight * reference.relational(s, t, tau)
    assert losses['loss_relational'].item() == pytest.approx(wanted, rel=1e-5)
    for grad, parameter in zip(grads, parameters):
        torch.testing.assert_close(parameter.grad, grad, atol=1e-5, rtol=1e-3)


def test_mimicry_is_added_and_holds_the_student_in_the_teachers_space():
    model, inputs = relational(mimicry_weight=50.0), images()
    s, t = arrays(model(inputs), model.teacher.encode_image(inputs))

    losses = model(inputs, mode='loss')

    assert set(losses) == {'loss_relational', 'loss_mimicry'}
    wanted = 50 * reference.mimicry(s, t)
    assert losses['loss_mimicry'].item() == pytest.approx(wanted, rel=1e-5)


def losses_and_gradients(model, inputs, wrapped=None):
    losses = (wrapped or model)(inputs, mode='loss')
    sum(losses.values()).backward()
    values = torch.stack([value.detach() for value in losses.values()])
    return values, [parameter.grad for parameter in model.parameters()]


def one_of_two(rank):
    model = relational(mimicry_weight=20.0)
    inputs = images(8).chunk(2)[rank]
    return losses_and_gradients(model, inputs, DistributedDataParallel(model))


@pytest.mark.slow
def test_two_ranks_are_one_with_the_whole_batch(tmp_path):
    first, second = run_on_two_ranks(one_of_two, tmp_path)

    values, grads = losses_and_gradients(relational(mimicry_weight=20.0), images(8))

    # The relational loss is that of all images on each rank.
    assert first[0][0] == second[0][0]
    assert first[0][0].item() == pytest.approx(values[0].item(), rel=1e-5)
    # DDP averages gradients; mimicry is of each rank's own images.
    assert (first[0][1] + second[0][1]).item() / 2 == pytest.approx(
        values[1].item(), rel=1e-5
    )
    for one, other, whole in zip(first[1], second[1], grads):
        assert torch.equal(one, other)
        assert whole.abs().max() > 1e-3
        torch.testing.assert_close(one, whole, atol=1e-6, rtol=1e-4)


def images_of_two(rank):
    """Two images on each rank are four, which have relations."""
    values, _ = losses_and_gradients(relational(), images(4).chunk(2)[rank])
    return values


@pytest.mark.slow
def test_the_batch_that_counts_is_that_of_all_ranks(tmp_path):
    with pytest.raises(ConfigError, match='2 images over all ranks has no .*drop_last'):
        relational()(images(2), mode='loss')

    first, second = run_on_two_ranks(images_of_two, tmp_path)

    s, t = arrays(relational()(images(4)), relational().teacher.encode_image(images(4)))
    wanted = reference.relational(s, t, 0.07)
    np.testing.assert_allclose([first.item(), second.item()], wanted, rtol=1e-5)


def test_state_dict_is_the_students():
    keys = relational().state_dict()

    assert {key.split('.')[0] for key in keys} == {'backbone', 'projector'}
    assert keys['projector.layers.2.weight'].shape[0] == D


@pytest.mark.parametrize(
    'option, value',
    [('temperature', 0), ('loss_weight', -1.0), ('mimicry_weight', -0.1)],
)
def test_options_are_checked(option, value):
    with pytest.raises(ConfigError, match=f'RelationalKD.{option}'):
        relational(**{option: value})
