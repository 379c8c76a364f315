"""Every runtime format with three students: exported, loaded by its own API, compared."""

import json
import sys
import types

import pytest
import torch

from mmlgd.apis import export_backbone, load_backbone
from mmlgd.errors import ConfigError, DependencyError
from mmlgd.export import find_format, format_names
from tests.backbone_files import MBV3_SMALL, R18, write_backbone

MBV4 = dict(
    type='mmlgd.TIMMBackbone',
    model_name='mobilenetv4_conv_small',
    features_only=True,
)
STUDENTS = dict(mbv3=MBV3_SMALL, mbv4=MBV4, r18=R18)


def run_openvino(path, images):
    import openvino

    compiled = openvino.Core().compile_model(str(path), 'CPU')
    return [torch.tensor(each) for each in compiled(images.numpy()).values()]


def run_torchscript(path, images):
    return torch.jit.load(str(path))(images)


def run_torch_export(path, images):
    return torch.export.load(str(path)).module()(images)


def run_ncnn(path, images):
    import ncnn

    net = ncnn.Net()
    net.load_param(str(path))
    net.load_model(str(path.with_suffix('.bin')))
    extractor = net.create_extractor()
    extractor.input('in0', ncnn.Mat(images[0].numpy()).clone())
    names = net.output_names()
    return [torch.tensor(extractor.extract(name)[1].numpy())[None] for name in names]


def run_executorch(path, images):
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(str(path))
    return [each.clone() for each in program.load_method('forward').execute([images])]


def run_litert(path, images):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (place,) = interpreter.get_input_details()
    interpreter.set_tensor(place['index'], images.numpy())
    interpreter.invoke()
    outputs = sorted(interpreter.get_output_details(), key=lambda each: each['name'])
    return [torch.tensor(interpreter.get_tensor(each['index'])) for each in outputs]


CASES = [
    pytest.param('torchscript', {}, '.pt', run_torchscript, marks=pytest.mark.slow),
    pytest.param('torch_export', {}, '.pt2', run_torch_export, marks=pytest.mark.slow),
    *(
        pytest.param(
            'openvino', dict(dtype=dtype), '.xml', run_openvino, marks=pytest.mark.slow
        )
        for dtype in ('float16', 'float32', 'int8')
    ),
    pytest.param('ncnn', {}, '.param', run_ncnn, marks=pytest.mark.formats),
    *(
        pytest.param(name, dict(dtype=dtype), suffix, run, marks=pytest.mark.formats)
        for dtype in ('float32', 'int8')
        for name, suffix, run in (
            ('executorch', '.pte', run_executorch),
            ('litert', '.tflite', run_litert),
        )
    ),
]


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp('students')
    for name, config in STUDENTS.items():
        write_backbone(folder / f'{name}.pth', config, image_size=64)
    return folder


@pytest.mark.parametrize('student', STUDENTS)
@pytest.mark.parametrize('name, options, suffix, run', CASES)
@torch.no_grad()
def test_features(tmp_path, checkpoints, student, name, options, suffix, run):
    """Of one image, of the last stage; random weights make the maps of int8 coarse."""
    checkpoint, out = checkpoints / f'{student}.pth', tmp_path / f'out{suffix}'
    is_int8 = options.get('dtype') == 'int8'
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(12, 3, 4, 4, generator=generator)
    images = torch.nn.functional.interpolate(images, (64, 64), mode='bilinear')
    if is_int8:
        # Of the pipeline: the short edge to 73 pixels, a crop of 64, BGR to RGB.
        photos = (images * 50 + 120).clamp(0, 255).byte()
        options = dict(options, calibration=list(photos))
    done = export_backbone(checkpoint, name, out, **options)
    expected = load_backbone(checkpoint)(images[:1])
    found = run(out, images[:1])
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one.shape == other.shape
    similarity = torch.cosine_similarity(found[-1].flatten(), expected[-1].flatten(), 0)
    assert similarity > (0.9 if is_int8 else 0.999)
    assert done.usage
    stored = out.read_bytes()
    if is_int8:
        assert done.cosine > 0.9
        weights = sum(p.numel() for p in load_backbone(checkpoint).parameters())
        contents = out.with_suffix('.bin') if name == 'openvino' else out
        assert len(contents.read_bytes()) < 2 * weights
    else:
        assert done.difference < 0.02
    # Mean and std, inside the file or beside it.
    beside = out.with_name(f'{out.name}.json')
    assert beside.exists() or b'image_mean' in stored
    if beside.exists():
        assert json.loads(beside.read_text())['channel_order'] == 'RGB'


def test_all_runtimes_are_tested_here_or_for_onnx():
    graphs = {name for name in format_names() if find_format(name).is_graph}
    assert graphs == {case.values[0] for case in CASES} | {'onnx', 'coreml'}


@pytest.mark.parametrize(
    'name, suffix, package',
    [
        ('coreml', '.mlpackage', 'coremltools'),
        ('executorch', '.pte', 'executorch'),
        ('litert', '.tflite', 'ai_edge_litert'),
        ('ncnn', '.param', 'pnnx'),
        ('openvino', '.xml', 'openvino'),
    ],
)
def test_an_absent_package(tmp_path, monkeypatch, name, suffix, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        DependencyError,
        match=rf"{package.replace('_', '-')}.* run `pip install 'mmlgd\[export_{name}\]'`",
    ):
        export_backbone('absent.pth', name, tmp_path / f'out{suffix}')


def test_folded_preprocessing_is_refused_where_the_converter_fails(
    tmp_path, monkeypatch
):
    for name in ('executorch', 'executorch.exir'):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    write_backbone(tmp_path / 'in.pth', R18, image_size=32)
    with pytest.raises(ConfigError, match='normalise the images in the application'):
        export_backbone(
            tmp_path / 'in.pth',
            'executorch',
            tmp_path / 'out.pte',
            fold_preprocessing='float32',
        )


def test_the_suffix_is_what_the_runtime_expects(tmp_path):
    with pytest.raises(ConfigError, match=r'must end with .pt2'):
        export_backbone('absent.pth', 'torch_export', tmp_path / 'out.onnx')


class Inverse(torch.nn.Module):
    def forward(self, images):
        return torch.linalg.inv(images)


def test_an_operator_that_a_runtime_does_not_have_is_named(tmp_path):
    from mmlgd.export import ExportModel, export_model
    from mmlgd.utils.checkpoint_meta import CheckpointMeta

    model = ExportModel(Inverse(), CheckpointMeta('x'), image_size=8)
    with pytest.raises(ConfigError, match='Inverse cannot be .*linalg_inv'):
        export_model(model, find_format('onnx')(), tmp_path / 'out.onnx')
    assert list(tmp_path.iterdir()) == []
