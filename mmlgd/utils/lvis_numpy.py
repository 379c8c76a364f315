"""Lets the package lvis evaluate under numpy 1.24 and later.

Its last release, 0.5.3, reads ``np.float``, which numpy has dropped: the error would
come after the first epoch of a training. Configs on LVIS import this module::

    custom_imports = dict(imports=['mmlgd.utils.lvis_numpy'])
"""

from importlib.util import find_spec
from types import ModuleType

import numpy as np


def _numpy_with_float() -> ModuleType:
    """A copy of numpy's namespace; numpy itself stays as others expect it."""
    module = ModuleType('numpy')
    module.__dict__.update(np.__dict__)
    module.float = float
    return module


# Without lvis, mmdet says so when it builds the data set, before training.
if find_spec('lvis') is not None and not hasattr(np, 'float'):
    import lvis.eval

    lvis.eval.np = _numpy_with_float()
