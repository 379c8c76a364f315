"""timm students are exported as timm models, fused where possible."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
import timm
import torch
from mmengine.config import Config
from torch import nn

from mmlgd.apis import export_backbone, export_backbone_onnx
from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from tests.backbone_files import R18, meta_of, write_backbone

ROOT = Path(__file__).parents[2]
MOBILE_ONE = dict(type='mmpretrain.MobileOne', arch='s0')
# Others of their kind are among the fast tests.
SLOW = pytest.mark.slow
REP_VGG = dict(type='mmpretrain.RepVGG', arch='A0')


def of_timm(name, **options):
    return dict(type='mmpretrain.TIMMBackbone', model_name=name, **options)


@pytest.fixture(autouse=True)
def seeded():
    """Of what ``randomise`` leaves: an unlucky RepViT amplifies rounding to 1e-4."""
    torch.manual_seed(0)


def with_statistics_of_noise(backbone):
    """As trained: every branch and block does something, and no activation explodes.

    Layer scales start at 1e-5, which would hide what their blocks compute.
    """
    for name, parameter in backbone.named_parameters():
        if 'gamma' in name or 'layer_scale' in name:
            nn.init.uniform_(parameter, 0.2, 0.6)
    for part in backbone.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.7, 1.3)
            nn.init.uniform_(part.bias, -0.3, 0.3)
            part.momentum = None  # the mean over all batches
    backbone.train()
    for _ in range(3):
        backbone(torch.randn(4, 3, 64, 64))
    backbone.eval()
    return backbone


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def exported(tmp_path, config, **options):
    """The student and its timm export."""
    student = write_backbone(tmp_path / 'in.pth', config, image_size=64)
    done = export_backbone(tmp_path / 'in.pth', 'timm', tmp_path / 'o.pth', **options)
    return student, done, torch.load(tmp_path / 'o.pth', weights_only=True)


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one.shape == other.shape and other.abs().max() > 1e-3
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()


@torch.no_grad()
@pytest.mark.parametrize(
    'name', ['mobilenetv4_conv_small', pytest.param('repvit_m0_9', marks=SLOW)]
)
def test_feature_maps(tmp_path, images, name):
    student, _, contents = exported(tmp_path, of_timm(name, features_only=True))
    model = timm.create_model(name, features_only=True).eval()
    model.load_state_dict(contents['state_dict'], strict=True)
    assert_equal(model(images), student(images))
    assert contents['meta']['target'] == dict(
        library='timm', model=name, arguments=dict(features_only=True)
    )


@torch.no_grad()
def test_stages_and_channels_are_passed_on(tmp_path):
    config = of_timm(
        'mobilenetv3_small_050',
        features_only=True,
        out_indices=(1, 3),
        pretrained=False,
        init_cfg=dict(type='Pretrained', checkpoint='absent.pth'),
    )
    student, done, contents = exported(tmp_path, config)
    names = dict(timm=timm, torch=torch)
    exec(done.usage, names)
    inputs = torch.randn(1, 3, 64, 64)
    names['model'].eval()
    assert_equal(names['model'](inputs), student(inputs))
    arguments = contents['meta']['target']['arguments']
    assert arguments == dict(features_only=True, out_indices=(1, 3))


@torch.no_grad()
@pytest.mark.parametrize('name', ['mobilenetv4_conv_small', 'beit_tiny'])
def test_complete_models(tmp_path, images, monkeypatch, name):
    """BEiT built without classifier has a different norm than after removing it."""
    options = {}
    if name == 'beit_tiny':
        name = 'beit_base_patch16_224'
        options = dict(embed_dim=24, depth=1, num_heads=2, img_size=64)
    student, done, contents = exported(tmp_path, of_timm(name, **options))
    model = timm.create_model(name, **options)
    model.reset_classifier(0, '')
    model.eval()
    model.load_state_dict(contents['state_dict'], strict=True)
    assert_equal([model(images)], student(images))
    names = dict(timm=timm, torch=torch)
    exec(done.usage, names)
    names['model'].eval()
    assert_equal([names['model'](images)], student(images))


@torch.no_grad()
@pytest.mark.parametrize(
    'name',
    [
        'repvit_m0_9',
        pytest.param('fastvit_t8', marks=SLOW),
        pytest.param('mobileone_s0', marks=SLOW),
    ],
)
def test_fused(tmp_path, images, name):
    config = of_timm(name, features_only=True)
    student, done, contents = exported(tmp_path, config, fuse=True)
    model = timm.create_model(name, features_only=True).eval()
    model = timm.utils.reparameterize_model(model)
    model.load_state_dict(contents['state_dict'], strict=True)
    assert_equal(model(images), student(images))
    assert 'timm.utils.reparameterize_model(model)' in done.usage
    assert len(contents['state_dict']) < 0.7 * len(student.state_dict())


@torch.no_grad()
@pytest.mark.parametrize(
    'student',
    [
        'repvit_m1_0',
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ('fastvit_t8', 'fastvit_mci0', 'ghostnetv3_100')
        ),
    ],
)
def test_shipped_students_with_branches_are_fused(tmp_path, images, student):
    path = ROOT / f'configs/_base_/students/{student}.py'
    config = Config.fromfile(path).student.backbone.to_dict()
    backbone = with_statistics_of_noise(MODELS.build(config))
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    contents = dict(state_dict=state, meta=meta_of(config, image_size=64))
    torch.save(contents, tmp_path / 'in.pth')

    out = tmp_path / 'o.pth'
    done = export_backbone(tmp_path / 'in.pth', 'timm', out, fuse=True)

    model = timm.create_model(config['model_name'], features_only=True)
    unfused = sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())
    model = timm.utils.reparameterize_model(model).eval()
    state = torch.load(out, weights_only=True)['state_dict']
    model.load_state_dict(state, strict=True)
    assert_equal(model(images), backbone(images))
    left = sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())
    assert left < 0.5 * unfused
    assert done.difference <= 1e-4


@torch.no_grad()
def test_fewer_maps_than_were_distilled(tmp_path, images):
    """timm does not build the stages behind the last map, so the file has none."""
    student, _, contents = exported(
        tmp_path, of_timm('repvit_m0_9', features_only=True), out_indices=(0, 2)
    )
    model = timm.create_model('repvit_m0_9', features_only=True, out_indices=(0, 2))
    model.load_state_dict(contents['state_dict'], strict=True)
    maps = student(images)
    assert_equal(model.eval()(images), (maps[0], maps[2]))
    assert len(contents['state_dict']) < len(student.state_dict())


@torch.no_grad()
def test_our_class_leaves_as_the_model_that_it_wraps(tmp_path, images):
    options = dict(features_only=True, norm_eval=True, sync_bn=True, frozen=True)
    config = dict(of_timm('mobilenetv4_conv_small_035', **options))
    config['type'] = 'mmlgd.TIMMBackbone'
    student, _, contents = exported(tmp_path, config)
    assert contents['meta']['target']['arguments'] == dict(features_only=True)
    model = timm.create_model('mobilenetv4_conv_small_035', features_only=True)
    model.load_state_dict(contents['state_dict'], strict=True)
    assert_equal(model.eval()(images), student(images))


@torch.no_grad()
def test_a_pooled_vit_leaves_with_its_pooling(tmp_path, images):
    options = dict(img_size=64, depth=1, embed_dim=48, num_heads=2)
    name = 'vit_base_patch16_siglip_224'
    config = dict(type='mmlgd.TIMMBackbone', model_name=name, pooled=True, **options)
    student, done, _ = exported(tmp_path, config)
    names = dict(timm=timm, torch=torch)
    exec(done.usage, names)
    model = names['model'].eval()
    assert model.attn_pool is not None
    assert_equal([model(images)], student(images))


@torch.no_grad()
@pytest.mark.parametrize('config', [MOBILE_ONE, REP_VGG])
def test_fused_of_mmpretrain(tmp_path, images, config):
    student = write_backbone(tmp_path / 'in.pth', config, image_size=64)
    out = tmp_path / 'out.pth'
    done = export_backbone(tmp_path / 'in.pth', 'mmpretrain', out, fuse=True)
    assert 'deploy=True' in done.usage
    model = MODELS.build(dict(config, deploy=True))
    model.eval()
    state = torch.load(out, weights_only=True)['state_dict']
    model.load_state_dict({k.removeprefix('backbone.'): v for k, v in state.items()})
    assert_equal(model(images), student(images))


@torch.no_grad()
@pytest.mark.parametrize(
    'config',
    [
        pytest.param(of_timm('repvit_m0_9', features_only=True), marks=SLOW),
        pytest.param(of_timm('mobileone_s0'), marks=SLOW),
        REP_VGG,
    ],
    ids=['repvit', 'mobileone', 'repvgg'],
)
def test_onnx_is_fused(tmp_path, images, config):
    student = write_backbone(tmp_path / 'in.pth', config, image_size=64)
    out = str(tmp_path / 'out.onnx')
    assert export_backbone_onnx(tmp_path / 'in.pth', out) <= 1e-4
    session = onnxruntime.InferenceSession(out, providers=['CPUExecutionProvider'])
    found = session.run(None, {'images': images.numpy()})
    assert_equal([torch.as_tensor(each) for each in found], student(images))
    nodes = [node.op_type for node in onnx.load(out).graph.node]
    convolutions = sum(isinstance(part, nn.Conv2d) for part in student.modules())
    assert 0 < nodes.count('Conv') < convolutions
    assert 'BatchNormalization' not in nodes


@pytest.mark.parametrize('format', ['mmpretrain', 'timm', 'torchvision'])
def test_nothing_to_fuse(tmp_path, format):
    write_backbone(tmp_path / 'in.pth', R18, image_size=32)
    with pytest.raises(ConfigError, match='ResNet has no branches to merge'):
        export_backbone(tmp_path / 'in.pth', format, tmp_path / 'o.pth', fuse=True)


def test_models_without_an_mmpretrain_config_are_refused(tmp_path):
    config = of_timm('mobileone_s0', features_only=True)
    write_backbone(tmp_path / 'in.pth', config, image_size=64)
    with pytest.raises(ConfigError, match='no option deploy'):
        export_backbone(
            tmp_path / 'in.pth', 'mmpretrain', tmp_path / 'o.pth', fuse=True
        )
