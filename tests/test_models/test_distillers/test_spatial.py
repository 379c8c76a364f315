import numpy as np
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.registry import MODELS
from tests import reference_mimicry as reference
from tests.spatial_toys import CHANNELS
from tests.toys import NAMES
from tests.two_ranks import run_on_two_ranks

BANK = dict(type='TextualSemanticsBank', categories=NAMES, templates=['a {}.'])
# The options that say what is minimised, by the names of the losses.
TERMS = {
    'mse': dict(form='mse', global_term=None),
    'mse+mimicry': dict(form='mse', global_term='mimicry'),
    'relations+queue': dict(form='relations', global_term='queue'),
    'relations': dict(form='relations', global_term=None),
}
QUEUE = 7


def spatial(**overrides):
    torch.manual_seed(0)
    cfg = dict(
        type='SpatialMimicry',
        teacher=dict(type='MapTeacher'),
        backbone=dict(type='TwoStages'),
        queue_size=QUEUE,
    )
    return MODELS.build(cfg | overrides)


def images(batch=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 16, 16, generator=generator)


def arrays(*tensors):
    return [x.detach().double().numpy() for x in tensors]


def reference_losses(model, inputs, stage, tau):
    """All terms in float64; the queue is that of before the batch."""
    head = model.spatial_projector
    student_map = reference.conv1x1(
        *arrays(model.backbone(inputs)[stage], head.weight[:, :, 0, 0], head.bias)
    )
    teacher_map = arrays(model.teacher.conv(inputs))[0]
    student, teacher = arrays(model(inputs), model.teacher.encode_image(inputs))
    wanted = dict(
        mse=reference.spatial_mse(student_map, teacher_map),
        relations=reference.spatial_relations(student_map, teacher_map, tau),
        mimicry=reference.mimicry(student, teacher),
    )
    if model.queue is not None:
        # The batch is enqueued at the start before its own loss.
        queue = arrays(model.queue.embeddings)[0].copy()
        queue[: len(teacher)] = teacher
        wanted['queue'] = reference.queue_term(student, teacher, queue, tau)
    return wanted


@pytest.mark.parametrize('name', TERMS)
@pytest.mark.parametrize('tau', [0.07, 0.5])
def test_losses_match_float64(name, tau):
    options = dict(temperature=tau, spatial_weight=1.5, global_weight=2.5)
    model, inputs = spatial(**TERMS[name], **options), images()
    wanted = reference_losses(model, inputs, -1, tau)
    form, *rest = name.split('+')

    losses = model(inputs, mode='loss')

    assert list(losses) == ['loss_spatial', *(f'loss_{term}' for term in rest)]
    found = {key: value.item() for key, value in losses.items()}
    assert found['loss_spatial'] == pytest.approx(1.5 * wanted[form], rel=1e-5)
    for term in rest:
        assert found[f'loss_{term}'] == pytest.approx(2.5 * wanted[term], rel=1e-5)


def test_defaults_are_v3():
    model = spatial()
    wanted = reference_losses(model, images(), -1, 0.07)

    losses = model(images(), mode='loss')

    assert losses['loss_spatial'].item() == pytest.approx(wanted['relations'], rel=1e-5)
    assert losses['loss_queue'].item() == pytest.approx(wanted['queue'], rel=1e-5)


def test_mimicry_weighs_as_in_feature_mimicry():
    model = spatial(global_term='mimicry')
    wanted = reference_losses(model, images(), -1, 0.07)

    losses = model(images(), mode='loss')

    found = losses['loss_mimicry'].item()
    assert found == pytest.approx(2000 * wanted['mimicry'], rel=1e-5)


@pytest.mark.parametrize('form', ['mse', 'relations'])
def test_gradient_of_the_spatial_head_matches_float64(form):
    model, inputs = spatial(form=form, global_term=None, temperature=0.3), images()
    head = model.spatial_projector
    student, weight, bias = arrays(
        model.backbone(inputs)[-1], head.weight[:, :, 0, 0], head.bias
    )
    teacher = arrays(model.teacher.conv(inputs))[0]

    def loss(weight):
        student_map = reference.conv1x1(student, weight, bias)
        if form == 'mse':
            return reference.spatial_mse(student_map, teacher)
        return reference.spatial_relations(student_map, teacher, 0.3)

    model(inputs, mode='loss')['loss_spatial'].backward()

    wanted = reference.gradient(loss, weight)
    assert np.abs(wanted).max() > 1e-3
    found = head.weight.grad[:, :, 0, 0].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('stage', [0, -2, 1])
def test_student_stage(stage):
    model, inputs = spatial(student_stage=stage, form='mse'), images()
    wanted = reference_losses(model, inputs, stage, 0.07)

    losses = model(inputs, mode='loss')

    channels = 10 if stage == 1 else 8
    assert model.spatial_projector.weight.shape == (CHANNELS, channels, 1, 1)
    assert losses['loss_spatial'].item() == pytest.approx(wanted['mse'], rel=1e-5)


@pytest.mark.parametrize('name', TERMS)
def test_every_parameter_in_training_has_a_gradient(name):
    model = spatial(**TERMS[name])
    losses = model(images(), mode='loss')
    sum(losses.values()).backward()

    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    reached = {n for n, p in model.named_parameters() if p.grad is not None}
    assert trained == reached
    roots = {n.split('.')[0] for n in trained}
    projector = {'projector'} if '+' in name else set()
    assert roots == {'backbone', 'spatial_projector'} | projector
    keys = {key.split('.')[0] for key in model.state_dict()}
    queue = {'queue'} if 'queue' in name else set()
    assert keys == {'backbone', 'projector', 'spatial_projector'} | queue


def test_a_neck_that_learns_is_frozen_with_the_projector():
    neck = dict(type='mmpretrain.GeneralizedMeanPooling')
    model = spatial(neck=neck, form='mse', global_term=None)

    model(images(), mode='loss')['loss_spatial'].backward()

    assert list(model.neck.parameters())
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize('name', TERMS)
def test_steps_lower_the_loss(name):
    # Mimicry at its default weight would drown the other term.
    model = spatial(**TERMS[name], temperature=0.3, global_weight=5.0)
    inputs = images(QUEUE)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.03)
    history = []
    for _ in range(30):
        losses = model(inputs, mode='loss')
        history.append({key: value.item() for key, value in losses.items()})
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    for key, first in history[0].items():
        assert history[-1][key] < 0.9 * first, key


def on_each_rank(rank):
    model = spatial()
    wrapped = DistributedDataParallel(model)
    for seed in range(2):  # A parameter without gradient fails the second.
        inputs = images(4, seed)[rank::2]
        loss = sum(wrapped(inputs, mode='loss').values())
        model.zero_grad()
        loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    return dict(grads=grads, queue=model.queue.embeddings)


@pytest.mark.slow
def test_two_ranks_are_one_with_the_whole_batch(tmp_path):
    first, second = run_on_two_ranks(on_each_rank, tmp_path)

    model = spatial()
    for seed in range(2):
        loss = sum(model(images(4, seed), mode='loss').values())
        model.zero_grad()
        loss.backward()
    torch.testing.assert_close(first['queue'], model.queue.embeddings)
    assert torch.equal(first['queue'], second['queue'])
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            first['grads'][name], parameter.grad, atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize('term', ['queue', 'mimicry'])
def test_predicts_zero_shot_with_a_global_term(term):
    model = spatial(global_term=term, zero_shot_bank=BANK)

    samples = model(images(2), mode='predict')

    assert [sample.pred_score.shape for sample in samples] == [(4,)] * 2


def test_no_prediction_by_an_untrained_projector():
    with pytest.raises(ConfigError, match='projector is not trained'):
        spatial(global_term=None, zero_shot_bank=BANK)


def test_a_single_location_has_no_relations():
    model = spatial(teacher=dict(type='MapTeacher', stride=16))

    with pytest.raises(
        ConfigError, match="16 pixels has a single location.*form='mse'"
    ):
        model(images(), mode='loss')
    one_place = spatial(teacher=dict(type='MapTeacher', stride=16), form='mse')
    assert one_place(images(), mode='loss')['loss_spatial'] > 0


def test_teacher_without_a_map():
    with pytest.raises(TeacherError, match='ToyTeacher has no feature map'):
        spatial(teacher=dict(type='ToyTeacher'))


def test_student_without_a_map():
    vit = dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=24),
        img_size=16,
        patch_size=8,
    )
    with pytest.raises(ConfigError, match='student returns vectors.*out_type'):
        spatial(backbone=vit, neck=None)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(form='l1'), "form is 'l1'.*'mse', 'relations'"),
        (dict(global_term='text'), "global_term is 'text'.*'queue', 'mimicry', None"),
        (dict(spatial_weight=0), 'SpatialMimicry.spatial_weight'),
        (dict(global_weight=0.0), 'SpatialMimicry.global_weight'),
        (dict(temperature=-1), 'SpatialMimicry.temperature'),
        (dict(queue_size=0), 'SpatialMimicry.queue_size'),
        (dict(student_stage=2), r'returns 2 feature maps \(channels \[8, 10\]\)'),
        (dict(student_stage=-3), r'student_stage is -3.*one of -2..1'),
        (dict(student_stage='last'), "student_stage is 'last'"),
        (dict(student_stage=0, global_term=None), 'later stages.*untrained'),
    ],
    ids=lambda value: '-'.join(value) if isinstance(value, dict) else None,
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        spatial(**options)
