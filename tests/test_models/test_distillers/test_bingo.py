import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from mmlgd.errors import ConfigError
from mmlgd.models import DistillDataPreprocessor
from mmlgd.registry import MODELS
from mmlgd.utils.cutmix import cutmix
from tests.bingo_runs import toy_bingo_cfg
from tests.reference_bingo import bingo_reference

BATCH = 4


def views(number=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(BATCH, 3, 16, 16, generator=generator) for _ in range(number)]


def toy_bingo(**overrides):
    torch.manual_seed(0)
    model = MODELS.build(toy_bingo_cfg(**overrides))
    model.set_epoch(5)
    return model


def step(model, inputs, seed=11):
    torch.manual_seed(seed)
    return model(inputs, mode='loss')


def expected(model, inputs, queue, intra_only=False, seed=11):
    """A third of each of the three losses, for the model's inputs."""
    torch.manual_seed(seed)
    mixed, mixing = cutmix(*inputs[:2])
    students = [model(images).detach() for images in (*inputs[:2], mixed)]
    targets = [model.teacher.encode_image(images) for images in inputs[-2:]]
    losses, _ = bingo_reference(
        *students, *targets, queue, mixing, 0.2, intra_only=intra_only
    )
    return dict(zip(('loss_anchor', 'loss_positive', 'loss_mix'), losses / 3))


def assert_same_losses(found, wanted):
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].item() == pytest.approx(value, rel=1e-5), name


def test_losses_and_queue_match_float64_over_several_steps():
    model = toy_bingo()
    queue, place = model.queue.embeddings.numpy().copy(), 0
    assert queue.shape == (7, 16)
    for number in range(4):
        inputs = views(seed=number)
        wanted = expected(model, inputs, queue, seed=number)
        assert_same_losses(step(model, inputs, seed=number), wanted)
        # The targets of anchors are enqueued after the loss, those of positives never.
        for row in model.teacher.encode_image(inputs[0]).numpy():
            queue[place % 7], place = row, place + 1
        np.testing.assert_allclose(model.queue.embeddings, queue, atol=1e-6)


@pytest.mark.parametrize('epoch, intra_only', [(0, True), (1, True), (2, False)])
def test_first_epochs_omit_the_positive_loss(epoch, intra_only):
    model = toy_bingo(warmup_epochs=2)
    model.set_epoch(epoch)
    wanted = expected(model, views(), model.queue.embeddings.clone(), intra_only)
    assert_same_losses(step(model, views()), wanted)


def test_epoch_must_be_set_if_it_matters():
    with pytest.raises(ConfigError, match='BagsHook'):
        step(MODELS.build(toy_bingo_cfg()), views())
    model = MODELS.build(toy_bingo_cfg(warmup_epochs=0))
    wanted = expected(model, views(), model.queue.embeddings.clone())
    assert_same_losses(step(model, views()), wanted)


def test_the_published_warm_up_is_the_default():
    cfg = toy_bingo_cfg()
    del cfg['warmup_epochs']
    model, warming_up = MODELS.build(cfg), []
    for epoch in range(13):
        model.set_epoch(epoch)
        warming_up.append(model.is_warming_up)
    # The authors' epochs begin at 0, and `epoch > 10` ends the warm-up.
    assert warming_up == [True] * 11 + [False] * 2


def test_a_compiled_step_is_not_recompiled_in_each_epoch():
    model, compiled = toy_bingo(warmup_epochs=20), CompileCounter()
    loss = torch.compile(model.loss, backend=compiled)
    counts = []
    for epoch in range(4):
        model.set_epoch(epoch)
        torch.manual_seed(0)  # the same box to cut: another may be compiled again
        loss(views())
        counts.append(compiled.frame_count)
    torch._dynamo.reset()
    assert counts[0] > 0 and counts == counts[:1] * 4


def test_teacher_may_have_its_own_views():
    model, inputs = toy_bingo(), views(4)
    wanted = expected(model, inputs, model.queue.embeddings.clone())
    assert_same_losses(step(model, inputs), wanted)
    entered = model.teacher.encode_image(inputs[2])
    torch.testing.assert_close(model.queue.embeddings[:BATCH], entered)


def test_gradient_reaches_the_student_and_only_the_student():
    model = toy_bingo()
    sum(step(model, views()).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in model.teacher.parameters())
    assert not model.queue.embeddings.requires_grad


def test_generator_alone_decides_on_the_mixture():
    losses = [step(toy_bingo(), views(), seed)['loss_mix'] for seed in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


def test_queue_is_saved_and_resumed():
    model, again = toy_bingo(), toy_bingo()
    step(model, views())
    roots = {key.split('.')[0] for key in model.state_dict()}
    assert roots == {'backbone', 'projector', 'queue'}
    again.load_state_dict(model.state_dict(), strict=True)
    found, wanted = (step(each, views(seed=1)) for each in (again, model))
    assert found == wanted


def test_every_view_is_normalised_with_the_teachers_constants():
    preprocessor = toy_bingo().data_preprocessor
    assert isinstance(preprocessor, DistillDataPreprocessor)
    black = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    wanted = torch.tensor([-120 / 60, -110 / 61, -100 / 62])
    pair = preprocessor(dict(inputs=[black, black]))['inputs']
    for images in (*pair, preprocessor(dict(inputs=black))['inputs']):
        torch.testing.assert_close(images[1, :, 3, 3], wanted)


def test_prediction_takes_one_view():
    (sample, *_) = toy_bingo()(views()[0], mode='predict')
    assert sample.pred_score.shape == (4,)


@pytest.mark.parametrize(
    'inputs, found',
    [(views()[0], 'one'), (views(3), '3'), (views(1), '1')],
    ids=['tensor', 'three', 'single'],
)
def test_inputs_that_are_not_pairs_are_refused(inputs, found):
    with pytest.raises(ConfigError, match=f'the batch has {found}; wrap .*BagPairs'):
        step(toy_bingo(), inputs)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(queue_size=0), 'BINGO.queue_size'),
        (dict(warmup_epochs=-1), 'BINGO.warmup_epochs'),
        (dict(student_temperature=0), 'BINGO.student_temperature'),
        (dict(data_preprocessor=dict(mean=[1, 2, 3])), 'data_preprocessor.mean'),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        toy_bingo(**options)
