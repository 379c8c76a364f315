"""Core ML programs, read by coremltools; they run on macOS only."""

import sys
import types

import pytest
import torch

from mmlgd.apis import export_backbone, load_backbone
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.export import ExportModel
from mmlgd.export.formats.coreml import CoreMLFormat
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from tests.backbone_files import R18, write_backbone
from tests.test_export.test_runtimes import STUDENTS

THIN = dict(R18, base_channels=8, stem_channels=8)


@pytest.fixture
def program(tmp_path):
    return tmp_path / 'out.mlpackage'


@pytest.mark.formats
@pytest.mark.parametrize('student', STUDENTS)
def test_the_program(tmp_path, program, student):
    import coremltools

    write_backbone(tmp_path / 'in.pth', STUDENTS[student], image_size=64)
    program.mkdir()  # of an earlier export: replaced
    done = export_backbone(tmp_path / 'in.pth', 'coreml', program)
    assert done.difference is None
    spec = coremltools.models.MLModel(str(program), skip_model_load=True).get_spec()
    (given,) = spec.description.input
    assert (given.name, [*given.type.multiArrayType.shape]) == (
        'images',
        [1, 3, 64, 64],
    )
    backbone = load_backbone(tmp_path / 'in.pth')
    shapes = [[*each.shape] for each in backbone(torch.zeros(1, 3, 64, 64))]
    found = [[*each.type.multiArrayType.shape] for each in spec.description.output]
    assert found == shapes
    assert spec.description.metadata.userDefined['channel_order'] == 'RGB'
    # float16, with BatchNorm folded.
    weights = program / 'Data/com.apple.CoreML/weights/weight.bin'
    number = sum(p.numel() for p in backbone.parameters())
    assert 1.9 * number < weights.stat().st_size < 2.2 * number


@pytest.mark.formats
def test_preprocessing_makes_it_an_image(tmp_path, program):
    import coremltools

    write_backbone(tmp_path / 'in.pth', THIN, image_size=32)
    export_backbone(tmp_path / 'in.pth', 'coreml', program, fold_preprocessing='uint8')
    spec = coremltools.models.MLModel(str(program), skip_model_load=True).get_spec()
    image = spec.description.input[0].type.imageType
    assert (image.width, image.height) == (32, 32)
    assert image.colorSpace == image.ColorSpace.Value('RGB')


@pytest.mark.formats
def test_weights_beyond_float16_stay_float32(tmp_path, program):
    import coremltools

    write_backbone(tmp_path / 'in.pth', THIN, image_size=32)
    contents = torch.load(tmp_path / 'in.pth', weights_only=True)
    contents['state_dict']['backbone.conv1.weight'][0, 0, 0, 0] = 1e8
    torch.save(contents, tmp_path / 'in.pth')
    export_backbone(tmp_path / 'in.pth', 'coreml', program)
    found = coremltools.optimize.coreml.get_weights_metadata(
        coremltools.models.MLModel(str(program), skip_model_load=True),
        weight_threshold=1,
    )
    # BatchNorm, with a variance of about 1, is folded in.
    assert 5e7 < max(abs(each.val).max() for each in found.values()) < 2e8


@pytest.mark.formats
def test_another_program_is_refused(tmp_path, program):
    write_backbone(tmp_path / 'in.pth', THIN, image_size=32)
    export_backbone(tmp_path / 'in.pth', 'coreml', program)
    other = ExportModel(torch.nn.Conv2d(3, 5, 32), CheckpointMeta('x'), image_size=32)
    with pytest.raises(CheckpointError, match=r'outputs of the student are .*1, 5, 1'):
        CoreMLFormat().validate(program, other)


@pytest.mark.skipif(sys.platform == 'darwin', reason='Core ML runs there')
def test_a_check_that_is_not_possible_is_refused_first(program, monkeypatch):
    monkeypatch.setitem(sys.modules, 'coremltools', types.ModuleType('coremltools'))
    with pytest.raises(ConfigError, match='Core ML runs on macOS only.*omit --check'):
        export_backbone('absent.pth', 'coreml', program, check='photos')


def test_a_file_is_not_replaced_by_a_folder(program, monkeypatch):
    monkeypatch.setitem(sys.modules, 'coremltools', types.ModuleType('coremltools'))
    program.write_text('mine')
    with pytest.raises(ConfigError, match='is a file; remove it'):
        export_backbone('absent.pth', 'coreml', program)
