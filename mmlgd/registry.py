"""Registries of mmlgd: children of mmengine's roots, under the scope ``mmlgd``.

mmengine imports this module when it first encounters the scope, and a registry's
``locations`` at the first lookup, so configs need no ``custom_imports``. Types
of other libraries are written with their scope: ``mmpretrain.MobileNetV3``.
"""

from mmengine.registry import Registry, root

_LOCATIONS = {
    'DATASETS': ['mmlgd.datasets', 'mmlgd.stores', 'mmlgd.pixels.dataset'],
    'DATA_SAMPLERS': ['mmlgd.datasets'],
    'TRANSFORMS': ['mmlgd.datasets.transforms'],
    'MODELS': ['mmlgd.models', 'mmlgd.stores'],
    'MODEL_WRAPPERS': ['mmlgd.engine'],
    'OPTIM_WRAPPERS': ['mmlgd.engine'],
    'OPTIM_WRAPPER_CONSTRUCTORS': ['mmlgd.engine'],
    'PARAM_SCHEDULERS': ['mmlgd.engine'],
    'LOOPS': ['mmlgd.engine'],
    'HOOKS': ['mmlgd.engine'],
    'METRICS': ['mmlgd.evaluation'],
}


def _child(name: str) -> Registry:
    parent = getattr(root, name)
    # Without a location, mmengine looks for `mmlgd.utils.register_all_modules`.
    locations = _LOCATIONS.get(name, [__name__])
    return Registry(parent.name, parent=parent, scope='mmlgd', locations=locations)


DATASETS = _child('DATASETS')
DATA_SAMPLERS = _child('DATA_SAMPLERS')
HOOKS = _child('HOOKS')
LOOPS = _child('LOOPS')
METRICS = _child('METRICS')
MODELS = _child('MODELS')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS')
OPTIMIZERS = _child('OPTIMIZERS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS')
RUNNERS = _child('RUNNERS')
TRANSFORMS = _child('TRANSFORMS')

# Every root needs a child: if one is missing, mmengine warns and searches the root
# registries only.
_OTHERS = [
    name
    for name, value in vars(root).items()
    if isinstance(value, Registry) and name not in globals()
]
globals().update({name: _child(name) for name in _OTHERS})
