"""timm's models as students: pooled as they were built, frozen, cut short, renamed."""

from pathlib import Path

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.runner.checkpoint import load_state_dict
from timm.layers import BatchNormAct2d, SyncBatchNormAct

from mmlgd.errors import ConfigError
from mmlgd.models.student import Student
from mmlgd.registry import MODELS
from tests.backbone_files import randomise

SIZE = 32
ROOT = Path(__file__).parents[3]
# Name, its own pooling, and options that make it small.
VITS = {
    'class token': ('vit_tiny_patch16_224', 'token', dict(depth=1)),
    'two tokens': ('deit_tiny_distilled_patch16_224', 'token', dict(depth=1)),
    'mean, then norm': ('deit3_small_patch16_224', 'avg', dict(depth=1)),
    'registers': ('vit_little_patch16_reg4_gap_256', 'avg', dict(depth=1)),
    'attention': ('vit_base_patch16_siglip_224', 'map', dict(depth=1, embed_dim=48)),
    'rotary': ('eva02_tiny_patch14_224', 'avg', dict(depth=1)),
    'beit': ('beit_base_patch16_224', 'avg', dict(depth=1, embed_dim=48)),
}
MBV4 = dict(model_name='mobilenetv4_conv_small', features_only=True)


def ours(**options):
    return MODELS.build(dict(type='mmlgd.TIMMBackbone', **options))


def mmpretrains(**options):
    return MODELS.build(dict(type='mmpretrain.TIMMBackbone', **options))


def with_random_norms(model):
    """No norm is the identity, so that its place shows."""
    for name, parameter in model.named_parameters():
        if 'norm' in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize('kind', VITS)
def test_a_vit_is_pooled_as_timm_pools_it(kind):
    name, pool, options = VITS[kind]
    if pool == 'map':
        options = dict(options, num_heads=2)
    if kind == 'beit':
        options = dict(options, num_heads=2)
    if kind == 'mean, then norm':
        options = dict(options, global_pool='avg')
    size = 28 if 'patch14' in name else SIZE
    torch.manual_seed(0)
    # The whole model, classifier included, is what timm trains.
    whole = with_random_norms(timm.create_model(name, img_size=size, **options))
    assert whole.global_pool == pool
    images = torch.randn(2, 3, size, size)
    expected = whole.forward_head(whole.forward_features(images), pre_logits=True)

    backbone = dict(
        type='TIMMBackbone', model_name=name, pooled=True, img_size=size, **options
    )
    student = Student(backbone, embed_dims=4, neck=None)
    student.eval()
    found = student.backbone.timm_model.load_state_dict(
        whole.state_dict(), strict=False
    )
    assert not found.missing_keys
    assert all(key.startswith('head') for key in found.unexpected_keys)

    assert student.feature_dims == expected.shape[1]
    torch.testing.assert_close(student.extract_feat(images), expected)
    # Not a mean over all tokens: that would be another vector.
    tokens = whole.forward_features(images)
    assert (tokens.mean(1) - expected).abs().max() > 1e-3


@torch.no_grad()
def test_a_network_with_stages_is_pooled_by_its_own_head_too():
    name = 'mobilenetv4_conv_small_035'
    whole = randomise(timm.create_model(name))
    backbone = ours(model_name=name, pooled=True)
    backbone.timm_model.load_state_dict(whole.state_dict(), strict=False)
    backbone.eval()
    images = torch.randn(2, 3, SIZE, SIZE)
    # Its last layer, of 1280 channels, is behind the pooling.
    expected = whole.forward_head(whole.forward_features(images), pre_logits=True)
    (found,) = backbone(images)
    assert found.shape == (2, 1280)
    torch.testing.assert_close(found, expected)


def test_maps_and_vectors_at_once_are_refused():
    with pytest.raises(ConfigError, match='pooled=True returns vectors'):
        ours(**MBV4, pooled=True)


def test_a_vit_that_is_made_to_give_maps_is_warned_about(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmlgd.models.student.print_log', lambda text, *_, **__: said.append(text)
    )
    backbone = dict(
        type='mmpretrain.TIMMBackbone',
        model_name='vit_tiny_patch16_224',
        features_only=True,
        depth=2,
        out_indices=(0, 1),
        img_size=SIZE,
    )
    Student(backbone, embed_dims=4)
    (warning,) = said
    assert 'class token' in warning and 'pooled=True' in warning
    Student(dict(type='mmpretrain.TIMMBackbone', **MBV4), embed_dims=4)
    assert len(said) == 1


@torch.no_grad()
@pytest.mark.parametrize(
    'name',
    [
        'mobilenetv4_conv_small_035',
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in (
                *('mobilenetv4_hybrid_medium', 'repvit_m0_9', 'efficientvit_m0'),
                *('shvit_s1', 'swiftformer_xs', 'fasternet_t0', 'inception_next_atto'),
                *('convnextv2_atto', 'hgnetv2_b0', 'resnet18', 'edgenext_xx_small'),
            )
        ),
    ],
)
def test_any_network_with_stages_by_its_name_alone(name):
    config = Config.fromfile(ROOT / 'configs/_base_/students/timm.py')
    config.merge_from_dict({'student.backbone.model_name': name})
    student = Student(**config.student, embed_dims=4)
    student.eval()
    images = torch.randn(1, 3, 224, 224)
    maps = student.backbone.timm_model(images)
    assert student.map_dims == [each.shape[1] for each in maps]
    expected = maps[-1].mean(dim=(2, 3))
    assert student.feature_dims == expected.shape[1]
    torch.testing.assert_close(student.extract_feat(images), expected)


@pytest.mark.parametrize('scope', ['mmlgd', 'mmpretrain'])
def test_an_unknown_name_brings_those_that_are_close(scope):
    backbone = dict(type=f'{scope}.TIMMBackbone', model_name='mobilenetv4_convsmall')
    with pytest.raises(ConfigError, match="mean .*'mobilenetv4_conv_small'"):
        Student(backbone, embed_dims=4)


@torch.no_grad()
@pytest.mark.parametrize(
    'options', [MBV4, dict(model_name='repvit_m0_9', features_only=True)]
)
def test_keys_and_features_are_those_of_mmpretrains_class(options):
    one, other = randomise(mmpretrains(**options)), ours(**options)
    other.load_state_dict(one.state_dict(), strict=True)
    other.eval()
    images = torch.randn(2, 3, SIZE, SIZE)
    for mine, wanted in zip(other(images), one(images), strict=True):
        assert torch.equal(mine, wanted)


@pytest.mark.parametrize('out_indices', [(1, 2, 3), (0, 1), (2,)])
def test_fewer_maps_take_the_same_checkpoint_with_no_key_left(out_indices):
    """Whole stages are not built where the last map is left out."""
    name = 'repvit_m0_9'
    distilled = randomise(mmpretrains(model_name=name, features_only=True))
    backbone = ours(model_name=name, features_only=True, out_indices=out_indices)
    before = distilled.state_dict()
    holder = torch.nn.ModuleDict(dict(backbone=backbone))
    stored = {f'backbone.{key}': value for key, value in before.items()}
    # What mmengine's init_cfg uses; both raise where a key is missing or unexpected.
    load_state_dict(holder, stored, strict=True)
    holder.load_state_dict(stored, strict=True)
    found = backbone.state_dict()
    assert found.keys() <= before.keys()
    assert all(torch.equal(value, before[key]) for key, value in found.items())
    is_cut = 3 not in out_indices
    assert (len(found) < len(before)) == is_cut
    images = torch.randn(1, 3, SIZE, SIZE)
    backbone.eval()
    with torch.no_grad():
        wanted = [distilled(images)[i] for i in out_indices]
        for mine, other in zip(backbone(images), wanted, strict=True):
            assert torch.equal(mine, other)


def test_a_missing_tensor_is_still_reported_where_stages_are_left_out():
    backbone = ours(model_name='repvit_m0_9', features_only=True, out_indices=(0, 1))
    state = backbone.state_dict()
    lost = next(iter(state))
    with pytest.raises(RuntimeError, match=lost):
        backbone.load_state_dict({k: v for k, v in state.items() if k != lost})
    odd = next(key for key in state if 'stages_1' in key)
    with pytest.raises(RuntimeError, match='extra'):
        backbone.load_state_dict({**state, f'{odd}.extra': state[odd]})


@pytest.mark.parametrize(
    ('options', 'weights_move', 'statistics_move'),
    [
        (dict(), True, True),
        (dict(norm_eval=True), True, False),
        (dict(frozen=True), False, False),
    ],
)
def test_what_training_moves(options, weights_move, statistics_move):
    torch.manual_seed(0)
    backbone = ours(**MBV4, **options)
    backbone.train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    trained = [p for p in backbone.parameters() if p.requires_grad]
    assert bool(trained) == weights_move
    outputs = backbone(torch.randn(2, 3, SIZE, SIZE))
    if trained:
        outputs[-1].square().sum().backward()
        torch.optim.SGD(trained, lr=0.1).step()
    after = backbone.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    statistics = {key for key in moved if 'running' in key}
    assert bool(statistics) == statistics_move
    weights = {key for key in moved if key.endswith('weight')}
    assert bool(weights) == weights_move


@torch.no_grad()
def test_synchronised_norms_keep_their_activation(monkeypatch):
    """torch's conversion makes plain norms of timm's, which hold the activation."""
    plain = randomise(ours(**MBV4, sync_bn=True))
    norms = [m for m in plain.modules() if isinstance(m, BatchNormAct2d)]
    assert norms and not any(isinstance(m, torch.nn.SyncBatchNorm) for m in norms)
    module = 'mmlgd.models.backbones.timm_backbone'
    monkeypatch.setattr(f'{module}.is_distributed', lambda: True)
    monkeypatch.setattr(f'{module}.get_device', lambda: 'cpu')
    of_cpu = ours(**MBV4, sync_bn=True)
    assert not any(isinstance(m, torch.nn.SyncBatchNorm) for m in of_cpu.modules())
    monkeypatch.setattr(f'{module}.get_device', lambda: 'cuda')
    shared = ours(**MBV4, sync_bn=True)
    found = [m for m in shared.modules() if isinstance(m, SyncBatchNormAct)]
    assert len(found) == len(norms)
    shared.load_state_dict(plain.state_dict(), strict=True)
    shared.eval()
    images = torch.randn(2, 3, SIZE, SIZE)
    for mine, wanted in zip(shared(images), plain(images), strict=True):
        torch.testing.assert_close(mine, wanted)
    # The trap that the option is for.
    reverted = revert_sync_batchnorm(shared).eval()
    assert not torch.equal(reverted(images)[-1], plain(images)[-1])
