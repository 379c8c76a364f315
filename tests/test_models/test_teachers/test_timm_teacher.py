"""Backbones of timm as teachers, on timm's own small test models."""

import subprocess
import sys

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from mmlgd.apis.align_teacher import align_teacher
from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.teachers import TIMMTeacher
from mmlgd.registry import DATASETS, MODELS
from tests.helpers import tiny_teacher, tiny_teacher_cfg

VIT, CONVNEXT, RESNET = 'test_vit', 'test_convnext', 'test_resnet'


@DATASETS.register_module(force=True)
class NoiseOf160:
    """uint8 crops that depend on their index only."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(index)
        pixels = torch.randint(0, 256, (3, 4, 4), generator=generator).byte()
        pixels = pixels.repeat_interleave(40, 1).repeat_interleave(40, 2)
        return dict(inputs=pixels)


def reference(name: str, **options) -> nn.Module:
    """timm's model, with statistics that matter."""
    torch.manual_seed(4)
    model = timm.create_model(name, **options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
        if isinstance(module, nn.LayerNorm):
            module.weight.data.uniform_(0.5, 1.5)
    return model.eval().requires_grad_(False)


def saved(model: nn.Module, file) -> str:
    torch.save(model.state_dict(), file)
    return str(file)


def images(size: int, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, size, size, generator=generator)


@pytest.mark.parametrize('name', [VIT, CONVNEXT, RESNET])
def test_rows_are_what_timm_pools(name, tmp_path):
    model = reference(name)
    file = saved(model, tmp_path / 'w.pth')

    teacher = TIMMTeacher(name, pretrained=file)

    inputs = images(160)
    pooled = model.forward_head(model.forward_features(inputs), pre_logits=True)
    expected = F.normalize(pooled)
    torch.testing.assert_close(
        teacher.encode_image(inputs), expected, atol=1e-6, rtol=0
    )
    assert teacher.embed_dims == model.num_features
    assert teacher.identity.startswith(f'timm/{name}/w.pth#')
    assert not any(module.training for module in teacher.modules())
    assert not any(weight.requires_grad for weight in teacher.parameters())


def test_safetensors_and_other_names_have_the_same_identity(tmp_path):
    model = reference(VIT)
    save_file(model.state_dict(), tmp_path / 'other.safetensors')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'nested.pth')

    found = {
        TIMMTeacher(VIT, str(tmp_path / name)).identity.split('#')[1]
        for name in ('other.safetensors', 'nested.pth')
    }

    assert len(found) == 1
    assert found != {TIMMTeacher(VIT).identity.split('#')[1]}


# Published preprocessing: ImageNet's statistics for DINOv2, DINOv3 and EUPE; 518 pixels
# for DINOv2, 256 for timm's ViTs of EUPE, 224 for its ConvNeXts of DINOv3.
IMAGENET = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


@pytest.mark.parametrize(
    'name, size, width',
    [
        ('vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m', 256, 192),
        ('convnext_tiny.dinov3_lvd1689m', 224, 768),
        ('vit_small_patch14_dinov2.lvd142m', 518, 384),
    ],
)
@pytest.mark.slow
def test_preprocessing_is_that_of_the_published_weights(name, size, width):
    teacher = TIMMTeacher(name)

    assert teacher.image_mean == pytest.approx(IMAGENET[0])
    assert teacher.image_std == pytest.approx(IMAGENET[1])
    assert (teacher.image_size, teacher.embed_dims) == (size, width)


def test_tag_decides_on_the_preprocessing():
    # augreg's recipe has 0.5 for mean and std, DINO's has ImageNet's statistics.
    augreg, dino = (
        TIMMTeacher(f'vit_small_patch16_224.{tag}', image_size=32)
        for tag in ('augreg_in1k', 'dino')
    )

    assert augreg.image_mean == pytest.approx([127.5] * 3)
    assert dino.image_mean == pytest.approx(IMAGENET[0])


def test_another_resolution_resizes_the_positions(tmp_path):
    model = reference(VIT)
    file = saved(model, tmp_path / 'w.pth')
    larger = timm.create_model(VIT, img_size=192, num_classes=0).eval()
    timm.models.load_checkpoint(
        larger,
        file,
        strict=False,
        filter_fn=timm.models.vision_transformer.checkpoint_filter_fn,
    )

    teacher = TIMMTeacher(VIT, file, image_size=192)

    rows = teacher.encode_image(images(192))
    torch.testing.assert_close(
        rows, F.normalize(larger(images(192)).detach()), atol=1e-6, rtol=0
    )
    assert teacher.image_size == 192


def test_pooling_of_the_authors_can_be_asked_for():
    name = 'vit_tiny_patch16_dinov3_qkvb'
    mean, token = (
        TIMMTeacher(name, image_size=32, global_pool=pool) for pool in (None, 'token')
    )
    token.backbone.load_state_dict(mean.backbone.state_dict(), strict=False)

    tokens = token.backbone.forward_features(images(32))

    # One class token and four registers, then 2 x 2 patches.
    assert tokens.shape == (2, 9, 192)
    expected = F.normalize(tokens[:, 0])
    torch.testing.assert_close(token.encode_image(images(32)), expected)


@pytest.mark.parametrize('name, grid', [(VIT, 10), (CONVNEXT, 5), (RESNET, 5)])
def test_map_is_what_is_pooled(name, grid, tmp_path):
    model = reference(name)
    teacher = TIMMTeacher(name, saved(model, tmp_path / 'w.pth'))

    found = teacher.encode_spatial(images(160), dense=True)

    outputs = model.forward_features(images(160))
    if name == VIT:
        patches = outputs[:, model.num_prefix_tokens :]
        outputs = patches.transpose(1, 2).reshape(2, -1, grid, grid)
    torch.testing.assert_close(found.feature_map, outputs, atol=1e-6, rtol=0)
    assert teacher.feature_map_dims == outputs.shape[1]
    torch.testing.assert_close(found.embeddings, teacher.encode_image(images(160)))
    # The place (1, 2) of the second image, repeated everywhere, is pooled to this.
    place = outputs[1:, :, 1:2, 2:3]
    if name == VIT:
        place = place.flatten(2).transpose(1, 2).repeat(1, 7, 1)
    expected = F.normalize(model.forward_head(place, pre_logits=True))[0]
    torch.testing.assert_close(found.dense[1, :, 1, 2], expected, atol=1e-6, rtol=0)


def test_places_of_an_averaging_vit_average_to_the_image():
    teacher = TIMMTeacher('vit_tiny_patch16_dinov3_qkvb', image_size=48)
    norm = teacher.backbone.fc_norm
    assert isinstance(norm, nn.Identity)

    found = teacher.encode_spatial(images(48))

    expected = F.normalize(found.feature_map.mean(dim=(2, 3)))
    torch.testing.assert_close(found.embeddings, expected)


def test_weights_that_do_not_fit(tmp_path):
    weights = reference(VIT).state_dict()
    weights.pop('blocks.0.attn.qkv.weight')
    torch.save(weights, tmp_path / 'partial.pth')
    weights = reference(VIT).state_dict() | {'extra.weight': torch.zeros(2)}
    torch.save(weights, tmp_path / 'extra.pth')

    with pytest.raises(TeacherError, match=r'(?s)blocks.0.attn.qkv.weight.*model_name'):
        TIMMTeacher(VIT, str(tmp_path / 'partial.pth'))
    with pytest.raises(TeacherError, match='(?s)extra.weight'):
        TIMMTeacher(VIT, str(tmp_path / 'extra.pth'))
    with pytest.raises(TeacherError, match='failed'):
        TIMMTeacher(RESNET, str(tmp_path / 'extra.pth'))
    with pytest.raises(TeacherError, match='absent.pth.*does not exist'):
        TIMMTeacher(VIT, 'absent.pth')


def test_unknown_names():
    with pytest.raises(ConfigError, match="no model 'test_vitt'.*'test_vit'"):
        TIMMTeacher('test_vitt')
    with pytest.raises(ConfigError, match="no weights 'lvd'.*its tags: r160_in1k"):
        TIMMTeacher('test_vit.lvd')
    with pytest.raises(ConfigError, match="'r160' is neither a tag.*nor a weight file"):
        TIMMTeacher('test_vit', 'r160')
    two = 'vit_small_patch16_224.dino'
    with pytest.raises(ConfigError, match="tag 'dino'.*pretrained is 'augreg_in1k'"):
        TIMMTeacher(two, 'augreg_in1k')
    with pytest.raises(ConfigError, match='TIMMTeacher.image_size'):
        TIMMTeacher('test_resnet', image_size=-1)
    with pytest.raises(TeacherError, match='(?s)pixels.*Set image_size'):
        TIMMTeacher('test_convnext', image_size=1)


def test_weights_that_cannot_be_fetched_name_a_file(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError('no network')

    monkeypatch.setattr('timm.models._builder.load_state_dict_from_hf', fail)
    with pytest.raises(TeacherError, match='(?s)no network.*local weight file'):
        TIMMTeacher('test_vit', 'r160_in1k')


def test_there_is_no_text_without_a_text_encoder():
    teacher = TIMMTeacher(VIT)

    assert not teacher.has_text_tower and teacher.text_identity == ''
    assert teacher.logit_scale is None
    with pytest.raises(TeacherError, match='TIMMTeacher, set text_encoder'):
        teacher.encode_text(['a cat'])
    with pytest.raises(TeacherError, match='has 64, the text tower .* has 32'):
        TIMMTeacher(VIT, text_encoder=tiny_teacher_cfg())


def test_aligned_teacher_guides_a_student(tmp_path):
    file, clip_file = tmp_path / 'w.pth', tmp_path / 'clip.pt'
    saved(reference(VIT), file)
    clip = tiny_teacher()
    state = dict(clip.visual.state_dict(prefix='visual.'), **clip.text.state_dict())
    state = {key.removeprefix('model.'): value for key, value in state.items()}
    torch.save(state | {'logit_scale': torch.tensor(3.0)}, clip_file)
    clip_cfg = tiny_teacher_cfg() | dict(pretrained=str(clip_file))
    config = dict(type='TIMMTeacher', model_name=VIT, pretrained=str(file))
    loader = dict(
        batch_size=8,
        num_workers=0,
        dataset=dict(type='NoiseOf160'),
        collate_fn=dict(type='default_collate'),
    )

    fitted = align_teacher(
        MODELS.build(config), MODELS.build(clip_cfg), loader, strengths=(0.1, 1.0)
    )
    fitted.save(tmp_path / 'map.pth')
    clip_cfg.pop('type')
    aligned = dict(config, projection=str(tmp_path / 'map.pth'), text_encoder=clip_cfg)
    teacher = MODELS.build(aligned)

    weight, bias = fitted.projection
    plain = MODELS.build(config).encode_features(images(160))
    torch.testing.assert_close(
        teacher.encode_image(images(160)), F.normalize(plain @ weight.T + bias)
    )
    assert teacher.encode_text(['a cat']).shape == (1, 32)
    assert teacher.logit_scale == 3.0
    with pytest.raises(TeacherError, match='fitted for the features of'):
        MODELS.build(dict(aligned, pretrained=None))
    with pytest.raises(TeacherError, match='image_size'):
        MODELS.build(dict(aligned, image_size=96))
    for kind in ('LGD', 'DenseLGD'):
        model = MODELS.build(
            dict(
                type=kind,
                teacher=aligned,
                backbone=dict(
                    type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8
                ),
                textual_bank=dict(
                    type='TextualSemanticsBank',
                    categories=['cat', 'dog'],
                    templates=['a {}.'],
                ),
                visual_bank=dict(type='VisualSemanticsBank'),
            )
        )
        losses = model(images(160), mode='loss')
        assert all(value.isfinite() for value in losses.values())


def test_its_maps_teach_a_student():
    model = MODELS.build(
        dict(
            type='SpatialMimicry',
            teacher=dict(type='TIMMTeacher', model_name=CONVNEXT),
            backbone=dict(
                type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8
            ),
            queue_size=8,
        )
    )

    losses = model(images(160), mode='loss')

    assert {'loss_spatial', 'loss_queue'} <= set(losses)
    sum(losses.values()).backward()
    assert model.spatial_projector.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_models_are_imported_without_timm():
    code = 'import sys, mmlgd.models.teachers; print("timm" in sys.modules)'

    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)

    assert run.stdout.strip().endswith('False'), run.stderr
