"""The model index, by which mmengine resolves ``mmlgd::`` config names."""

from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import load

import mmlgd

ROOT = Path(__file__).resolve().parents[2]


def test_index_lists_every_runnable_config():
    listed = [
        model['Config']
        for metafile in load(ROOT / 'model-index.yml')['Import']
        for model in load(ROOT / metafile)['Models']
    ]
    present = [
        str(path.relative_to(ROOT))
        for folder in ('lgd', 'baselines', 'ablations')
        for path in (ROOT / 'configs' / folder).glob('*.py')
    ]
    assert sorted(listed) == sorted(present)


def test_config_of_the_installed_package_serves_as_base(tmp_path):
    # `.mim` is laid down by the installation: a link here, a copy in a wheel.
    assert (Path(mmlgd.__file__).parent / '.mim/model-index.yml').exists()
    config = tmp_path / 'mine.py'
    config.write_text(
        "_base_ = ['mmlgd::lgd/r50_mbv3.py']\nmodel = dict(student_temperature=0.3)\n"
    )
    model = Config.fromfile(config).model
    assert model.type == 'LGD'
    assert model.student_temperature == 0.3
