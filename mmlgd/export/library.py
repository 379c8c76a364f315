"""Formats that are the weights of another library's own model."""

import argparse
import copy
import inspect
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint import ORIGIN_KEYS

from .branches import merge_branches
from .key_names import Namer, changed_options, check_only, parse_keys, refuse
from .model import ExportModel, as_tuple
from .parity import Run
from .registry import ExportFormat

_FAMILIES = ('ResNet', 'MobileNetV2', 'MobileNetV3', 'EfficientNet')
#: Layers after the feature maps, which the file may not contain. conv_head belongs to
#: the classifier of timm's MobileNetV3: it follows the pooling.
_CLASSIFIER = ('fc.', 'classifier.', 'conv_head.')


@dataclass(frozen=True)
class Target:
    """A model of another library with the same features.

    Attributes:
        model (str): Type in a config, or name of the model in the library.
        arguments (dict): Arguments of the model that differ from its defaults.
        namer (Namer, optional): Returns the model's keys. Defaults to None: unchanged.
        prefix (str): Prefix of the keys in the file. Defaults to ''.
        removed (str): Prefix of the backbone's keys to remove. Defaults to ''.
        last (int, optional): Index, in the backbone, of the model's last feature map.
            Defaults to None: the default of the backbone's out_indices.
        check (dict): Further arguments for the comparison of the last feature map.
        steps (tuple[str, ...]): Code to run on ``model`` before the weights are loaded.
        is_same (bool): Whether it is the same model, so that all outputs are compared.
    """

    model: str
    arguments: dict = field(default_factory=dict)
    namer: Namer | None = None
    prefix: str = ''
    removed: str = ''
    last: int | None = None
    check: dict = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    is_same: bool = False

    def rename(self, keys: Iterable[str]) -> dict[str, str]:
        """Map the keys of a backbone to those of the target.

        Args:
            keys (Iterable[str]): Keys of the backbone, in order, without prefix.

        Returns:
            dict[str, str]: Old to new key. Keys without a layer in the target are
            omitted.
        """
        if self.namer is None:
            return {key: self.prefix + key.removeprefix(self.removed) for key in keys}
        names = {key: self.namer(each) for key, each in parse_keys(keys).items()}
        return {key: name for key, name in names.items() if name}


class LibraryFormat(ExportFormat):
    """The state dict of another library's model, with the target in ``meta``.

    A subclass overrides :meth:`target`. For a library outside of OpenMMLab, it also
    overrides :meth:`build`, :meth:`features` and :meth:`usage`.

    Args:
        fuse (bool): Merge the branches that only training needs. Defaults to False.

    Attributes:
        library (str): Import name of the library.
    """

    library = ''

    def __init__(self, fuse: bool = False) -> None:
        self.fuse = fuse

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--fuse',
            action='store_true',
            help='merge the branches that only training needs (MobileOne, RepViT, ...)',
        )

    def target(self, model: ExportModel) -> Target:
        """Find the model of the library with the features of a backbone.

        Raises:
            ConfigError: The library has no such model, or its features would differ.
        """
        raise NotImplementedError

    def check(self, model: ExportModel) -> None:
        super().check(model)
        if self.fuse and self.weights(model).keys() == model.module.state_dict().keys():
            raise ConfigError(
                f'{model.name} has no branches to merge; export it without fuse.'
            )
        self.target(model)

    def weights(self, model: ExportModel) -> dict[str, torch.Tensor]:
        """The backbone's state dict, fused if requested."""
        module = merge_branches(model.module) if self.fuse else model.module
        return module.state_dict()

    def export(self, model: ExportModel, path: Path) -> None:
        target, state = self.target(model), self.weights(model)
        target_meta = dict(
            library=self.library, model=target.model, arguments=target.arguments
        )
        if target.steps:
            target_meta['steps'] = list(target.steps)
        origin = {key: getattr(model.record, key) for key in ORIGIN_KEYS}
        meta = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in origin.items()
            if value is not None
        }
        names = target.rename(state)
        contents = dict(
            state_dict={new: state[old] for old, new in names.items()},
            meta=dict(meta, backbone=model.config, target=target_meta),
        )
        torch.save(contents, path)

    def load(self, path: Path, model: ExportModel) -> Run | None:
        try:
            import_module(self.library)
        except Exception as error:  # missing, or incompatible with installed packages
            print_log(
                f'{self.library} cannot be imported ({error}), so the features of the '
                'exported file were not compared with those of the student.',
                'current',
                level=logging.WARNING,
            )
            return None
        target = self.target(model)
        module = self.build(target)
        state = torch.load(path, map_location='cpu', weights_only=True)['state_dict']
        state = {key.removeprefix(target.prefix): each for key, each in state.items()}
        missing, unexpected = module.load_state_dict(state, strict=False)
        wrong = unexpected + [k for k in missing if not k.startswith(_CLASSIFIER)]
        if wrong:
            raise CheckpointError(
                f'The weights do not fit {target.model} of the installed {self.library}: '
                f'{", ".join(wrong[:3])}; install the release that has this model.'
            )
        module.eval()
        maps = as_tuple if target.is_same else lambda maps: as_tuple(maps)[-1:]
        return lambda images: maps(self.features(module, images))

    def reference(self, model: ExportModel) -> Run:
        target = self.target(model)
        if target.is_same:
            return model.outputs
        module, last = copy.deepcopy(model.module), target.last
        if last is None:
            last = inspect.signature(type(module)).parameters['out_indices'].default
        if last is None:  # MobileNetV3: depends on arch
            last = len(module.layers) - 1
        module.out_indices = last if isinstance(last, tuple) else (last,)
        return lambda images: module(images)[-1:]

    def build(self, target: Target) -> nn.Module:
        """Build the library's model with random weights."""
        arguments = {**target.arguments, **target.check}
        return MODELS.build(dict(type=target.model, **arguments))

    def features(self, module: nn.Module, images: torch.Tensor) -> object:
        """Outputs to compare: all, or several whose last one is compared."""
        return module(images)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        target = self.target(model)
        prefix = f', prefix={target.prefix!r}' if target.prefix else ''
        options = ''.join(
            f'{key}={value!r}, ' for key, value in target.arguments.items()
        )
        return (
            f'backbone=dict(type={target.model!r}, {options}init_cfg=dict('
            f"type='Pretrained', checkpoint={str(path)!r}{prefix}))"
        )


def family_of(model: ExportModel, library: str) -> str:
    """Class name of a backbone of a family that other libraries have.

    Raises:
        ConfigError: It is not of such a family.
    """
    module = type(model.module).__module__
    if model.name not in _FAMILIES or not module.startswith('mmpretrain.'):
        known = f'only {", ".join(_FAMILIES)} of mmpretrain are supported'
        refuse(model.name, library, known)
    return model.name


def load_lines(call: str, target: Target, path: str | Path) -> str:
    """Python code that builds a model and loads the file into it."""
    lines = [f'model = {call}', *target.steps]
    strict = '' if target.is_same else ', strict=False'
    if strict:
        lines.append('# The classifier is not in the file.')
    lines.append(
        f"model.load_state_dict(torch.load({str(path)!r})['state_dict']{strict})"
    )
    return '\n'.join(lines)


def shared_options_target(
    model: ExportModel, library: str, shared: dict[str, tuple[str, ...]], **kwargs
) -> Target:
    """The model of mmdet or mmseg with the same name as in mmpretrain.

    Args:
        model (ExportModel): The backbone.
        library (str): 'mmdet' or 'mmseg'.
        shared (dict): Options with the same meaning, by family.
        **kwargs: Further fields of :class:`Target`.

    Raises:
        ConfigError: An option has no equivalent there.
    """
    options = changed_options(model.config, type(model.module))
    check_only(model.name, library, options, shared[model.name])
    return Target(f'{library}.{model.name}', options, **kwargs)
