"""The strict configs against formulas written from the description of the authors' code.

Checked are the learning rate of every epoch, the standard deviation of every layer's
initial weights, the dropout before the projector, and the precision of teacher and
similarities.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models import Projector, Student
from mmlgd.models.losses import lgd_loss
from mmlgd.registry import PARAM_SCHEDULERS
from tests.test_configs.shrink import CONFIGS

STRICT = ['r50_r18_strict', 'r50_mbv2_strict']


def read(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'lgd/{name}.py')


def rates(settings: dict, epochs: int, lr: float = 0.24) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = PARAM_SCHEDULERS.build(dict(settings, optimizer=optimizer))
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize('name', STRICT)
def test_rate_of_every_epoch(name):
    cfg = read(name)
    (settings,) = cfg.param_scheduler
    found = rates(settings, 200)
    assert found[:6] == pytest.approx(
        [0.03, 0.072, 0.114, 0.156, 0.198, 0.12 * (1 + math.cos(math.pi / 40))]
    )
    assert found[100] == pytest.approx(0.12)
    assert found[199] == pytest.approx(0.12 * (1 + math.cos(math.pi * 199 / 200)))
    # 195 epochs of a cosine over 200, the first five replaced.
    cosine = sum(0.12 * (1 + math.cos(math.pi * e / 200)) for e in range(5, 200))
    assert sum(found) == pytest.approx(0.57 + cosine)
    # An epoch has one rate: no conversion to iterations.
    assert 'convert_to_iter_based' not in settings
    assert cfg.train_cfg.max_epochs == 200
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.24, momentum=0.9, weight_decay=1e-4
    )


def test_a_longer_run_ends_at_the_end_of_the_cosine():
    settings = dict(type='EpochCosineLR', max_epochs=4, warmup_epochs=1)
    assert rates(settings, 6, lr=1.0)[4:] == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize(
    'options',
    [
        dict(max_epochs=5, warmup_epochs=5),
        dict(max_epochs=5, warmup_epochs=1, start_factor=0),
        dict(max_epochs=5, warmup_epochs=1, by_epoch=False),
    ],
)
def test_an_invalid_schedule_is_refused(options):
    with pytest.raises(ConfigError, match='EpochCosineLR'):
        rates(dict(type='EpochCosineLR', **options), 1)


def build_student(name: str) -> Student:
    model = read(name).model
    student = Student(
        model.backbone, 1024, neck=model.neck, projector=model.get('projector')
    )
    student.init_weights()
    return student


@pytest.mark.parametrize('name', STRICT)
def test_start_of_convolutions_and_batch_norms(name):
    """Kaiming's normal by fan-out for convolutions; every BatchNorm is 1 and 0."""
    torch.manual_seed(0)
    backbone = build_student(name).backbone
    norms = [each for each in backbone.modules() if isinstance(each, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert (norm.weight == 1).all() and (norm.bias == 0).all()
        assert (norm.momentum, norm.eps) == (0.1, 1e-5)
    convolutions = [each for each in backbone.modules() if isinstance(each, nn.Conv2d)]
    for conv in convolutions:
        if conv.weight.numel() < 4000:
            continue  # too few weights to estimate their deviation
        kernel = conv.kernel_size[0] * conv.kernel_size[1]
        wanted = math.sqrt(2 / (conv.out_channels * kernel))
        assert conv.weight.std().item() == pytest.approx(wanted, rel=0.06)
        assert conv.bias is None


def test_start_of_the_projectors():
    torch.manual_seed(0)
    # nn.Linear's own start: uniform up to 1 / sqrt(inputs).
    for layer, width in zip(
        build_student('r50_r18_strict').projector.layers[::2], (512,) * 2
    ):
        bound = width**-0.5
        assert bound * 0.99 < layer.weight.abs().max() <= bound
    first, _, last = build_student('r50_mbv2_strict').projector.layers
    assert first.weight.abs().max() <= 1280**-0.5
    assert last.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert last.weight.abs().max() > 0.03  # normal, not uniform
    assert (last.bias == 0).all()


def test_dropout_falls_on_the_pooled_features_and_only_while_training():
    torch.manual_seed(0)
    projector = build_student('r50_mbv2_strict').projector
    features = torch.ones(500, 1280)
    seen = []
    projector.layers[0].register_forward_hook(
        lambda _, given, __: seen.append(given[0])
    )
    projector.train()
    projector(features)
    projector.eval()
    projector(features)
    training, evaluating = seen
    assert (training == 0).float().mean().item() == pytest.approx(0.2, abs=0.003)
    assert training.max().item() == pytest.approx(1 / 0.8)
    assert torch.equal(evaluating, features)
    assert build_student('r50_r18_strict').projector.dropout.p == 0


@pytest.mark.parametrize('option', [dict(dropout=1.0), dict(last_std=-1)])
def test_projector_options_out_of_range_are_refused(option):
    with pytest.raises(ConfigError, match=f'Projector.{[*option][0]}'):
        Projector(4, 4, **option)


@pytest.mark.parametrize('name', STRICT)
def test_half_precision_where_the_authors_have_it(name):
    cfg = read(name)
    assert cfg.model.teacher.precision == 'fp16'
    assert cfg.model.half_similarities is True
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.dtype == 'float16'


def unit_rows(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape), dim=1)


def test_half_similarities_are_float16_products():
    """Products, and the division by the temperature, rounded to float16."""
    torch.manual_seed(0)
    student = unit_rows(6, 16).requires_grad_()
    teacher, text, visual = unit_rows(6, 16), unit_rows(5, 16), unit_rows(5, 16)
    losses = lgd_loss(student, teacher, text, visual, half_similarities=True)

    def half(values):
        return values.detach().half().double()

    def loss_of(rows, anchors, own):
        logits = [half(half(each) @ half(anchors).T) for each in (rows, teacher)]
        if own:
            first = [
                half((half(each) * half(teacher)).sum(1, keepdim=True))
                for each in (rows, teacher)
            ]
            logits = [torch.cat(pair, 1) for pair in zip(first, logits)]
        found, wanted = half(logits[0] / 0.2), half(logits[1] / 0.01)
        return -(wanted.softmax(1) * found.log_softmax(1)).sum(1).mean()

    # float16 has 11 bits: an intermediate rounding may fall to the other side.
    assert losses.textual.item() == pytest.approx(
        loss_of(student, text, False).item(), rel=2e-3
    )
    assert losses.visual.item() == pytest.approx(
        loss_of(student, visual, True).item(), rel=2e-3
    )
    assert losses.teacher_text_logits.dtype == torch.float32
    # Each similarity is a float16 number.
    logits = losses.teacher_text_logits
    assert torch.equal(logits, logits.half().float())

    exact = lgd_loss(student, teacher, text, visual)
    for name in ('textual', 'visual'):
        (got,) = torch.autograd.grad(getattr(losses, name), student, retain_graph=True)
        (wanted,) = torch.autograd.grad(
            getattr(exact, name), student, retain_graph=True
        )
        assert torch.allclose(got, wanted, atol=2e-3)


def test_anchors_may_change_before_the_backward_pass():
    """The bank is updated after the losses and before their gradients are asked for."""
    torch.manual_seed(0)
    student = unit_rows(4, 8).requires_grad_()
    teacher, text, visual = unit_rows(4, 8), unit_rows(3, 8), unit_rows(3, 8)
    gradients = []
    for change in (False, True):
        anchors = visual.clone()
        loss = lgd_loss(student, teacher, text, anchors, half_similarities=True).visual
        if change:
            anchors.zero_()
        gradients += torch.autograd.grad(loss, student)
    assert torch.equal(*gradients)
