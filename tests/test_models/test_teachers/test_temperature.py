"""teacher_temperature='auto': what a CLIP has learned."""

import math

import open_clip
import pytest
import torch
from mmengine.runner import Runner

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.losses import lgd_loss
from mmlgd.registry import MODELS
from tests.helpers import tiny_clip_config_path, tiny_teacher, tiny_teacher_cfg
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, toy_lgd, toy_lgd_cfg


def clip_file(tmp_path, scale: float) -> str:
    """Weights of the tiny CLIP that has learned a scale."""
    open_clip.add_model_config(tiny_clip_config_path())
    state = open_clip.create_model('rn_tiny').state_dict()
    state['logit_scale'] = torch.tensor(scale)
    torch.save(state, tmp_path / 'clip.pt')
    return str(tmp_path / 'clip.pt')


# OpenAI's CLIPs end at a scale of 100; MobileCLIP2's authors found 60 and 70 best.
@pytest.mark.parametrize('scale, wanted', [(100, 0.01), (60, 1 / 60), (70, 1 / 70)])
def test_auto_is_the_inverse_of_the_learned_scale(tmp_path, scale, wanted, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmlgd.models.teachers.temperature.print_log',
        lambda text, *_: said.append(text),
    )
    teacher = tiny_teacher_cfg() | dict(pretrained=clip_file(tmp_path, math.log(scale)))

    model = MODELS.build(toy_lgd_cfg(teacher=teacher, teacher_temperature='auto'))

    assert model.teacher_temperature == pytest.approx(wanted, rel=1e-6)
    assert type(model.teacher_temperature) is float
    assert len(said) == 1 and f'{wanted:.6g}' in said[0] and 'logit_scale' in said[0]


def test_the_scale_is_not_in_the_identity(tmp_path):
    weights = clip_file(tmp_path, 4.0)
    first = tiny_teacher(weights)
    state = torch.load(weights) | {'logit_scale': torch.tensor(2.0)}
    torch.save(state, weights)

    second = tiny_teacher(weights)

    assert (first.logit_scale, second.logit_scale) == (4.0, 2.0)
    assert first.identity == second.identity


@pytest.mark.parametrize('method', ['SEED', 'FeatureMimicry', 'RelationalKD'])
def test_other_methods_take_it_too(method):
    cfg = toy_lgd_cfg(teacher=tiny_teacher_cfg(), teacher_temperature='auto')
    del cfg['textual_bank'], cfg['visual_bank']
    cfg['type'] = method
    if method == 'SEED':
        cfg['queue_size'] = 8

    # open_clip starts at a scale of 1 / 0.07.
    assert MODELS.build(cfg).teacher_temperature == pytest.approx(0.07, rel=1e-5)


def test_a_teacher_without_a_scale_names_what_to_set():
    with pytest.raises(
        ConfigError, match='LGD.teacher_temperature.*ToyTeacher.*0.01.*mmlgd teacher-t'
    ):
        toy_lgd(teacher_temperature='auto')


def test_a_scale_that_no_training_gives(tmp_path):
    teacher = tiny_teacher_cfg() | dict(pretrained=clip_file(tmp_path, float('nan')))

    with pytest.raises(TeacherError, match='logit_scale.*nan.*broken'):
        toy_lgd(teacher=teacher, teacher_temperature='auto')


@pytest.mark.parametrize('value', ['Auto', 'learned', 0, -1.0, True, None])
def test_other_values_are_refused(value):
    with pytest.raises(ConfigError, match='LGD.teacher_temperature'):
        toy_lgd(teacher_temperature=value)


@pytest.mark.parametrize('value', [1, 0.02])
def test_numbers_still_serve(value):
    assert toy_lgd(teacher_temperature=value).teacher_temperature == value


def test_siglips_bias_changes_no_target():
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(9, 6, generator=generator))
    student, teacher, anchors = rows[:2], rows[2:4], rows[4:]
    scale, bias = 112.0, -16.5

    loss = lgd_loss(student, teacher, anchors, anchors, 0.2, 1 / scale).textual

    # The softmax of SigLIP's own logits, bias included, in float64.
    logits = scale * (teacher.double() @ anchors.double().T) + bias
    found = torch.log_softmax(student.double() @ anchors.double().T / 0.2, dim=1)
    expected = -(logits.softmax(dim=1) * found).sum(dim=1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_meta_has_the_number(tmp_path):
    write_images(tmp_path)
    teacher = tiny_teacher_cfg()
    cfg = toy_lgd_cfg(sorted(NAMES), teacher=teacher, teacher_temperature='auto')
    cfg = toy_run_cfg(tmp_path, tmp_path / 'run', cfg)
    cfg.train_cfg.max_epochs = 1
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.train_dataloader.dataset.dataset.pipeline[1].scale = 64

    Runner.from_cfg(cfg).train()

    meta = torch.load(tmp_path / 'run/epoch_1.pth', weights_only=True)['meta']
    assert meta['teacher_temperature'] == pytest.approx(0.07, rel=1e-5)
