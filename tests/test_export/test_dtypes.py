"""Files of float16 and int8: what they contain, and what is refused."""

import functools
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from mmlgd.apis import export_backbone, load_backbone
from mmlgd.cli import export as command
from mmlgd.errors import CheckpointError, ConfigError, DataError
from mmlgd.export import ExportModel, export_model, onnx_int8
from mmlgd.export.formats.onnx import OnnxFormat
from mmlgd.export.formats.openvino import OpenVinoFormat
from mmlgd.export.onnx_int8 import METHODS
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from tests.backbone_files import CLIP_MEAN, CLIP_STD, R18, write_backbone

THIN = dict(R18, base_channels=8, stem_channels=8)


@pytest.fixture
def checkpoint(tmp_path):
    write_backbone(tmp_path / 'in.pth', THIN, image_size=32)
    return tmp_path / 'in.pth'


@pytest.fixture
def photos():
    """Smooth random RGB images of the size of the pipeline."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(24, 3, 5, 5, generator=generator)
    images = torch.nn.functional.interpolate(coarse, (37, 37), mode='bilinear')
    return list((255 * images).round().byte())


def run(path, images):
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider']
    )
    (found,) = session.run(None, {'images': images.numpy()})
    return torch.as_tensor(found)


def cosine(one, other):
    return torch.cosine_similarity(one.flatten(1), other.flatten(1))


@torch.no_grad()
def test_float16_halves_the_weights(tmp_path, checkpoint):
    out = tmp_path / 'out.onnx'
    done = export_backbone(checkpoint, 'onnx', out, dtype='float16')
    contents = onnx.load(str(out))
    weights = [each for each in contents.graph.initializer if len(each.dims) == 4]
    assert {each.data_type for each in weights} == {TensorProto.FLOAT16}
    assert contents.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    inputs = torch.randn(2, 3, 32, 32)
    expected = load_backbone(checkpoint)(inputs)[-1]
    found = run(out, inputs)
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()
    assert 0 < done.difference < 0.02


@pytest.mark.slow
@pytest.mark.parametrize('per_tensor', [False, True])
@torch.no_grad()
def test_int8_weights_with_scales(tmp_path, checkpoint, photos, per_tensor):
    out = tmp_path / 'out.onnx'
    done = export_backbone(
        checkpoint,
        'onnx',
        out,
        dtype='int8',
        calibration=photos,
        per_tensor=per_tensor,
    )
    contents = onnx.load(str(out))
    weights = {
        each.name: each for each in contents.graph.initializer if len(each.dims) == 4
    }
    assert {each.data_type for each in weights.values()} == {TensorProto.INT8}
    scales = {each.name: each for each in contents.graph.initializer}
    sizes = [
        (int(np.prod(scales[node.input[1]].dims)), weights[node.input[0]].dims[0])
        for node in contents.graph.node
        if node.op_type == 'DequantizeLinear' and node.input[0] in weights
    ]
    assert len(sizes) == 20
    for found, channels in sizes:
        assert found == (1 if per_tensor else channels)
    entries = {entry.key: entry.value for entry in contents.metadata_props}
    assert entries['calibration'].split()[0] in METHODS
    assert json.loads(entries['image_size']) == [32, 32]
    assert entries['dtype'] == 'int8'
    # Other images of the same kind, prepared by hand.
    images = torch.stack(photos)[:, :, 2:34, 2:34].flip(3).float()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    images = (images - mean) / std
    rows = cosine(run(out, images), load_backbone(checkpoint)(images)[-1])
    assert rows.mean() > 0.97
    assert done.cosine > 0.97
    assert done.difference is None


@pytest.mark.parametrize(('megabytes', 'count'), [(1, 40), (0.2, 24), (0.001, 16)])
def test_histograms_keep_a_limited_size_of_activations(
    tmp_path, monkeypatch, megabytes, count
):
    # Both outputs have 4 channels of 16 x 16 in float32: 8,192 bytes for an image.
    layers = [torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 3, padding=1)]
    torch.onnx.export(
        torch.nn.Sequential(*layers).eval(),
        (torch.zeros(2, 3, 16, 16),),
        str(tmp_path / 'in.onnx'),
        input_names=['images'],
        dynamic_axes={'images': {0: 'n'}},
        dynamo=False,
    )
    monkeypatch.setattr(onnx_int8, '_HISTOGRAM_BYTES', int(megabytes * 1e6))
    read = []
    reader = onnx_int8._Reader
    monkeypatch.setattr(
        onnx_int8, '_Reader', lambda images: read.append(len(images)) or reader(images)
    )
    images = torch.randn(40, 3, 16, 16)
    onnx_int8.quantise(tmp_path / 'in.onnx', tmp_path / 'out.onnx', images, images[:4])
    assert dict(zip(METHODS, read)) == dict(MinMax=40, Entropy=count, Percentile=count)


class LinearAttention(torch.nn.Module):
    """Quotients of products, as in EfficientViT; 8 bits do not resolve their sums."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = torch.nn.Conv2d(3, 12, 4, 4)
        self.head = torch.nn.Conv2d(4, 6, 1)

    def forward(self, images):
        rows = self.stem(images).flatten(2)
        query, key, value = rows.exp().split(4, dim=1)
        sums = torch.nn.functional.pad(value, (0, 0, 0, 1), value=1.0)
        found = (sums @ key.transpose(1, 2)) @ (1e4 * query.pow(4))
        mixed = found[:, :-1] / (found[:, -1:] + 1e-6)
        return self.head(mixed.unflatten(2, (8, 8)) - mixed.mean())


@pytest.fixture
def attention():
    model = ExportModel(LinearAttention(), CheckpointMeta('x'), image_size=32)
    generator = torch.Generator().manual_seed(1)
    model.calibration = torch.randn(40, 3, 32, 32, generator=generator)
    return model


@pytest.mark.slow
@torch.no_grad()
def test_products_of_activations_stay_float32_if_int8_breaks_them(tmp_path, attention):
    done = export_model(attention, OnnxFormat(dtype='int8'), tmp_path / 'out.onnx')
    assert done.cosine > 0.97
    contents = onnx.load(str(tmp_path / 'out.onnx'))
    (found,) = [e.value for e in contents.metadata_props if e.key == 'calibration']
    assert found.endswith('of layers with weights')
    made_by = {name: node for node in contents.graph.node for name in node.output}
    kinds = {
        kind: {
            made_by[node.input[0]].op_type == 'DequantizeLinear'
            for node in contents.graph.node
            if node.op_type == kind
        }
        for kind in ('Conv', 'MatMul')
    }
    assert kinds == {'Conv': {True}, 'MatMul': {False}}


@pytest.mark.slow
@torch.no_grad()
def test_openvino_keeps_quotients_in_float32(tmp_path, attention):
    done = export_model(attention, OpenVinoFormat(dtype='int8'), tmp_path / 'out.xml')
    assert done.cosine > 0.97


def test_calibration_images_are_needed_by_int8_only(tmp_path, checkpoint, photos):
    out = tmp_path / 'out.onnx'
    with pytest.raises(ConfigError, match='int8 needs calibration images: pass'):
        export_backbone('absent.pth', 'onnx', out, dtype='int8')
    with pytest.raises(ConfigError, match='used by int8 only'):
        export_backbone('absent.pth', 'onnx', out, calibration=photos)
    with pytest.raises(ConfigError, match='an option of dtype .int8. only'):
        export_backbone('absent.pth', 'onnx', out, per_tensor=True)
    with pytest.raises(ConfigError, match='has no dtype .int4.; use float32 or'):
        export_backbone('absent.pth', 'onnx', out, dtype='int4')
    with pytest.raises(ConfigError, match='few hundred images'):
        export_backbone(checkpoint, 'onnx', out, dtype='int8', calibration=photos[:1])
    (tmp_path / 'none').mkdir()
    with pytest.raises(DataError, match='no image'):
        export_backbone(
            checkpoint, 'onnx', out, dtype='int8', calibration=tmp_path / 'none'
        )
    assert not out.exists()


def test_the_command_checks_its_options_first(tmp_path):
    words = ['absent.pth', '--format', 'onnx', '--out', str(tmp_path / 'x')]
    with pytest.raises(ConfigError, match='--calibration'):
        command.main([*words, '--dtype', 'int8'])
    with pytest.raises(ConfigError, match='--check-out needs --check'):
        command.main([*words, '--check-out', str(tmp_path / 'x.json')])
    with pytest.raises(ConfigError, match='--labels needs --check'):
        command.main([*words, '--part', 'classifier', '--labels'])
    with pytest.raises(ConfigError, match='--min-agreement'):
        command.main([*words, '--check', 'photos', '--min-agreement', '99'])


def test_a_backbone_without_projector_is_not_a_classifier(tmp_path, checkpoint):
    state = torch.load(checkpoint, weights_only=True)
    del state['state_dict']['projector.layers.0.weight']
    torch.save(state, checkpoint)
    words = [str(checkpoint), '--format', 'onnx', '--out', str(tmp_path / 'x')]
    with pytest.raises(CheckpointError, match='needs its projector'):
        command.main([*words, '--part', 'classifier'])


def test_a_quantised_file_with_other_features_is_not_kept(
    tmp_path, checkpoint, photos, monkeypatch
):
    """A converter that writes a file that computes nothing."""
    monkeypatch.setattr(OnnxFormat, 'write', lambda *args: args[-1].write_text('int8'))
    run = functools.partial(torch.zeros, 1, 64, 1, 1)
    monkeypatch.setattr(
        OnnxFormat,
        'load',
        lambda *args: lambda images: [run().expand(len(images), -1, -1, -1)],
    )
    out = tmp_path / 'out.onnx'
    with pytest.raises(CheckpointError, match='not written: on held-out .* is only 0'):
        export_backbone(checkpoint, 'onnx', out, dtype='int8', calibration=photos)
    assert not out.exists()
