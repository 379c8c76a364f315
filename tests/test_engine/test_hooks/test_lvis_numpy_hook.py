"""lvis gets the missing name; numpy itself is not changed."""

import importlib

import numpy as np
from mmengine.registry import HOOKS


def test_lvis_alone_sees_the_old_name():
    import lvis.eval

    importlib.reload(lvis.eval)
    HOOKS.build(dict(type='mmlgd.LVISNumpyHook')).before_run(None)
    assert lvis.eval.np.float is float
    assert lvis.eval.np.cumsum is np.cumsum
    assert not hasattr(np, 'float')
