"""Every tool checks its output path before it does any work."""

import importlib.util
import sys

import pytest

from mmlgd.errors import ConfigError
from tests.toy_tool_run import TOOLS


def load(name: str):
    """Import a script of tools/, which lies in no package."""
    spec = importlib.util.spec_from_file_location(name.replace('/', '_'), TOOLS / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Their other inputs do not exist, which would be a different error.
FILES = {
    'build_text_bank.py': 'none.py --out {}',
    'build_bags.py': 'none.py --out {}',
    'analysis_tools/analyze_logs.py': 'none --out {}',
    'analysis_tools/benchmark_latency.py': 'none.py --out {}',
    'analysis_tools/confusion_matrix.py': 'none.py none.pth --out {}',
    'analysis_tools/get_flops.py': 'none.py --out {}',
    'analysis_tools/knn.py': 'none.py none.pth --out {}',
    'analysis_tools/teacher_temperature.py': 'none.py --out {}',
    'dataset_converters/write_random_names.py': '5 --out {}',
    'dataset_converters/imagenet_subset.py': 'none --percent 1 --out {}',
    'dataset_converters/check_datasets.py': '--out {}',
    'model_converters/export_backbone.py': 'none.pth --format timm --out {}',
    'model_converters/export_onnx.py': 'none.pth --out {}',
    'visualization/browse_dataset.py': 'none.py --out {}',
    'visualization/vis_cam.py': 'none.jpg none.pth --out {}',
    'visualization/vis_scheduler.py': 'none.py --out {}',
    'visualization/vis_tsne.py': 'none.py none.pth --out {}',
}
FOLDERS = {
    'build_stored_views.py': 'none.py --out {} --views 1',
}


@pytest.mark.parametrize('tool', FILES)
def test_a_folder_is_not_a_file(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', [tool])
    with pytest.raises(ConfigError, match='is a folder'):
        load(tool).main(FILES[tool].format(tmp_path).split())


@pytest.mark.parametrize('tool', FOLDERS)
def test_a_file_is_not_a_folder(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', [tool])
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='file cannot be written'):
        load(tool).main(FOLDERS[tool].format(tmp_path / 'file').split())
