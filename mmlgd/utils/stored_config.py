"""Checks of configs from a file, which are not trusted.

mmengine imports the module of a config's ``type``, and a backbone's options may refer to
weights to download. This is accepted in a config of the user, but not in one from a
checkpoint.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine import registry as _roots
from mmengine.registry import DefaultScope, Registry

from mmlgd.errors import CheckpointError, MMLGDError
from mmlgd.utils.printable import describe_error

from .plain_config import name_of
from .quiet import only_warnings
from .tensor_budget import TensorBudget

#: Libraries that a stored config may make mmengine import.
SCOPES = ('mmlgd', 'mmpretrain', 'mmdet', 'mmseg', 'mmengine', 'mmcv')

# Modules of these libraries whose classes may be built: they compute, and read, fetch
# and import nothing. Classes of other packages are those that the user has imported.
_MODULES = dict(
    MODELS=(
        'mmlgd.models.backbones.',
        'mmlgd.models.necks.',
        'mmpretrain.models.backbones.',
        'mmpretrain.models.necks.',
        'mmpretrain.models.utils.',
        'mmdet.models.backbones.',
        'mmdet.models.layers.',
        'mmseg.models.backbones.',
        'mmseg.models.utils.',
        'mmcv.cnn.bricks.',
        'mmcv.ops.',
        'mmengine.utils.dl_utils.',
        'torch.nn.',
    ),
    TEACHERS=('mmlgd.models.teachers.', 'mmpretrain.models.', 'mmcv.cnn.', 'torch.nn.'),
    WEIGHT_INITIALIZERS=('mmengine.model.weight_init',),
    TRANSFORMS=(
        'mmlgd.datasets.transforms.',
        'mmpretrain.datasets.transforms.processing',
        'mmpretrain.datasets.transforms.formatting',
        'mmcv.transforms.processing',
    ),
)
# VPD instantiates classes from another file; the others accept any name or expression.
_REFUSED = ('VPD', 'Albu', 'Albumentations', 'AlbuKeypoint')
# torchvision's transforms are not classes in the registry, and evaluate their `dtype`.
_TORCHVISION = ('torchvision/Resize', 'torchvision/CenterCrop')
_SOURCES = re.compile(r'://|^(hf[-_]hub|local-dir):')
_WEIGHTS = (
    'pretrained',
    'pretrained_cfg',
    'pretrained_cfg_overlay',
    'checkpoint_path',
    'cache_dir',
)
# Limits of the elements allocated while a part is built: about a ViT-g, more than any
# student, and twice the largest CLIP.
_MAX_ELEMENTS, _MAX_TEACHER = 2**30, 2**33
# Largest side in pixels, and largest scale factor, so that no step fills the memory.
_MAX_SIDE, _MAX_FACTOR = 4096, 16


def trusted_config(
    config: dict,
    path: str,
    kind: str = 'MODELS',
    scope: str | None = None,
) -> dict:
    """Check a config from a file, so that it may be built.

    Args:
        config (dict): Plain data.
        path (str): The file, for messages.
        kind (str): The registry of its type: 'MODELS' for parts of a student,
            'TRANSFORMS', or 'TEACHERS'. Defaults to 'MODELS'.
        scope (str, optional): Scope of types without prefix. Defaults to None: mmlgd's.

    Returns:
        dict: A copy without initial weights. A teacher keeps its weights, a local file
        or a tag of open_clip or timm; others are refused.

    Raises:
        CheckpointError: A type is not a name, belongs to another library, is unknown or
            of the wrong kind; or an option refers to a download.
    """
    try:
        return _check(config, kind, scope or 'mmlgd')
    except ValueError as error:
        raise CheckpointError(
            f'{path} contains a config that is not built, since nothing from a checkpoint '
            f'is executed, imported or downloaded: {error}. If you trust it, pass the '
            'config yourself; import the module of a custom type first.'
        ) from error


@contextmanager
def building(path: str, what: str, scope: str | None = None) -> Iterator[None]:
    """Add the file to the errors of constructors called with a config from it.

    Their allocations are limited, since a short config may request any size.

    Raises:
        MMLGDError: The body raised one; the file is added to its message.
        CheckpointError: The body raised another error.
    """
    try:
        limit = TensorBudget(_MAX_TEACHER if what == 'teacher' else _MAX_ELEMENTS)
        used_scope = DefaultScope.overwrite_default_scope(scope or 'mmlgd')
        # Networks of timm log their channels and strides.
        with used_scope, limit, only_warnings():
            yield
    except MMLGDError as error:
        if path in str(error):
            raise
        raise type(error)(f'{path}: its {what} cannot be built: {error}') from error
    except Exception as error:
        raise CheckpointError(
            f'{path}: its {what} cannot be built from the stored config '
            f'({describe_error(error)}); install the library releases it was '
            'trained with, or pass a config.'
        ) from error


def _check(value: object, kind: str, scope: str) -> Any:
    if isinstance(value, dict):
        scope = _check_scope(value.get('_scope_', scope))
        for key in ('type', 'norm_layer'):
            if key in value:
                _check_type(value[key], kind, scope, value)
        name = value.get('model_name')
        if name is not None and not re.fullmatch(r'[\w.+-]+', str(name)):
            raise ValueError(f'model_name={name!r} is not the name of a model')
        kept = _without_weights(value)
        own = value.get('pretrained', '')
        if kind == 'TEACHERS' and 'pretrained' in value and isinstance(own, str | None):
            kept['pretrained'] = own
        if kind == 'TEACHERS' and kept.keys() != value.keys():
            raise ValueError('a part of the teacher has its own initial weights')
        if kind == 'TRANSFORMS':
            _check_sizes(kept)
        kinds = dict(init_cfg='WEIGHT_INITIALIZERS')
        return {
            key: _check(item, kinds.get(key, kind), scope) for key, item in kept.items()
        }
    if isinstance(value, (list, tuple)):
        items = [_check(item, kind, scope) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, str) and _SOURCES.search(value):
        raise ValueError(f'{value[:100]!r} is a URL')
    return value


def _check_sizes(step: dict) -> None:
    """Refuse a transform that makes very large images."""
    for key, value in step.items():
        most = _MAX_FACTOR if key == 'scale_factor' else _MAX_SIDE
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, (int, float)) and abs(each) > most:
                raise ValueError(f'{key}={each} is more than {most}')


def _without_weights(config: dict) -> dict:
    """A copy without the options for initial weights."""
    kept = {key: value for key, value in config.items() if key not in _WEIGHTS}
    for key in ('init_cfg', 'override'):
        if key not in kept:
            continue
        entries = kept[key]
        several = isinstance(entries, (list, tuple))
        left = [
            entry
            for entry in (entries if several else [entries])
            if not (isinstance(entry, Mapping) and name_of(entry) == 'Pretrained')
        ]
        if left:
            kept[key] = left if several else left[0]
        else:
            del kept[key]
    return kept


def _check_scope(scope: object) -> str:
    known = {*SCOPES, *_roots.MODELS.children}
    if not isinstance(scope, str) or scope not in known:
        raise ValueError(f'the scope {str(scope)[:100]!r} is not one of {SCOPES}')
    return scope


def _check_type(name: object, kind: str, scope: str, config: dict) -> None:
    if not isinstance(name, str):
        raise ValueError(f'a type is a {type(name).__name__}, not a name')
    prefix, bare = Registry.split_scope_key(name)
    if bare in _TORCHVISION and kind == 'TRANSFORMS' and 'dtype' not in config:
        return
    if not bare.isidentifier():
        raise ValueError(f'type={name[:100]!r} is not the name of a registered class')
    scopes = [_check_scope(prefix)] if prefix else [scope, 'mmlgd', 'mmpretrain']
    found = [each for each in (_find(kind, each, bare) for each in scopes) if each]
    if not found:
        raise ValueError(f'type={name[:100]!r} is not in the registry of {kind}')
    for each in found:
        if not inspect.isclass(each) or not _is_allowed(each, kind):
            raise ValueError(f'type={name[:100]!r} is not allowed there')


def _find(kind: str, scope: str, name: str) -> object:
    """The class registered under a name; nothing is imported for the name."""
    root = _root(kind)
    if scope in SCOPES and scope not in ('mmengine', 'mmcv'):
        try:
            __import__(f'{scope}.registry')
        except ImportError:
            return None
    found = root.children.get(scope, root)
    found.import_from_location()
    return found.module_dict.get(name) or root.module_dict.get(name)


def _root(kind: str) -> Registry:
    return getattr(_roots, 'MODELS' if kind == 'TEACHERS' else kind)


def _is_allowed(cls: type, kind: str) -> bool:
    module = f'{cls.__module__}.'
    is_ours = module.split('.')[0] in (*SCOPES, 'torch', 'timm', 'transformers')
    return cls.__name__ not in _REFUSED and (
        not is_ours or module.startswith(_MODULES[kind])
    )
