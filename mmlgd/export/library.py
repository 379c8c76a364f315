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
from .key_names import Namer, changed_options, check_only, places, refuse
from .model import ExportModel, as_tuple
from .parity import Run
from .registry import ExportFormat

_FAMILIES = ('ResNet', 'MobileNetV2', 'MobileNetV3', 'EfficientNet')
#: Layers after the feature maps, which may be missing in the file. timm's MobileNetV3 has one
#: behind its pooling, a part of its classifier.
_CLASSIFIER = ('fc.', 'classifier.', 'conv_head.')


@dataclass(frozen=True)
class Target:
    """A model of another library that gives the same features.

    Attributes:
        model (str): The type in a config, or the name that the library builds by.
        arguments (dict): What it must be built with; all else is its default.
        namer (Namer, optional): Writes its keys. Defaults to None: they are ours.
        prefix (str): Before each of its keys in the file. Defaults to none.
        removed (str): What our keys begin with and its do not. Defaults to none.
        last (int, optional): Our index of the last feature map that it has. Defaults to
            None: the backbone's own default.
        check (dict): Further arguments with which its last output is that map.
        steps (tuple[str, ...]): Calls on ``model`` before the weights fit.
        is_same (bool): Whether it is our very model, so that all outputs are compared.
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
        """Names of a backbone's keys in the target.

        Args:
            keys (Iterable[str]): Of our model, in its order, no prefix.

        Returns:
            dict[str, str]: Old to new name. A key that the target has no layer for
            is omitted.
        """
        if self.namer is None:
            return {key: self.prefix + key.removeprefix(self.removed) for key in keys}
        names = {key: self.namer(place) for key, place in places(keys).items()}
        return {key: name for key, name in names.items() if name}


class LibraryFormat(ExportFormat):
    """The state dict of another library's model, with ``meta`` that says what to build.

    A format overrides :meth:`target`; one of another family of libraries than
    OpenMMLab's also how its models are built, run and used.

    Args:
        fuse (bool): Merge the branches that only training needs. Defaults to False.

    Attributes:
        library (str): Name it is imported under.
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
        """Find the model that computes what a backbone does.

        Raises:
            ConfigError: The library has no such model, or none that gives equal
                features; the message says why.
        """
        raise NotImplementedError

    def check(self, model: ExportModel) -> None:
        if not model.config or model.input_type is not None:
            raise ConfigError(
                f'A file for {self.library} holds the weights of a backbone, so neither a '
                'classifier nor the preprocessing can be in it; export a backbone without '
                'fold_preprocessing, or to onnx.'
            )
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
        except Exception as error:  # absent, or refusing another library's release
            print_log(
                f'{self.library} cannot be imported ({error}), so it was not checked that '
                'its features equal those of the student.',
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
        if last is None:  # MobileNetV3's, which has as many as its arch
            last = len(module.layers) - 1
        module.out_indices = last if isinstance(last, tuple) else (last,)
        return lambda images: module(images)[-1:]

    def build(self, target: Target) -> nn.Module:
        """Build the library's model with random weights."""
        arguments = {**target.arguments, **target.check}
        return MODELS.build(dict(type=target.model, **arguments))

    def features(self, module: nn.Module, images: torch.Tensor) -> object:
        """What is compared: all outputs, or several of which the last is."""
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
    """Name of a backbone's class, one of the families that are known elsewhere.

    Raises:
        ConfigError: It is not.
    """
    module = type(model.module).__module__
    if model.name not in _FAMILIES or not module.startswith('mmpretrain.'):
        known = f'only {", ".join(_FAMILIES)} of mmpretrain can be'
        refuse(model.name, library, known)
    return model.name


def load_lines(call: str, target: Target, path: str | Path) -> str:
    """Python that builds a model by a call and loads the file into it."""
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
    """The model of mmdet or mmseg that has the same name as mmpretrain's.

    Args:
        model (ExportModel): The backbone.
        library (str): 'mmdet' or 'mmseg'.
        shared (dict): For each family the options that mean the same.
        **kwargs: Further fields of :class:`Target`.

    Raises:
        ConfigError: An option has no equal there.
    """
    options = changed_options(model.config, type(model.module))
    check_only(model.name, library, options, shared[model.name])
    return Target(f'{library}.{model.name}', options, **kwargs)
