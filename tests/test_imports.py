"""Every module and every script can be imported."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Configs are read by mmengine and import nothing from mmlgd.
FILES = sorted(
    path.relative_to(ROOT).with_suffix('')
    for folder in ('mmlgd', 'benchmarks', 'demo', 'tools')
    for path in (ROOT / folder).rglob('*.py')
    if not {'configs', '.mim'} & set(path.relative_to(ROOT).parts)
)


@pytest.mark.parametrize('folder', sorted({str(file.parent) for file in FILES}))
def test_every_file_of_a_folder_imports(folder, monkeypatch):
    # Python puts a script's folder on the path.
    monkeypatch.syspath_prepend(ROOT / folder)
    for file in FILES:
        if str(file.parent) == folder:
            importlib.import_module('.'.join(file.parts).removesuffix('.__init__'))
