"""Feature maps and dense embeddings, against numpy and by hand."""

import json

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

from mmlgd.errors import TeacherError
from mmlgd.models.teachers import OpenCLIPTeacher
from mmlgd.registry import MODELS
from tests.helpers import tiny_teacher
from tests.toys import ToyTeacher

RESNET = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8)
POOL = dict(type='mmpretrain.GlobalAveragePooling')
VIT = dict(image_size=32, layers=2, width=64, patch_size=8)
TEXT = dict(context_length=77, vocab_size=49408, width=32, heads=2, layers=1)


def mmpretrain_teacher(**overrides):
    torch.manual_seed(0)
    cfg = dict(type='MMPretrainTeacher', backbone=RESNET, neck=POOL, image_size=64)
    return MODELS.build(cfg | overrides)


def clip_teacher(tmp_path, vision, **overrides):
    """A CLIP with a custom image tower."""
    file = tmp_path / f'{tmp_path.name}.json'
    config = dict(embed_dim=24, vision_cfg=vision, text_cfg=TEXT, **overrides)
    file.write_text(json.dumps(config))
    torch.manual_seed(0)
    return OpenCLIPTeacher(file.stem, model_config=str(file))


def images(size, number=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(number, 3, size, size, generator=generator)


def array(tensor):
    return tensor.detach().double().numpy()


def linear(rows, module):
    return rows @ array(module.weight).T + array(module.bias)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture(scope='module')
def resnet():
    """A tiny CLIP whose last blocks are not switched off, as they start."""
    torch.manual_seed(0)
    teacher = tiny_teacher()
    for name, parameter in teacher.visual.named_parameters():
        if name.endswith('bn3.weight'):
            parameter.data.uniform_(0.5, 1.5)
    return teacher


def test_resnets_map_is_its_last_stages(resnet):
    inputs = images(64)
    visual = resnet.visual
    expected = visual.stem(inputs)
    for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        expected = stage(expected)

    found = resnet.encode_feature_map(inputs)

    assert found.shape == (2, 256, 2, 2) and resnet.feature_map_dims == 256
    torch.testing.assert_close(found, expected)
    assert found.dtype == torch.float32 and not found.requires_grad


def test_one_pass_gives_the_embeddings_too(resnet):
    inputs = images(64)

    found = resnet.encode_spatial(inputs, dense=True)

    torch.testing.assert_close(found.embeddings, resnet.encode_image(inputs))
    torch.testing.assert_close(found.feature_map, resnet.encode_feature_map(inputs))
    torch.testing.assert_close(found.dense, resnet.encode_dense(inputs))
    assert resnet.encode_spatial(inputs).dense is None


def test_dense_embeddings_of_resnet_pass_value_and_output_projection(resnet):
    inputs, pool = images(64), resnet.visual.attnpool
    rows = array(resnet.encode_feature_map(inputs)).transpose(0, 2, 3, 1)
    expected = unit(linear(linear(rows, pool.v_proj), pool.c_proj))

    found = resnet.encode_dense(inputs)

    assert found.shape == (2, 32, 2, 2) and found.dtype == torch.float32
    np.testing.assert_allclose(array(found).transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_dense_embedding_is_that_of_attention_to_one_location(resnet):
    """The pool itself, with keys that draw all attention to one position."""
    feature_map = resnet.encode_feature_map(images(64))
    places = resnet.dense_features(feature_map)
    pool = open_clip.modified_resnet.AttentionPool2d(2, 256, 4, 32)
    pool.load_state_dict(resnet.visual.attnpool.state_dict())
    pool.positional_embedding.data.zero_()
    flat = feature_map.flatten(2)
    for image in range(2):
        for place in range(4):
            # Keys q . k_j, of the same query for all: the largest at `place`.
            chosen = flat[image, :, place]
            with torch.no_grad():
                pool.k_proj.weight.zero_()
                pool.k_proj.bias.zero_()
                pool.q_proj.weight.zero_()
                pool.q_proj.bias.fill_(1e4)
                # Differs from the mean of all, and from the other locations.
                others = torch.stack([flat[image].mean(1), *flat[image].T])
                direction = chosen - others.mean(0)
                assert (others @ direction).argmax() == place + 1
                pool.k_proj.weight += direction / direction.norm()
                found = pool(feature_map[image : image + 1])[0]
            torch.testing.assert_close(
                found, places[image].flatten(1)[:, place], atol=1e-4, rtol=1e-4
            )


def test_dense_embeddings_of_vit_pass_last_norm_and_projection(tmp_path):
    teacher = clip_teacher(tmp_path, VIT)
    visual, inputs = teacher.visual, images(32)
    tokens = {}
    handle = visual.transformer.register_forward_hook(
        lambda module, args, output: tokens.update(last=output)
    )
    visual(inputs)
    handle.remove()
    rows = array(tokens['last'])[:, 1:]
    norm = visual.ln_post
    mean, var = rows.mean(-1, keepdims=True), rows.var(-1, keepdims=True)
    expected = (rows - mean) / np.sqrt(var + norm.eps)
    expected = expected * array(norm.weight) + array(norm.bias)
    expected = unit(expected @ array(visual.proj))

    feature_map, dense = (
        teacher.encode_feature_map(inputs),
        teacher.encode_dense(inputs),
    )

    assert feature_map.shape == (2, 64, 4, 4) and teacher.feature_map_dims == 64
    assert dense.shape == (2, 24, 4, 4)
    for image, place in ((0, 0), (0, 6), (1, 15)):
        row, column = divmod(place, 4)
        np.testing.assert_allclose(
            array(feature_map)[image, :, row, column], rows[image, place], atol=1e-5
        )
        np.testing.assert_allclose(
            array(dense)[image, :, row, column], expected[image, place], atol=1e-5
        )


def test_image_embedding_of_an_averaging_vit_is_the_mean_of_its_locations(tmp_path):
    teacher = clip_teacher(tmp_path, VIT | dict(pool_type='avg'))
    inputs = images(32)

    found = teacher.encode_spatial(inputs)

    mean = teacher.dense_features(found.feature_map).mean(dim=(2, 3))
    torch.testing.assert_close(found.embeddings, F.normalize(mean), atol=1e-5, rtol=0)


def test_timm_trunk_has_a_map_but_no_dense_embeddings(tmp_path):
    vision = dict(
        timm_model_name='resnet10t',
        timm_model_pretrained=False,
        timm_pool='avg',
        timm_proj='linear',
        image_size=64,
    )
    teacher = clip_teacher(tmp_path, vision)
    inputs = images(64)

    found = teacher.encode_spatial(inputs)

    assert found.feature_map.shape == (2, 512, 2, 2)
    torch.testing.assert_close(found.embeddings, teacher.encode_image(inputs))
    expected = teacher.visual.trunk.forward_features(inputs)
    torch.testing.assert_close(found.feature_map, expected)
    with pytest.raises(
        TeacherError, match='no embeddings of single locations.*ViT-B-16'
    ):
        teacher.encode_dense(inputs)


def test_attentional_pooler_gives_no_dense_embeddings(tmp_path):
    teacher = clip_teacher(tmp_path, VIT | dict(attentional_pool=True))

    assert teacher.encode_feature_map(images(32)).shape == (2, 64, 4, 4)
    with pytest.raises(TeacherError, match='no embeddings of single locations'):
        teacher.encode_dense(images(32))


def test_map_of_images_of_another_size(resnet):
    with pytest.raises(TeacherError, match='expects images of 64x64'):
        resnet.encode_feature_map(images(96))


@pytest.mark.parametrize('projected', [False, True])
def test_mmpretrain_image_embeddings_are_the_means_of_their_locations(projected):
    overrides = dict(projection=dict(out_channels=20)) if projected else {}
    teacher = mmpretrain_teacher(**overrides)
    inputs = images(64)
    rows = array(teacher.backbone(inputs)[-1]).transpose(0, 2, 3, 1)
    places = linear(rows, teacher.projection) if projected else rows

    found = teacher.encode_spatial(inputs, dense=True)

    assert found.feature_map.shape == (2, 64, 2, 2)
    assert teacher.feature_map_dims == 64
    dense = array(found.dense).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(dense, unit(places), atol=1e-5)
    np.testing.assert_allclose(
        array(found.embeddings), unit(places.mean((1, 2))), atol=1e-5
    )
    torch.testing.assert_close(found.embeddings, teacher.encode_image(inputs))


def test_dense_embeddings_need_a_neck_that_averages():
    neck = dict(type='mmpretrain.GeneralizedMeanPooling')
    teacher = mmpretrain_teacher(neck=neck)

    assert teacher.encode_feature_map(images(64)).shape == (2, 64, 2, 2)
    with pytest.raises(
        TeacherError, match='mmpretrain/ResNet.*no embeddings of single'
    ):
        teacher.encode_dense(images(64))


def test_vectors_are_not_a_feature_map():
    vit = dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=24),
        img_size=32,
        patch_size=16,
    )
    teacher = mmpretrain_teacher(backbone=vit, neck=None, image_size=32)

    for ask in (teacher.encode_feature_map, teacher.encode_dense):
        with pytest.raises(
            TeacherError, match='mmpretrain/VisionTransformer.*no featu'
        ):
            ask(images(32))
    with pytest.raises(TeacherError, match='no feature map.*backbone returns maps'):
        assert teacher.feature_map_dims


def test_a_teacher_without_dense_embeddings_is_reported():
    teacher = ToyTeacher()

    with pytest.raises(TeacherError, match='ToyTeacher has no feature map'):
        teacher.encode_feature_map(images(16))


def test_callers_autocast_does_not_reach_in(resnet):
    inputs = images(64)
    expected = resnet.encode_spatial(inputs, dense=True)

    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = resnet.encode_spatial(inputs, dense=True)

    for one, other in zip(found, expected):
        assert torch.equal(one, other) and one.dtype == torch.float32


def test_asking_for_channels_leaves_the_identity():
    teacher, untouched = mmpretrain_teacher(), mmpretrain_teacher()

    assert teacher.feature_map_dims == 64
    assert teacher.identity == untouched.identity
