"""LGD with further teachers: losses against float64, passes, state."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from tests.reference import lgd_reference
from tests.reference_features import feature_matching, statistics
from tests.reference_mimicry import conv1x1, gradient
from tests.several_toys import WIDTH, FurtherToy, entry, fit, several, several_cfg
from tests.toys import NAMES, D, ToyTeacher, toy_lgd

CROP = 24
BOTH = entry(seed=2, size=16, width=7, target=['features', 'maps'], weight=0.3)
NAMED = {'loss_features_1', 'loss_features_2', 'loss_maps_2'}


def images(number: int = 6, seed: int = 0, side: int = CROP) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, 3, side, side, generator=generator)


def double(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def own_view(teacher: FurtherToy, inputs: torch.Tensor) -> torch.Tensor:
    """What the teacher's own preprocessing makes of a crop."""
    mean, std, own_mean, own_std = (
        torch.tensor(values)[:, None, None]
        for values in (
            *(ToyTeacher.image_mean, ToyTeacher.image_std),
            *(teacher.image_mean, teacher.image_std),
        )
    )
    pixels = inputs * std + mean
    side = (teacher.image_size,) * 2
    pixels = torch.nn.functional.interpolate(
        pixels, side, mode='bilinear', antialias=True
    )
    return (pixels - own_mean) / own_std


def perceptron(projector, features: np.ndarray) -> np.ndarray:
    first, _, last = (
        [double(value) for value in layer.parameters()] for layer in projector.layers
    )
    hidden = np.maximum(features @ first[0].T + first[1], 0)
    return hidden @ last[0].T + last[1]


def expected(model, inputs: torch.Tensor, seen: torch.Tensor) -> dict[str, float]:
    """All further losses of ``inputs``, with statistics of the images ``seen``."""
    student_map = double(model.backbone(model.student_view(inputs))[-1])
    pooled = student_map.mean(axis=(2, 3))
    losses = {}
    for number, one in enumerate(model.further_teachers, 1):
        toy = one.teacher.adapted
        for target in one.targets:
            values, first_pass = (
                double(toy.map_features(own_view(toy, each))[target == 'maps'])
                for each in (inputs, seen)
            )
            name = f'{target}_{number}'
            projector = model.feature_projectors[name]
            if target == 'maps':
                mean, std = statistics(np.moveaxis(first_pass, 1, 3).reshape(-1, 7))
                mean, std = mean[:, None, None], std[:, None, None]
                weight, bias = map(double, projector.parameters())
                student = conv1x1(student_map, weight[:, :, 0, 0], bias)
            else:
                values, first_pass = unit(values), unit(first_pass)
                mean, std = statistics(first_pass)
                student = perceptron(projector, pooled)
            loss = feature_matching(student, (values - mean) / std)
            losses[f'loss_{name}'] = one.weight * loss
    return losses


@pytest.mark.parametrize('seed', [0, 1, 2])
@pytest.mark.parametrize('student_size', [None, 12])
def test_losses_match_float64(seed, student_size):
    first = entry(seed=seed, weight=2.5, projector=dict(hidden_channels=5))
    model = several(first, BOTH, student_size=student_size)
    seen, inputs = images(20, 90 + seed), images(3 + seed, seed)
    fit(model, seen)

    found = model(inputs, mode='loss')

    wanted = expected(model, inputs, seen)
    assert wanted.keys() == NAMED
    assert found.keys() == NAMED | {'loss_textual', 'loss_visual'}
    for name, value in wanted.items():
        assert found[name].item() == pytest.approx(value, rel=2e-4), name


def test_gradient_of_a_projector_matches_central_differences():
    model = fit(several(entry(), size := entry(seed=2, size=16)), images(20, 9))
    inputs = images(3)
    loss = model(inputs, mode='loss')['loss_features_2']
    bias = model.feature_projectors['features_2'].layers[2].bias
    loss.backward()
    assert size['teacher']['size'] == 16

    def moved(values):
        with torch.no_grad():
            bias.copy_(torch.tensor(values))
        return expected(model, inputs, images(20, 9))['loss_features_2']

    wanted = gradient(moved, double(bias), step=1e-3)
    np.testing.assert_allclose(bias.grad.numpy(), wanted, rtol=2e-2, atol=2e-4)


def test_the_language_teachers_part_is_lgd():
    plain = toy_lgd()
    model = fit(several(entry(size=16)), images(20, side=16))
    model.load_state_dict(plain.state_dict(), strict=False)
    for _ in range(2):
        wanted, found = (one(images(side=16), mode='loss') for one in (plain, model))
        for name, value in wanted.items():
            assert torch.equal(found[name], value)
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_the_language_teacher_may_have_smaller_images():
    model = fit(several(entry()), images(20))
    inputs = images()
    found = model(inputs, mode='loss')
    small = torch.nn.functional.interpolate(
        inputs, (16, 16), mode='bilinear', antialias=True
    )
    text = model.textual_bank.embeddings
    # The first step's visual anchors are zeros.
    rows = ToyTeacher().encode_image(small)
    textual, _, _, _ = lgd_reference(
        double(model(inputs)), rows, text, torch.zeros(len(NAMES), D)
    )
    assert found['loss_textual'].item() == pytest.approx(0.5 * textual, rel=1e-4)
    assert model.checkpoint_meta['image_size'] == CROP


def count_passes(model) -> list[str]:
    """Note each pass of a teacher or the student, from now on."""
    passes = []

    def note(module, name):
        inner = module.image_features, module.map_features

        def image_features(inputs):
            passes.append(name)
            return inner[0](inputs)

        def map_features(inputs):
            passes.append(name)
            return inner[1](inputs)

        module.image_features, module.map_features = image_features, map_features

    note(model.teacher.adapted, 'teacher 0')
    for number, one in enumerate(model.further_teachers, 1):
        toy = one.teacher.adapted
        # The toy's features come from its map: one of the two is watched.
        toy.conv.register_forward_hook(
            lambda *args, name=f'teacher {number}': passes.append(name)
        )
    model.backbone.register_forward_hook(lambda *args: passes.append('student'))
    return passes


def test_each_net_runs_once_a_step_and_predictions_need_the_first_alone():
    model = fit(several(entry(), BOTH), images(20))
    passes = count_passes(model)

    model(images(), mode='loss')
    assert sorted(passes) == ['student', 'teacher 0', 'teacher 1', 'teacher 2']
    assert passes[-1] == 'student'
    passes.clear()

    (sample, *_) = model.eval()(images(), mode='predict')
    assert sorted(passes) == ['student', 'teacher 0']
    assert sample.pred_score.shape == sample.teacher_pred_score.shape == (len(NAMES),)
    passes.clear()
    model(images(), mode='tensor')
    assert passes == ['student']


def test_teachers_are_in_no_state_and_no_optimizer_and_move_along():
    model = several(entry(), BOTH)
    teachers = [model.teacher, *(one.teacher for one in model.further_teachers)]
    held = {id(value) for one in teachers for value in one.parameters()}

    assert not [key for key in model.state_dict() if 'teacher' in key]
    assert held.isdisjoint(map(id, model.parameters()))
    own = {key.split('.')[0] for key, _ in model.named_parameters()}
    assert own == {'backbone', 'projector', 'feature_projectors'}
    model.train()
    assert not any(one.training for each in teachers for one in each.modules())
    model.double()
    assert {value.dtype for one in teachers for value in one.parameters()} == {
        torch.float64
    }
    model.float()
    twin = copy.deepcopy(model)
    assert twin.further_teachers[0].teacher is model.further_teachers[0].teacher


def test_every_parameter_learns_and_so_do_the_losses():
    model = fit(several(entry(), BOTH), images(20))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    totals = []
    for _ in range(12):
        losses = model(images(), mode='loss')
        totals.append(sum(losses[name].item() for name in NAMED))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        assert all(p.grad is not None and p.grad.any() for p in model.parameters())
        optimizer.step()
    assert totals[-1] < 0.9 * totals[0]


def test_without_statistics_no_step_is_taken():
    model = several(entry())
    with pytest.raises(ConfigError, match='custom_hooks'):
        model(images(), mode='loss')
    model.build_text_banks()
    assert not model.visual_bank.seen.any()


def test_meta_names_all_teachers_in_plain_data():
    model = several(entry(), BOTH)
    meta = model.checkpoint_meta
    assert meta['teacher'] == ToyTeacher().identity
    found = meta['further_teachers']
    assert [one['targets'] for one in found] == [['features'], ['features', 'maps']]
    assert [one['teacher'].split('#')[0] for one in found] == ['further0', 'further2']
    assert CheckpointMeta.from_meta(meta, 'x.pth').teacher == meta['teacher']


def stored_rows(number: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(number, D + WIDTH + 7, generator=generator)


def test_stored_rows_stand_for_all_teachers():
    model = several(entry(weight=2.0), entry(seed=2, width=7))
    rows = stored_rows(20)
    for name, target in model.feature_targets(images(20), rows).items():
        one = model.feature_statistics[name]
        one.fit(one.moments(target), name)
    passes = count_passes(model)

    found = model(images(4), mode='loss', teacher_embeddings=rows[:4])

    assert passes == ['student']
    pooled = double(model.backbone(images(4))[-1]).mean(axis=(2, 3))
    for number, (start, width, weight) in enumerate(
        [(D, WIDTH, 2.0), (D + WIDTH, 7, 1.0)], 1
    ):
        targets = unit(double(rows[:, start : start + width]))
        mean, std = statistics(targets)
        student = perceptron(model.feature_projectors[f'features_{number}'], pooled)
        wanted = weight * feature_matching(student, (targets[:4] - mean) / std)
        value = found[f'loss_features_{number}'].item()
        assert value == pytest.approx(wanted, rel=2e-4)


def test_stored_rows_of_other_widths_or_for_maps_are_refused():
    model = several(entry(), entry(seed=2, width=7))
    with pytest.raises(ConfigError, match=f'32 values, .*{D} \\+ {WIDTH} \\+ 7'):
        model(images(4), mode='loss', teacher_embeddings=torch.randn(4, 32))
    maps = several(entry(), entry(seed=2, width=7, target='maps'))
    with pytest.raises(ConfigError, match='needs the teacher itself .*maps'):
        maps(images(4), mode='loss', teacher_embeddings=stored_rows())


def test_one_view_of_each_image():
    with pytest.raises(ConfigError, match='one view of each image'):
        several(entry())([images(), images()], mode='loss')


def train_on(rank):
    model = several(entry(), BOTH)
    fit(model, images(20))
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(2):
        losses = wrapped(images(4, step)[rank::2], None, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    return model.state_dict()


@pytest.mark.slow
def test_two_ranks_with_half_the_batch_equal_one(tmp_path):
    from tests.two_ranks import run_on_two_ranks

    first, second = run_on_two_ranks(train_on, tmp_path)
    model = fit(several(entry(), BOTH), images(20))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(2):
        optimizer.zero_grad()
        sum(model(images(4, step), mode='loss').values()).backward()
        optimizer.step()
    for key, value in model.state_dict().items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], value, atol=1e-5, rtol=1e-5)


WITHOUT_TEXT = dict(type='FurtherToy')
FAULTS = {
    'one teacher': ([dict(type='ToyTeacher')], 'two or more'),
    'not a list': (dict(type='ToyTeacher'), 'two or more'),
    'no language': ([WITHOUT_TEXT, entry(seed=1)], r'teachers\[0\].*has no text'),
    'an entry first': (
        [dict(teacher=dict(type='ToyTeacher'), weight=2.0), entry()],
        r'teachers\[0\] is the language teacher',
    ),
    'no entry': ([dict(type='ToyTeacher'), WITHOUT_TEXT], r'teachers\[1\] has no t'),
    'weight 0': ([dict(type='ToyTeacher'), entry(weight=0)], r'teachers\[1\].weight'),
    'negative': ([dict(type='ToyTeacher'), entry(weight=-1.0)], r'\[1\].weight'),
    'not finite': (
        [dict(type='ToyTeacher'), entry(weight=float('nan'))],
        r'\[1\].weight',
    ),
    'target': ([dict(type='ToyTeacher'), entry(target='map')], r"target is 'map'"),
    'no target': ([dict(type='ToyTeacher'), entry(target=[])], r'target is \[\]'),
    'twice': (
        [dict(type='ToyTeacher'), entry(target=['maps', 'maps'])],
        r'\[1\].target is',
    ),
    'option': ([dict(type='ToyTeacher'), entry(wieght=1.0)], "Did you mean 'weight'"),
    'unused projector': (
        [dict(type='ToyTeacher'), entry(target='maps', projector=dict(dropout=0.1))],
        'projector is for features',
    ),
    'duplicates': (
        [dict(type='ToyTeacher'), entry(seed=1), entry(), entry(seed=1)],
        r'teachers\[1\] and MultiTeacherLGD.teachers\[3\] are the same',
    ),
    'the first again': (
        [dict(type='ToyTeacher'), dict(teacher=dict(type='ToyTeacher'))],
        r'teachers\[0\] and MultiTeacherLGD.teachers\[1\] are the same',
    ),
}


@pytest.mark.parametrize('teachers, fault', FAULTS.values(), ids=FAULTS)
def test_teachers_that_cannot_teach_together(teachers, fault):
    with pytest.raises(ConfigError, match=fault):
        MODELS.build(dict(several_cfg(), teachers=teachers))


def test_options_are_checked_before_a_teacher_is_built():
    cfg = several_cfg(entry(weight=0))
    cfg['teachers'][0] = dict(type='ToyTeacher', no_such_option=1)
    with pytest.raises(ConfigError, match='weight'):
        MODELS.build(cfg)
    with pytest.raises(ConfigError, match='LGD.alpha'):
        MODELS.build(dict(several_cfg(entry()), teachers=[1, 2], alpha=2))


def test_a_teacher_without_maps_and_a_student_without_maps():
    class NoMaps(ToyTeacher):
        embed_dims = D

    other = dict(teacher=NoMaps(seed=3), target='maps')
    with pytest.raises(RuntimeError, match='has no feature map'):
        several(other)
    backbone = dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16),
        img_size=CROP,
        patch_size=8,
        out_type='cls_token',
    )
    vectors = dict(backbone=backbone, neck=None)
    with pytest.raises(ConfigError, match='returns vectors, but MultiTeacherLGD'):
        several(entry(target='maps'), **vectors)
    assert 'features_1' in several(entry(), **vectors).feature_projectors


def test_teacher_beside_teachers_is_refused():
    with pytest.raises(ConfigError, match='in place of teacher'):
        several(entry(), teacher=dict(type='ToyTeacher'))
