import copy

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.structures import DataSample

from mmlgd.errors import BankError, ConfigError
from mmlgd.registry import MODELS
from tests.reference import lgd_reference, lgka_reference
from tests.toys import NAMES, D, ToyTeacher, toy_lgd, toy_lgd_cfg


def images(batch=5, seed=0):
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_losses_and_banks_match_float64_over_several_steps():
    model = toy_lgd(alpha=0.3)
    model.build_text_banks()
    text = model.textual_bank.embeddings.numpy()
    visual, seen = (
        model.visual_bank.embeddings.numpy().copy(),
        np.zeros(len(NAMES), bool),
    )
    for step in range(4):
        inputs = images(seed=step)
        student, teacher = model(inputs), model.teacher.encode_image(inputs)
        losses = model(inputs, mode='loss')
        textual, vis, *_ = lgd_reference(student.detach(), teacher, text, visual)
        assert set(losses) == {'loss_textual', 'loss_visual'}
        assert losses['loss_textual'].item() == pytest.approx(0.7 * textual, rel=1e-5)
        assert losses['loss_visual'].item() == pytest.approx(0.3 * vis, rel=1e-5)
        # The bank is updated after the loss of the same batch, not before.
        visual, seen = lgka_reference(visual, seen, teacher, text, momentum=0.9)
        np.testing.assert_allclose(
            model.visual_bank.embeddings.numpy(), visual, atol=1e-6
        )
        np.testing.assert_array_equal(model.visual_bank.seen.numpy(), seen)


def test_gradient_reaches_the_student_and_only_the_student():
    model = toy_lgd()
    sum(model(images(), mode='loss').values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in model.teacher.parameters())
    assert not model.visual_bank.embeddings.requires_grad


def test_teacher_is_in_no_state_optimizer_or_copy():
    model = toy_lgd()
    frozen = {id(p) for p in model.teacher.parameters()}
    assert not [key for key in model.state_dict() if 'teacher' in key]
    optimizer = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    listed = {id(p) for group in optimizer.param_groups for p in group['params']}
    assert not listed & frozen
    assert copy.deepcopy(model).teacher is model.teacher
    weight = model.teacher.weight.clone()
    model.init_weights()
    model.train()
    assert not model.teacher.training
    assert torch.equal(model.teacher.weight, weight)


def test_teacher_follows_the_model():
    model = toy_lgd().double()
    assert model.teacher.weight.dtype == torch.float64


def test_student_stands_at_the_root_of_the_state():
    roots = {key.split('.')[0] for key in toy_lgd().state_dict()}
    assert roots == {'backbone', 'projector', 'textual_bank', 'visual_bank'}


def test_state_round_trip_with_other_names_refused():
    model, again = toy_lgd(), toy_lgd()
    model(images(), mode='loss')
    again.load_state_dict(model.state_dict(), strict=True)
    assert again.textual_bank.built
    assert torch.equal(again.visual_bank.seen, model.visual_bank.seen)
    with pytest.raises(BankError, match='4 category names, the config 2'):
        toy_lgd(['cat', 'dog']).load_state_dict(model.state_dict())


def test_feature_width_is_found():
    model = toy_lgd(backbone=dict(type='ToyBackbone', width=20))
    assert model.feature_dims == model.projector.in_channels == 20
    assert model.projector.out_channels == D


@pytest.mark.parametrize(
    'backbone, width',
    [
        (dict(type='mmpretrain.ResNet', depth=18), 512),
        (dict(type='mmpretrain.MobileNetV3', arch='small'), 576),
    ],
)
def test_probing_has_no_side_effects(backbone, width):
    torch.manual_seed(3)
    model = MODELS.build(toy_lgd_cfg(backbone=backbone))
    assert model.feature_dims == width
    assert model.backbone.training
    means = [
        b for name, b in model.backbone.named_buffers() if name.endswith('running_mean')
    ]
    assert means and not any(mean.any() for mean in means)


def test_predictions_follow_the_names():
    model = toy_lgd()
    model.eval()
    samples = [DataSample(img_path=str(i)).set_gt_label(1) for i in range(5)]
    found = model(images(), samples, mode='predict')
    expected = (model(images()) @ model.textual_bank.embeddings.T / 0.2).softmax(1)
    for i, sample in enumerate(found):
        torch.testing.assert_close(sample.pred_score, expected[i])
        assert sample.pred_label.item() == expected[i].argmax()
        assert sample.img_path == str(i) and sample.gt_label.item() == 1
    teacher = model.teacher.encode_image(images()) @ model.textual_bank.embeddings.T
    labels = torch.stack([s.teacher_pred_score for s in found]).argmax(1)
    assert torch.equal(labels, teacher.argmax(1))


def test_student_alone_predicts_without_the_teacher():
    (sample, *_) = toy_lgd(predict_teacher=False)(images(), mode='predict')
    assert 'teacher_pred_score' not in sample and sample.pred_score.shape == (4,)


def test_prediction_under_other_names():
    bank = dict(type='TextualSemanticsBank', categories=['a', 'b'], templates=['{}'])
    model = toy_lgd(zero_shot_bank=bank)
    (sample, *_) = model(images(), mode='predict')
    assert sample.pred_score.shape == (2,)
    assert not [key for key in model.state_dict() if key.startswith('zero_shot')]


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(alpha=1.5), 'LGD.alpha'),
        (dict(alpha=-0.1), 'LGD.alpha'),
        (dict(balance=1.5), 'LGD.balance'),
        (dict(balance=-0.1), 'LGD.balance'),
        (dict(student_temperature=0), 'LGD.student_temperature'),
        (dict(teacher_temperature=-1), 'LGD.teacher_temperature'),
        (dict(projector=dict(out_channels=7)), 'projector.out_channels is 7'),
        (dict(neck=None), 'GlobalAveragePooling'),
        (dict(data_preprocessor=dict(mean=[1, 2, 3])), 'data_preprocessor.mean'),
        (dict(data_preprocessor=dict(to_rgb=False)), 'data_preprocessor.to_rgb'),
        (
            dict(textual_bank=dict(type='TextualSemanticsBank', categories='cocoo')),
            'coco',
        ),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        toy_lgd(**options)


def test_images_are_normalised_as_the_teacher_was_trained():
    model = toy_lgd()
    bgr = torch.full((3, 4, 4), 0, dtype=torch.uint8)
    bgr[2] = 240  # red
    inputs = model.data_preprocessor(dict(inputs=[bgr]))['inputs']
    expected = [(240 - 120) / 60, -110 / 61, -100 / 62]
    torch.testing.assert_close(inputs[0, :, 0, 0], torch.tensor(expected))


def test_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match="no mode 'lose'"):
        toy_lgd()(images(), mode='lose')


def test_loss_needs_no_half_precision_care_from_the_caller():
    plain, mixed = toy_lgd(), toy_lgd()
    plain(images(), mode='loss')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = mixed(images(), mode='loss')
    assert losses['loss_textual'].dtype == torch.float32
    # The teacher computes in float32 whatever the context, and so does the bank.
    assert torch.equal(plain.visual_bank.embeddings, mixed.visual_bank.embeddings)


def test_toy_teacher_can_be_passed_ready_made():
    teacher = ToyTeacher()
    assert toy_lgd(teacher=teacher).teacher is teacher


@pytest.mark.parametrize('method', ['LGD', 'FeatureMimicry', 'RelationalKD'])
def test_several_views_of_an_image_are_refused(method):
    cfg = toy_lgd_cfg(type=method)
    if method != 'LGD':
        del cfg['textual_bank'], cfg['visual_bank']
    pair = [torch.zeros(2, 3, 16, 16)] * 2
    with pytest.raises(
        ConfigError, match=f'{method} .* one view .* batch has 2; .*Bag'
    ):
        MODELS.build(cfg)(pair, mode='loss')
