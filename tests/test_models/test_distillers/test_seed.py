import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from tests.reference_seed import QueueReference, seed_reference
from tests.toys import NAMES, D
from tests.two_ranks import run_on_two_ranks

PATCHES = 3
SIZE = 12


def toy_seed_cfg(**overrides):
    return dict(
        dict(
            type='SEED',
            teacher=dict(type='ToyTeacher'),
            backbone=dict(type='ToyBackbone'),
            queue_size=SIZE,
        ),
        **overrides,
    )


def toy_seed(**overrides):
    torch.manual_seed(0)
    return MODELS.build(toy_seed_cfg(**overrides))


def images(batch=5, seed=0, size=16):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, size, size, generator=generator)


def views(batch=5, seed=0, num_patches=PATCHES):
    """The full view, then the patches."""
    return [images(batch, seed)] + [
        images(batch, 100 * seed + place, size=8) for place in range(1, num_patches + 1)
    ]


def step(model, inputs, rate=0.5):
    """One step of SGD; the losses, and the gradients by name."""
    losses = model(inputs, mode='loss')
    model.zero_grad()
    sum(losses.values()).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= rate * parameter.grad
    return losses


def test_steps_and_queue_match_float64():
    model = toy_seed(student_temperature=0.3, teacher_temperature=0.05)
    queue = QueueReference(model.queue.embeddings)
    for number in range(6):  # 30 rows through a queue of 12.
        inputs = images(seed=number)
        student, teacher = model(inputs), model.teacher.encode_image(inputs)
        wanted, wanted_grad = seed_reference(
            student.detach(), teacher, queue.rows, 0.3, 0.05
        )
        # The gradient on the parameters, through the one on the embeddings.
        grads = torch.autograd.grad(
            student, list(model.parameters()), torch.tensor(wanted_grad).float()
        )
        losses = step(model, inputs)
        assert set(losses) == {'loss_similarity'}
        assert losses['loss_similarity'].item() == pytest.approx(wanted, rel=1e-5)
        for grad, parameter in zip(grads, model.parameters()):
            torch.testing.assert_close(parameter.grad, grad, atol=1e-5, rtol=1e-4)
        # The batch enters the queue after its own loss, not before.
        queue.push(teacher)
        np.testing.assert_allclose(model.queue.embeddings, queue.rows, atol=1e-6)
        assert model.queue.position.item() == queue.oldest


def test_patches_match_float64_with_a_queue_of_their_own():
    model = toy_seed(num_patches=PATCHES)
    queues = [
        QueueReference(each.embeddings) for each in (model.queue, model.patch_queue)
    ]
    for number in range(4):
        full, *patches = inputs = views(seed=number)
        # The toy teacher takes any size; a bilinear enlargement is plain here.
        large = [F.interpolate(p, (16, 16), mode='bilinear') for p in patches]
        wanted = seed_reference(
            model(full).detach(), model.teacher.encode_image(full), queues[0].rows
        )[0]
        patch_teacher = model.teacher.encode_image(torch.cat(large))
        wanted_patches = seed_reference(
            model(torch.cat(patches)).detach(), patch_teacher, queues[1].rows
        )[0]
        losses = step(model, inputs)
        assert set(losses) == {'loss_similarity', 'loss_patch_similarity'}
        assert losses['loss_similarity'].item() == pytest.approx(wanted, rel=1e-5)
        assert losses['loss_patch_similarity'].item() == pytest.approx(
            wanted_patches, rel=1e-5
        )
        queues[0].push(model.teacher.encode_image(full))
        queues[1].push(patch_teacher[: len(full)])
        for queue, reference in zip((model.queue, model.patch_queue), queues):
            np.testing.assert_allclose(queue.embeddings, reference.rows, atol=1e-6)


def test_teacher_may_see_patches_as_they_come(monkeypatch):
    model = toy_seed(num_patches=PATCHES, teacher_patch_size=8)
    full, *patches = views()
    seen = []
    encode = model.teacher.encode_image
    monkeypatch.setattr(
        model.teacher, 'encode_image', lambda x: seen.append(x) or encode(x)
    )
    model([full, *patches], mode='loss')
    for got, wanted in zip(seen, [full, *patches], strict=True):
        assert torch.equal(got, wanted)


def test_gradient_reaches_the_student_and_only_the_student():
    model = toy_seed(num_patches=PATCHES)
    sum(model(views(), mode='loss').values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in model.teacher.parameters())


def test_state_holds_the_queues_that_are_used():
    queue = {'queue.embeddings', 'queue.position'}
    patch_queue = {f'patch_{key}' for key in queue}
    plain = {key for key in toy_seed().state_dict() if 'queue' in key}
    assert plain == queue
    model = toy_seed(num_patches=1)
    found = {key for key in model.state_dict() if 'queue' in key}
    assert found == queue | patch_queue
    assert model.queue.embeddings.shape == (SIZE, D)
    assert not torch.equal(model.queue.embeddings, model.patch_queue.embeddings)


def test_evaluation_does_not_change_the_queue_and_classifies_images():
    bank = dict(type='TextualSemanticsBank', categories=NAMES, templates=['{}'])
    model = toy_seed(zero_shot_bank=bank, num_patches=PATCHES)
    before = model.queue.embeddings.clone()
    (sample, *_) = model(images(), mode='predict')
    assert sample.pred_score.shape == (len(NAMES),)
    model(images(), mode='tensor')
    assert torch.equal(model.queue.embeddings, before)
    assert model.queue.position.item() == 0


@pytest.mark.parametrize('num_patches', [0, PATCHES])
def test_every_view_is_normalised_as_the_teacher_was_trained(num_patches):
    model = toy_seed(num_patches=num_patches)
    red = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    red[:, 2] = 240  # The images are BGR.
    wanted = torch.tensor([(240 - 120) / 60, -110 / 61, -100 / 62])
    single = model.data_preprocessor(dict(inputs=red))['inputs']  # Validation
    batch = [single]
    if num_patches:
        data = dict(inputs=[red, *[red[..., :2, :2]] * num_patches])
        batch = [*model.data_preprocessor(data, training=True)['inputs'], single]
        assert len(batch) == 2 + num_patches
    for view in batch:
        torch.testing.assert_close(
            view, wanted[None, :, None, None].expand_as(view), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(queue_size=0), 'SEED.queue_size'),
        (dict(queue_size=1e4), 'SEED.queue_size'),
        (dict(num_patches=-1), 'SEED.num_patches'),
        (dict(num_patches=True), 'SEED.num_patches'),
        (dict(teacher_patch_size=0), 'SEED.teacher_patch_size'),
        (dict(student_temperature=0), 'SEED.student_temperature'),
        (
            dict(num_patches=1, data_preprocessor=dict(mean=[1, 2, 3])),
            'data_preprocessor.mean',
        ),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        toy_seed(**options)


@pytest.mark.parametrize(
    'num_patches, inputs, shapes',
    [
        (0, views(2), r'\[\(2, 3, 16, 16\), \(2, 3, 8, 8\)'),
        # Views that another preprocessor has padded and stacked.
        (0, torch.stack([images(2)] * 4), r'\[\(4, 2, 3, 16, 16\)\]'),
        (PATCHES, images(2), r'\[\(2, 3, 16, 16\)\]'),
        (PATCHES, views(2, num_patches=PATCHES - 1), 'should be 4 tensor'),
    ],
    ids=['off_but_list', 'off_but_stacked', 'on_but_single', 'too_few'],
)
def test_views_that_do_not_fit_are_refused(num_patches, inputs, shapes):
    with pytest.raises(ConfigError, match=shapes):
        toy_seed(num_patches=num_patches)(inputs, mode='loss')


def train(model, share=slice(None)):
    """Four steps; what they left behind, and each step's losses."""
    inner = getattr(model, 'module', model)
    log = []
    for number in range(4):
        losses = step(model, [view[share] for view in views(6, number)])
        log.append(torch.stack([loss.detach() for loss in losses.values()]))
    return dict(losses=torch.stack(log), state=inner.state_dict())


def toy_of_two_ranks():
    # 7 is no multiple of the batch; the batch is the larger part of the queue.
    return toy_seed(num_patches=PATCHES, queue_size=7)


def train_half(rank):
    # The images of a batch are assigned to the ranks in turn.
    model = DistributedDataParallel(toy_of_two_ranks())
    return train(model, slice(rank, None, 2))


@pytest.mark.slow
def test_two_ranks_with_half_the_batch_equal_one(tmp_path):
    whole = train(toy_of_two_ranks())
    halves = run_on_two_ranks(train_half, tmp_path)
    mean = (halves[0]['losses'] + halves[1]['losses']) / 2
    torch.testing.assert_close(mean, whole['losses'], atol=1e-6, rtol=1e-6)
    for key, value in whole['state'].items():
        assert torch.equal(halves[0]['state'][key], halves[1]['state'][key]), key
        torch.testing.assert_close(halves[0]['state'][key], value, atol=1e-6, rtol=0)
    assert whole['state']['queue.position'].item() == 24 % 7
