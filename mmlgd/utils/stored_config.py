"""Configs that come out of a file: what may be built of them.

mmengine imports what a config's ``type`` names, and a backbone's options may name
weights to fetch. A config of the user may do so; one that a checkpoint brings may not.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine import registry as _roots
from mmengine.registry import DefaultScope, Registry

from mmlgd.errors import CheckpointError, MMLGDError

from .plain_config import name_of
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
# VPD instantiates what another file names; the others take any name or expression.
_REFUSED = ('VPD', 'Albu', 'Albumentations', 'AlbuKeypoint')
# torchvision's are not classes in the registry, and evaluate their `dtype`.
_TORCHVISION = ('torchvision/Resize', 'torchvision/CenterCrop')
_SOURCES = re.compile(r'://|^(hf[-_]hub|local-dir):')
_WEIGHTS = (
    'pretrained',
    'pretrained_cfg',
    'pretrained_cfg_overlay',
    'checkpoint_path',
    'cache_dir',
)
# What may be allocated while a part is built, in elements: about a ViT-g, more than any
# student, and twice the largest CLIP.
_MAX_ELEMENTS, _MAX_TEACHER = 2**30, 2**33
# Pixels, and times. Also a picture of few pixels can be made one that fills the memory.
_MAX_SIDE, _MAX_FACTOR = 4096, 16


def trusted_config(
    config: dict,
    path: str,
    kind: str = 'MODELS',
    scope: str | None = None,
) -> dict:
    """Check a config that a file brought, so that it may be built.

    Args:
        config (dict): Plain data.
        path (str): The file, for messages.
        kind (str): The registry of its type: 'MODELS' for parts of a student,
            'TRANSFORMS', or 'TEACHERS'. Defaults to 'MODELS'.
        scope (str, optional): Of types without prefix. Defaults to None: mmlgd's.

    Returns:
        dict: A copy without the weights to start from. A teacher keeps its own, which
        are a local file or a tag of open_clip or timm; others are refused.

    Raises:
        CheckpointError: A type is not a name, is of a foreign library, is unknown or of
            the wrong kind; or an option names something to be fetched.
    """
    try:
        return _check(config, kind, scope or 'mmlgd')
    except ValueError as error:
        raise CheckpointError(
            f'{path} brings a config that is not built, since nothing that a checkpoint '
            f'names is executed, imported or fetched: {error}. If you trust it, pass the '
            'config yourself; import the module of a type of your own first.'
        ) from error


@contextmanager
def building(path: str, what: str, scope: str | None = None) -> Iterator[None]:
    """Name the file in whatever constructors raise on a config that it brought.

    What they allocate is limited, since a short config may ask for any size.

    Raises:
        MMLGDError: The body raised one; with the file in its message.
        CheckpointError: The body raised another error.
    """
    try:
        limit = TensorBudget(_MAX_TEACHER if what == 'teacher' else _MAX_ELEMENTS)
        with DefaultScope.overwrite_default_scope(scope or 'mmlgd'), limit:
            yield
    except MMLGDError as error:
        if path in str(error):
            raise
        raise type(error)(f'{path}: its {what} cannot be built: {error}') from error
    except Exception as error:
        reason = ' '.join(str(error).split())[:400]
        raise CheckpointError(
            f'{path}: its {what} cannot be built from the config it carries '
            f'({type(error).__name__}: {reason}); install the library releases it was '
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
            raise ValueError('a part of the teacher starts from weights of its own')
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
        raise ValueError(f'{value[:100]!r} is an address')
    return value


def _check_sizes(step: dict) -> None:
    """Refuse a step that makes very large pictures."""
    for key, value in step.items():
        most = _MAX_FACTOR if key == 'scale_factor' else _MAX_SIDE
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, (int, float)) and abs(each) > most:
                raise ValueError(f'{key}={each} is more than {most}')


def _without_weights(config: dict) -> dict:
    """A copy without what names weights to start from."""
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
            raise ValueError(f'type={name[:100]!r} does not belong there')


def _find(kind: str, scope: str, name: str) -> object:
    """The class that a registry knows by a name; nothing is imported for the name."""
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
