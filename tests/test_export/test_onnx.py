"""ONNX files give in onnxruntime what the model gives in torch."""

import functools
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmengine.runner import Runner

from mmlgd.apis import (
    ZeroShotClassifier,
    export_backbone_onnx,
    export_classifier_onnx,
    export_embedding,
    load_backbone,
)
from mmlgd.cli import export as cli
from mmlgd.errors import CheckpointError, ConfigError, DependencyError
from mmlgd.export.parity import compare
from tests.backbone_files import (
    CLIP_MEAN,
    CLIP_STD,
    EFF_B0,
    MBV3_SMALL,
    R18,
    random_backbone,
    write_backbone,
)
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyTeacher

MOBILE_ONE = dict(type='mmpretrain.MobileOne', arch='s0')


def run(path, images):
    """All outputs of a file in onnxruntime."""
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider']
    )
    return session.run(None, {'images': np.asarray(images)})


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


def assert_close(found, expected):
    scale = max(1.0, expected.abs().max().item())
    assert (torch.as_tensor(found) - expected).abs().max() <= 1e-4 * scale


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (5, 3, 64, 64), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope='module')
def distilled(tmp_path_factory):
    """A training checkpoint of the toy LGD."""
    root = write_images(tmp_path_factory.mktemp('images'))
    work_dir = tmp_path_factory.mktemp('run')
    Runner.from_cfg(toy_run_cfg(root, work_dir)).train()
    return work_dir / 'epoch_2.pth'


@pytest.mark.slow
@pytest.mark.parametrize('config', [R18, MBV3_SMALL, EFF_B0, MOBILE_ONE])
@torch.no_grad()
def test_backbone(tmp_path, images, config):
    expected = write_backbone(tmp_path / 'in.pth', config)
    difference = export_backbone_onnx(
        tmp_path / 'in.pth', tmp_path / 'out.onnx', image_size=64
    )
    assert 0 <= difference <= 1e-4
    inputs = images / 127.5 - 1
    for batch in (inputs[:1], inputs):
        (found,) = run(tmp_path / 'out.onnx', batch)
        assert_close(found, expected(batch)[-1])
    assert json.loads(metadata(tmp_path / 'out.onnx')['image_mean']) == pytest.approx(
        CLIP_MEAN, abs=1e-3
    )
    assert metadata(tmp_path / 'out.onnx')['channel_order'] == 'RGB'


@pytest.mark.slow
@torch.no_grad()
def test_branches_of_mobileone_are_merged(tmp_path):
    write_backbone(tmp_path / 'in.pth', MOBILE_ONE)
    export_backbone_onnx(tmp_path / 'in.pth', tmp_path / 'out.onnx', image_size=64)
    nodes = [node.op_type for node in onnx.load(str(tmp_path / 'out.onnx')).graph.node]
    convolutions = sum(
        isinstance(part, torch.nn.Conv2d)
        for part in random_backbone(MOBILE_ONE).modules()
    )
    assert nodes.count('Conv') < convolutions / 3


@torch.no_grad()
def test_several_feature_maps_of_a_wide_image(tmp_path):
    write_backbone(tmp_path / 'in.pth', MBV3_SMALL)
    export_backbone_onnx(
        tmp_path / 'in.pth', tmp_path / 'out.onnx', (1, 3, 8, 11), image_size=(32, 96)
    )
    inputs = torch.randn(2, 3, 32, 96)
    expected = load_backbone(tmp_path / 'in.pth', out_indices=(1, 3, 8, 11))(inputs)
    found = run(tmp_path / 'out.onnx', inputs)
    assert [x.shape[1:] for x in found] == [
        (16, 8, 24),
        (24, 4, 12),
        (48, 2, 6),
        (96, 1, 3),
    ]
    for one, other in zip(found, expected):
        assert_close(one, other)


@pytest.mark.parametrize('dtype', ['uint8', 'float32'])
@torch.no_grad()
def test_normalisation_within_the_graph(tmp_path, images, dtype):
    thin = dict(R18, base_channels=8, stem_channels=8)
    backbone = write_backbone(tmp_path / 'in.pth', thin)
    out = tmp_path / 'out.onnx'
    export_backbone_onnx(
        tmp_path / 'in.pth', out, image_size=64, fold_preprocessing=dtype
    )
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    (found,) = run(out, images.numpy().astype(dtype))
    assert_close(found, backbone((images - mean) / std)[-1])


@pytest.mark.parametrize('as_logits', [False, True])
def test_classifier(tmp_path, distilled, as_logits):
    export_classifier_onnx(distilled, tmp_path / 'out.onnx', as_logits=as_logits)
    classifier = ZeroShotClassifier(distilled)
    inputs = torch.randn(3, 3, 16, 16)
    expected = classifier.scores(inputs)
    assert expected.std() > 1e-3
    (found,) = run(tmp_path / 'out.onnx', inputs)
    found = torch.as_tensor(found)
    assert_close(found.softmax(dim=1) if as_logits else found, expected)
    assert found.shape == (3, 4)
    assert json.loads(metadata(tmp_path / 'out.onnx')['category_names']) == sorted(
        NAMES
    )
    outputs = onnx.load(str(tmp_path / 'out.onnx')).graph.output
    assert [o.name for o in outputs] == (['logits'] if as_logits else ['scores'])


def test_classifier_of_other_names_takes_images_of_a_phone(tmp_path, distilled):
    """Independent of ZeroShotClassifier: student, text and softmax by hand."""
    names = ['zebra', 'lamp']
    out = tmp_path / 'out.onnx'
    export_classifier_onnx(
        distilled, out, categories=names, templates=['{}!'], fold_preprocessing='uint8'
    )
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(
        0, 256, (2, 3, 16, 16), generator=generator, dtype=torch.uint8
    )
    state = torch.load(distilled, weights_only=False)['state_dict']
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1)
        for v in (ToyTeacher.image_mean, ToyTeacher.image_std)
    )
    features = torch.conv2d(
        (images - mean) / std,
        state['backbone.conv.weight'],
        state['backbone.conv.bias'],
        stride=2,
        padding=1,
    ).relu()
    hidden = torch.nn.functional.linear(
        features.mean((2, 3)),
        state['projector.layers.0.weight'],
        state['projector.layers.0.bias'],
    ).relu()
    embeddings = torch.nn.functional.linear(
        hidden, state['projector.layers.2.weight'], state['projector.layers.2.bias']
    )
    embeddings = torch.nn.functional.normalize(embeddings, dim=1)
    text = ToyTeacher().encode_text(['zebra!', 'lamp!'])
    expected = (embeddings @ text.T / 0.2).softmax(dim=1)
    (found,) = run(out, images)
    assert_close(found, expected)


def test_embedding_gives_the_scores_of_names_chosen_later(tmp_path, distilled):
    out = tmp_path / 'out.onnx'
    options = f'{distilled} --format onnx --part embedding --out {out}'
    cli.main([*options.split(), '--fold-preprocessing', 'uint8'])
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    (found,) = run(out, images.transpose(0, 3, 1, 2))
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    classifier = ZeroShotClassifier(distilled, ['zebra', 'lamp', 'tree'])
    logits = found @ classifier.text_embeddings.numpy().T
    logits /= float(metadata(out)['temperature'])
    expected = classifier.scores(images, channel_order='rgb')
    assert expected.std() > 1e-3
    assert_close(torch.as_tensor(logits).softmax(dim=1), expected)


def test_embeddings_have_no_best_name_to_agree_on(tmp_path, distilled):
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    done = export_embedding(distilled, 'onnx', tmp_path / 'x.onnx', check=images)
    assert done.check.agreement is None
    assert done.check.mean_cosine == pytest.approx(1, abs=1e-5)


def test_embedding_needs_a_projector_and_has_no_names(tmp_path, checkpoint):
    out = tmp_path / 'x.onnx'
    bare = tmp_path / 'bare.pth'
    contents = torch.load(checkpoint, weights_only=True)
    state = contents['state_dict']
    contents['state_dict'] = {k: v for k, v in state.items() if 'projector' not in k}
    contents['meta'].update(student_temperature=0.2)
    torch.save(contents, bare)
    with pytest.raises(CheckpointError, match='contains no projector'):
        export_embedding(bare, 'onnx', out)
    options = f'{bare} --format onnx --part embedding --out {out} --categories coco'
    with pytest.raises(ConfigError, match='--categories cannot be used with --part e'):
        cli.main(options.split())
    assert not out.exists()


def test_a_difference_is_relative_to_the_largest_value_and_nan_is_infinite():
    images = torch.ones(1, 3, 4, 4)
    outputs = torch.tensor([[2.0, -4.0]])

    def difference(found, **options):
        return compare(lambda _: [outputs], lambda _: found, [images], **options)

    assert difference([outputs.clone()]) == 0
    assert difference([outputs + 0.01]) == pytest.approx(0.01 / 4)
    assert difference([outputs + 0.01], absolute=True) == pytest.approx(0.01, rel=1e-4)
    assert difference([outputs * float('nan')]) == float('inf')
    assert difference([outputs[:, :1]]) == float('inf')
    assert difference([outputs, outputs]) == float('inf')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """The backbone of a very small ResNet."""
    path = tmp_path_factory.mktemp('backbone') / 'in.pth'
    write_backbone(path, dict(R18, base_channels=8, stem_channels=8), image_size=32)
    return path


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(fold_preprocessing='int4'), 'fold_preprocessing'),
        (dict(opset=99), r'opset is 99, but .* support 7 to \d\d\.'),
        (dict(opset=0), 'opset is 0'),
        (dict(opset=-1), 'opset is -1'),
        (dict(opset='17'), "opset is '17'"),
        (dict(image_size=0), 'image_size is 0'),
        (dict(image_size=(32, -32)), 'image_size'),
        (dict(image_size=(32, 32, 3)), 'image_size'),
        (dict(image_size=32.5), 'image_size is 32.5'),
        (dict(image_size=10**6), 'image_size'),
        (dict(out_indices=()), 'out_indices'),
        (
            dict(out_indices=(99,)),
            r'out_indices=\(99,\) does not suit mmpretrain.ResNet',
        ),
        (dict(out_indices=(-1,)), 'returns 0 feature maps'),
        (dict(out_indices=(1, 1)), 'different stages'),
        (dict(out_indices=(3, 1)), 'ascending'),
        (dict(out_indices=(-2, 1)), 'ascending'),
        (dict(out_indices=(1.5,)), 'out_indices'),
    ],
)
def test_invalid_options_are_refused(
    tmp_path, checkpoint, monkeypatch, options, message
):
    """Each is refused before the model is exported."""
    written = []
    original = torch.onnx.export

    @functools.wraps(original)
    def export(model, *args, **kwargs):
        written.append(model)
        return original(model, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, 'export', export)
    with pytest.raises(ConfigError, match=message):
        export_backbone_onnx(checkpoint, tmp_path / 'x.onnx', **options)
    assert not any(list(model.parameters()) for model in written)
    assert not list(tmp_path.iterdir())


def test_supported_operator_sets_work(tmp_path, checkpoint):
    for opset in (9, 18):
        out = str(tmp_path / f'{opset}.onnx')
        assert export_backbone_onnx(checkpoint, out, opset=opset) <= 1e-4
        assert onnx.load(out).opset_import[0].version == opset


def test_an_operator_missing_from_the_opset(tmp_path):
    """GELU needs erf, which came with operator set 9."""
    config = dict(
        type='mmpretrain.ConvNeXt', arch=dict(depths=[1] * 4, channels=[8] * 4)
    )
    write_backbone(tmp_path / 'in.pth', config, image_size=32)
    with pytest.raises(ConfigError, match='opset 7 .*try a higher opset'):
        export_backbone_onnx(tmp_path / 'in.pth', tmp_path / 'x.onnx', opset=7)
    assert not (tmp_path / 'x.onnx').exists()


def test_images_that_a_backbone_does_not_take(tmp_path):
    config = dict(
        type='mmpretrain.SwinTransformer',
        arch=dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]),
        img_size=32,
        window_size=4,
    )
    write_backbone(tmp_path / 'in.pth', config, image_size=32)
    with pytest.raises(ConfigError, match='does not accept images of 1x1 pixels'):
        export_backbone_onnx(tmp_path / 'in.pth', tmp_path / 'x.onnx', image_size=1)


def test_unwritable_output_paths_are_refused(tmp_path, checkpoint):
    with pytest.raises(ConfigError, match='is a folder'):
        export_backbone_onnx(checkpoint, tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='cannot be written'):
        export_backbone_onnx(checkpoint, tmp_path / 'file/x.onnx')


@torch.no_grad()
def test_half_precision_weights(tmp_path, checkpoint):
    contents = torch.load(checkpoint, weights_only=True)
    state = contents['state_dict']
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save(dict(contents, state_dict=half), tmp_path / 'half.pth')
    assert export_backbone_onnx(tmp_path / 'half.pth', tmp_path / 'x.onnx') <= 1e-4
    expected = load_backbone(checkpoint)
    inputs = torch.randn(2, 3, 32, 32)
    (found,) = run(tmp_path / 'x.onnx', inputs)
    expected = expected(inputs)[-1]
    # float16 keeps 11 bits.
    assert (torch.as_tensor(found) - expected).abs().max() < 0.02 * expected.max()


def test_incomplete_checkpoints_are_refused(tmp_path, checkpoint):
    out = tmp_path / 'x.onnx'
    with pytest.raises(CheckpointError, match='without category names'):
        export_classifier_onnx(checkpoint, out)
    contents = torch.load(checkpoint, weights_only=True)
    state = contents['state_dict']
    contents['state_dict'] = {k: v for k, v in state.items() if 'projector' not in k}
    torch.save(contents, tmp_path / 'bare.pth')
    with pytest.raises(CheckpointError, match='needs its projector'):
        export_classifier_onnx(tmp_path / 'bare.pth', out)
    contents['meta'] = dict(backbone=contents['meta']['backbone'])
    torch.save(contents, tmp_path / 'silent.pth')
    with pytest.raises(CheckpointError, match='does not contain the mean'):
        export_backbone_onnx(tmp_path / 'silent.pth', out, fold_preprocessing='uint8')
    assert not out.exists()


@pytest.mark.parametrize('name', ['onnx', 'onnxruntime'])
def test_a_missing_package_is_named(tmp_path, checkpoint, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=f'needs {name}, .*pip install'):
        export_backbone_onnx(checkpoint, tmp_path / 'x.onnx')
