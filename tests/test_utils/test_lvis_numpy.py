"""lvis gets the name it misses; numpy keeps to itself."""

import importlib

import numpy as np

import mmlgd.utils.lvis_numpy


def test_lvis_alone_sees_the_old_name():
    importlib.reload(mmlgd.utils.lvis_numpy)
    import lvis.eval

    assert lvis.eval.np.float is float
    assert lvis.eval.np.cumsum is np.cumsum
    assert not hasattr(np, 'float')
