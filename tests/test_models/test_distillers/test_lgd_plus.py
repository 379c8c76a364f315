import numpy as np
import pytest
import torch

from mmlgd.registry import MODELS
from tests.device_reads import device_reads
from tests.reference import lgd_reference, weights_reference
from tests.toys import NAMES, D, toy_lgd, toy_lgd_cfg

QUEUE = dict(type='EmbeddingQueue', size=6)
CLUSTERS = dict(type='ClusterBank', num_clusters=3)


def images(batch=5, seed=0):
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('anchor_bank', [None, QUEUE, CLUSTERS])
@pytest.mark.parametrize('balance', [0.0, 0.5])
def test_losses_match_float64_over_several_steps(anchor_bank, balance):
    model = toy_lgd(type='LGDPlus', anchor_bank=anchor_bank, balance=balance)
    model.build_text_banks()
    text, counts = model.textual_bank.embeddings.numpy(), np.zeros(len(NAMES))
    for step in range(4):
        inputs = images(seed=step)
        student, teacher = model(inputs).detach(), model.teacher.encode_image(inputs)
        visual = model.visual_bank.embeddings.numpy()
        if anchor_bank is not None:
            visual = np.concatenate([visual, model.anchor_bank.embeddings.numpy()])
        owner = np.argmax(teacher.numpy() @ text.T, axis=1)
        weights = weights_reference(counts, owner, balance)
        expected = np.zeros(2)
        for weight, s, t in zip(weights, student, teacher):
            textual, vis, *_ = lgd_reference(s[None], t[None], text, visual)
            expected += weight * np.array([textual, vis]) / len(inputs)
        losses = model(inputs, mode='loss')
        assert losses['loss_textual'].item() == pytest.approx(expected[0] / 2, rel=1e-5)
        assert losses['loss_visual'].item() == pytest.approx(expected[1] / 2, rel=1e-5)
        counts = 0.999 * counts + np.bincount(owner, minlength=len(NAMES))


def test_batch_is_queued_after_its_loss():
    model = toy_lgd(type='LGDPlus', anchor_bank=QUEUE)
    inputs = images(batch=4)
    noise = model.anchor_bank.embeddings.clone()
    model(inputs, mode='loss')
    queued = model.anchor_bank.embeddings
    assert torch.equal(queued[:4], model.teacher.encode_image(inputs))
    assert torch.equal(queued[4:], noise[4:])


def test_without_additions_it_is_lgd():
    plain, plus = toy_lgd(), toy_lgd(type='LGDPlus', anchor_bank=None, balance=0.0)
    assert plain.state_dict().keys() == plus.state_dict().keys()
    for step in range(3):
        inputs = images(seed=step)
        got, expected = (model(inputs, mode='loss') for model in (plus, plain))
        assert all(torch.equal(got[key], expected[key]) for key in expected)


@pytest.mark.parametrize('anchor_bank', [QUEUE, CLUSTERS])
def test_resumed_model_continues_identically(anchor_bank):
    straight, resumed = (toy_lgd(type='LGDPlus', anchor_bank=anchor_bank) for _ in '12')
    for step in range(2):
        straight(images(seed=step), mode='loss')
    resumed.load_state_dict(straight.state_dict())
    for step in range(2, 4):
        got, expected = (m(images(seed=step), mode='loss') for m in (resumed, straight))
        assert all(torch.equal(got[key], expected[key]) for key in expected)


def test_checkpoint_of_lgd_continues_as_lgd_plus():
    lgd = toy_lgd()
    lgd(images(), mode='loss')
    plus = MODELS.build(toy_lgd_cfg(type='LGDPlus', anchor_bank=QUEUE))
    missing, unexpected = plus.load_state_dict(lgd.state_dict(), strict=False)
    assert not unexpected
    assert sorted(missing) == [
        'anchor_bank.embeddings',
        'anchor_bank.position',
        'frequency.counts',
    ]


def test_gradient_flows_after_the_queue_was_overwritten():
    model = toy_lgd(type='LGDPlus', anchor_bank=dict(QUEUE, size=2))
    sum(model(images(), mode='loss').values()).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    assert model.anchor_bank.embeddings.shape == (2, D)


@pytest.mark.parametrize('anchor_bank', [QUEUE, CLUSTERS])
def test_a_step_reads_nothing_from_the_device(anchor_bank):
    model = toy_lgd(type='LGDPlus', anchor_bank=anchor_bank)
    model(images(), mode='loss')
    with device_reads() as reads:
        sum(model(images(), mode='loss').values()).backward()
    assert reads == []
