"""`mmlgd.apis` imports its functions at their first use."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmlgd import apis


def test_every_name_is_there_and_no_module_hides_one():
    assert all(callable(getattr(apis, name)) for name in apis.__all__)
    assert {*apis.__all__} <= {*dir(apis)}
    modules = {path.stem for path in Path(apis.__file__).parent.iterdir()}
    assert not modules & {*apis.__all__}
    with pytest.raises(AttributeError, match="no attribute 'load_backbones'"):
        apis.load_backbones  # noqa: B018


@pytest.mark.slow
def test_lists_and_summaries_need_no_network_library():
    # mmpretrain imports mmdet if it is installed, which takes most of ten seconds, and
    # prints.
    code = (
        'import sys, mmlgd.apis.catalogue, mmlgd.apis.checkpoint_summary\n'
        'mmlgd.apis.list_students()\n'
        "print({'mmpretrain', 'mmdet', 'timm', 'open_clip'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ('set()\n', '')
