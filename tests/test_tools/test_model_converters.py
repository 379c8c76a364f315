"""The converters from the command line."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
import torchvision

from mmlgd.errors import ConfigError
from tests.backbone_files import R18, write_backbone

TOOLS = Path(__file__).parents[2] / 'tools/model_converters'


def tool(name):
    """Import a script, which is not part of a package."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_export_backbone_writes_the_file_and_says_how_to_use_it(tmp_path, capsys):
    backbone = write_backbone(tmp_path / 'in.pth', R18)
    out = str(tmp_path / 'out.pth')
    arguments = [str(tmp_path / 'in.pth'), '--format', 'torchvision', '--out', out]
    tool('export_backbone').main(arguments)
    assert 'torchvision.models.resnet18()' in capsys.readouterr().out
    model = torchvision.models.resnet18()
    assert model.load_state_dict(torch.load(out)['state_dict'], strict=False) == (
        ['fc.weight', 'fc.bias'],
        [],
    )
    assert torch.equal(model.conv1.weight, backbone.conv1.weight)


def test_export_backbone_knows_five_libraries(tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool('export_backbone').main(['x.pth', '--format', 'keras', '--out', 'y.pth'])
    message = capsys.readouterr().err
    for library in ('mmpretrain', 'mmdet', 'mmseg', 'torchvision', 'timm'):
        assert library in message


def test_export_onnx_writes_a_backbone(tmp_path, capsys):
    backbone = write_backbone(tmp_path / 'in.pth', R18)
    out = str(tmp_path / 'out.onnx')
    options = ['--out', out, '--image-size', '32', '--out-indices', '1', '3']
    tool('export_onnx').main(
        [str(tmp_path / 'in.pth'), *options, '--fold-preprocessing']
    )
    assert 'Its outputs differ from those of the student by' in capsys.readouterr().out
    session = onnxruntime.InferenceSession(out, providers=['CPUExecutionProvider'])
    assert session.get_inputs()[0].type == 'tensor(uint8)'
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8).numpy()
    maps = session.run(None, {'images': images})
    assert [m.shape for m in maps] == [(2, 128, 4, 4), (2, 512, 1, 1)]
    assert backbone.layer4[1].bn2.num_features == 512


@pytest.mark.parametrize(
    'options, message',
    [
        (['--part', 'classifier', '--out-indices', '1'], '--out-indices'),
        (['--as-logits'], '--as-logits'),
        (['--image-size', '1', '2', '3'], 'image_size'),
        (['--image-size', '0'], 'image_size'),
        (['--opset', '99'], 'opset is 99'),
    ],
)
def test_export_onnx_refuses_options_that_do_not_fit(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        tool('export_onnx').main(['in.pth', '--out', 'out.onnx', *options])


@pytest.mark.slow
@pytest.mark.parametrize('name', ['export_backbone', 'export_onnx'])
def test_a_tool_ends_with_one_line_for_a_missing_file(tmp_path, name):
    script = str(TOOLS / f'{name}.py')
    options = ['--format', 'timm'] if name == 'export_backbone' else []
    command = [sys.executable, script, 'absent.pth', '--out', 'x', *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert 'CheckpointError: There is no checkpoint absent.pth' in done.stderr
    assert 'Traceback' not in done.stderr
