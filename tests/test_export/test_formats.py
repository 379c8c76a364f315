"""A format is one file, and every format is checked; wrong files are not kept."""

import sys

import pytest
import torch

from mmlgd.apis import export_backbone, export_classifier
from mmlgd.cli import export as command
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.export import (
    ExportFormat,
    ExportModel,
    export_model,
    find_format,
    format_names,
    formats,
)
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from tests.backbone_files import R18, write_backbone

PLUGIN = '''
import torch
from mmlgd.export import ExportFormat


class Scaled(ExportFormat):
    """TorchScript, with all outputs scaled."""

    description = 'for a test'
    is_graph = True

    def __init__(self, factor=1.0):
        self.factor = factor

    @classmethod
    def add_arguments(cls, parser):
        parser.add_argument('--factor', type=float, default=1.0)

    def export(self, model, path):
        torch.jit.save(torch.jit.trace(model.module, model.images(2)), str(path))

    def load(self, path, model):
        module = torch.jit.load(str(path))
        return lambda images: [each * self.factor for each in module(images)]

    def usage(self, model, path):
        return 'torch.jit.load'


FORMAT = Scaled
'''


@pytest.fixture
def checkpoint(tmp_path):
    write_backbone(
        tmp_path / 'in.pth', dict(R18, base_channels=8, stem_channels=8), image_size=32
    )
    return str(tmp_path / 'in.pth')


@pytest.fixture
def scaled(tmp_path, monkeypatch):
    """A format in one additional file that no other file refers to."""
    (tmp_path / 'more').mkdir()
    (tmp_path / 'more/scaled.py').write_text(PLUGIN)
    monkeypatch.setattr(
        formats, '__path__', [*formats.__path__, str(tmp_path / 'more')]
    )
    yield
    sys.modules.pop('mmlgd.export.formats.scaled', None)


def test_known_formats():
    assert format_names() == [
        'coreml',
        'executorch',
        'litert',
        'mmdet',
        'mmpretrain',
        'mmseg',
        'ncnn',
        'onnx',
        'openvino',
        'timm',
        'torch_export',
        'torchscript',
        'torchvision',
    ]
    assert all(find_format(name).description for name in format_names())


class Cancelling(torch.nn.Module):
    """Sums whose float32 rounding errors are 3e-4 of the result."""

    def forward(self, images):
        offset = 2.0**15
        return (images.mean((2, 3), keepdim=True) * 8 + offset) - offset


class Exact(ExportFormat):
    """What Cancelling returns without rounding, times a factor."""

    is_graph = True
    factor = 1.0

    def export(self, model, path):
        path.write_text('exact')

    def load(self, path, model):
        return lambda images: [8 * self.factor * images.mean((2, 3), keepdim=True)]

    def usage(self, model, path):
        return ''


def test_differences_of_the_size_of_rounding_errors_are_accepted(tmp_path):
    model = ExportModel(Cancelling(), CheckpointMeta('x'), image_size=8)
    form = Exact()
    done = export_model(model, form, tmp_path / 'out')
    assert 1e-4 < done.difference < 2e-3
    form.factor = 1.02
    with pytest.raises(CheckpointError, match=r'by 0\.0\d+, more than 0\.0'):
        export_model(model, form, tmp_path / 'wrong')
    assert not (tmp_path / 'wrong').exists()


def test_one_file_adds_a_format(tmp_path, checkpoint, scaled, capsys):
    out = tmp_path / 'out.pt'
    command.main([checkpoint, '--format', 'scaled', '--out', str(out), '--factor', '1'])
    assert 'torch.jit.load' in capsys.readouterr().out
    (features,) = torch.jit.load(str(out))(torch.zeros(1, 3, 32, 32))
    assert features.shape == (1, 64, 1, 1)


@pytest.mark.parametrize('factor', [1.001, float('nan')])
def test_a_file_with_other_features_is_not_kept(tmp_path, checkpoint, scaled, factor):
    out = tmp_path / 'out.pt'
    out.write_text('of an earlier export')
    with pytest.raises(CheckpointError, match='differ from those of the student by'):
        export_backbone(checkpoint, 'scaled', out, factor=factor)
    assert out.read_text() == 'of an earlier export'


def test_a_file_that_its_runtime_cannot_load_is_not_kept(
    tmp_path, checkpoint, scaled, monkeypatch
):
    def fail(*_):
        raise RuntimeError('Tensor 27 is\ninvalid')

    monkeypatch.setattr(find_format('scaled'), 'load', fail)
    out = tmp_path / 'out/student.pt'
    with pytest.raises(
        CheckpointError, match=r'cannot load it \(RuntimeError: Tensor 27'
    ):
        export_backbone(checkpoint, 'scaled', str(out))
    assert not out.exists()


def test_unknown_names_are_corrected(tmp_path, checkpoint):
    out = tmp_path / 'x'
    with pytest.raises(ConfigError, match="Unknown export format 'onx'.*mean 'onnx'"):
        export_backbone(checkpoint, 'onx', out)
    with pytest.raises(ConfigError, match="no option 'opsets'.*mean 'opset'"):
        export_backbone(checkpoint, 'onnx', out, opsets=3)
    assert not out.exists()


def test_libraries_take_weights_alone(tmp_path, checkpoint):
    with pytest.raises(ConfigError, match='contains the weights of a backbone'):
        export_backbone(
            checkpoint, 'mmpretrain', tmp_path / 'x', fold_preprocessing='uint8'
        )


def test_a_format_of_weights_takes_backbones_alone(
    tmp_path, checkpoint, scaled, monkeypatch
):
    monkeypatch.setattr(find_format('scaled'), 'is_graph', False)
    out = tmp_path / 'out.pt'
    export_backbone(checkpoint, 'scaled', out)
    out.unlink()
    with pytest.raises(ConfigError, match='the weights of a backbone only'):
        export_backbone(checkpoint, 'scaled', out, fold_preprocessing='uint8')
    assert not out.exists()


@pytest.mark.parametrize('export', [export_backbone, export_classifier])
def test_the_output_path_is_checked_before_the_checkpoint_is_read(tmp_path, export):
    with pytest.raises(ConfigError, match='is a folder'):
        export('absent.pth', 'onnx', tmp_path)


def test_a_missing_library_is_reported(tmp_path, checkpoint, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mmdet', None)
    out = tmp_path / 'out.pth'
    command.main([checkpoint, '--format', 'mmdet', '--out', str(out)])
    assert 'were not checked' in capsys.readouterr().out
    assert 'layer4.1.bn2.weight' in torch.load(out, weights_only=True)['state_dict']


def test_help_lists_formats_and_the_options_of_one(capsys):
    for argv, expected in (
        (['--help'], ('torchvision', 'onnx', '--format')),
        (['--format', 'onnx', '--help'], ('--opset', '--as-logits')),
        (['--format', 'timm', '--help'], ('--fuse',)),
    ):
        with pytest.raises(SystemExit) as end:
            command.main(argv)
        text = capsys.readouterr().out
        assert end.value.code == 0
        assert all(each in text for each in expected)
    assert '--opset' not in text
