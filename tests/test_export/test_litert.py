"""The environment of the LiteRT converter, without the converter."""

import sys
import types

import pytest

from mmlgd.apis import export_backbone
from mmlgd.errors import ConfigError, DependencyError
from mmlgd.export.formats.litert import LiteRTFormat
from tests.backbone_files import R18, write_backbone


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    for name in ('ai_edge_litert', 'ai_edge_litert.interpreter'):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))


def test_an_absent_environment_is_named(tmp_path):
    with pytest.raises(DependencyError, match='/x/python of the LiteRT .*make env-lit'):
        export_backbone(
            'absent.pth', 'litert', tmp_path / 'x.tflite', python='/x/python'
        )


def test_the_end_of_the_converter_is_reported(tmp_path):
    """The interpreter of the tests has no litert-torch."""
    write_backbone(tmp_path / 'in.pth', dict(R18, base_channels=8, stem_channels=8))
    form = LiteRTFormat(python=sys.executable)
    assert form.dtype == 'float32'
    with pytest.raises(ConfigError, match="LiteRT .*No module named 'litert_torch'"):
        export_backbone(
            tmp_path / 'in.pth',
            'litert',
            tmp_path / 'x.tflite',
            python=sys.executable,
            image_size=32,
        )
    assert [each.name for each in tmp_path.iterdir()] == ['in.pth']
