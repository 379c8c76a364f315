"""Formats whose files contain the computation, in one of several dtypes."""

import argparse
import json
import logging
from importlib import import_module
from pathlib import Path
from types import ModuleType

from mmengine.logging import print_log
from torch import nn

from mmlgd.errors import ConfigError, DependencyError, MMLGDError
from mmlgd.utils.printable import describe_error

from .branches import merge_branches
from .model import ExportModel
from .registry import ExportFormat

#: Largest accepted difference, relative to the largest value. int8 is compared on images.
_TOLERANCES = {'float32': 1e-4, 'float16': 0.05, 'int8': float('inf')}


class GraphFormat(ExportFormat):
    """Base class of formats for a runtime.

    A subclass lists its dtypes and packages, and overrides :meth:`write` and ``load``.

    Args:
        dtype (str, optional): Of the weights, and for int8 of the activations. Defaults
            to None: the first of :attr:`dtypes`.

    Attributes:
        dtypes (tuple[str, ...]): Supported dtypes, the default first.
        packages (dict[str, str]): Modules to import, by the name of their distribution.
        extra (str): Extra of mmlgd that installs the packages.
        runtime (str): What the format is called in messages.

    Raises:
        ConfigError: The dtype is not supported.
        DependencyError: A package is not installed.
    """

    is_graph = True
    dtypes: tuple[str, ...] = ('float32',)
    packages: dict[str, str] = {}
    extra = ''
    runtime = ''

    def __init__(self, dtype: str | None = None) -> None:
        self.dtype = dtype or self.dtypes[0]
        if self.dtype not in self.dtypes:
            raise ConfigError(
                f'{self.runtime} has no dtype {dtype!r}; use {" or ".join(self.dtypes)}.'
            )
        self.tolerance = _TOLERANCES[self.dtype]
        self.is_quantised = self.dtype == 'int8'
        for distribution, module in self.packages.items():
            self.require(module, distribution)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--dtype', choices=cls.dtypes, default=cls.dtypes[0], help='of the weights'
        )

    def require(self, module: str, distribution: str | None = None) -> ModuleType:
        """Import a package of the format.

        Raises:
            DependencyError: It is not installed, or cannot be imported.
        """
        try:
            return import_module(module)
        except ImportError as error:
            raise DependencyError(
                f'The {self.runtime} export needs {distribution or module}, which cannot '
                f"be imported ({error}); run `pip install 'mmlgd[{self.extra}]'`, or in a "
                f'clone `pip install -r requirements/{self.extra}.txt`.'
            ) from error

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        """Write a module with merged branches; any error is reported by the caller."""
        raise NotImplementedError

    def export(self, model: ExportModel, path: Path) -> None:
        try:
            module = merge_branches(model.module)
        except ConfigError as error:
            print_log(
                f'{error} They are exported unmerged.',
                'current',
                level=logging.WARNING,
            )
            module = model.module
        try:
            self.write(module, model, path)
        except MMLGDError:
            raise
        except Exception as error:  # converters have no common base class of errors
            raise ConfigError(
                f'{model.name} cannot be exported to {self.runtime} '
                f'({describe_error(error)}); {self.advice()}.'
            ) from error

    def advice(self) -> str:
        """What to try if a model cannot be converted."""
        return 'use another format, or a backbone without this operator'

    def metadata(self, model: ExportModel) -> dict[str, str]:
        """Metadata for users of the file."""
        return {
            **model.metadata,
            'dtype': self.dtype,
            'image_size': json.dumps(model.image_size),
            'outputs': json.dumps(model.output_names),
        }

    def write_metadata(self, model: ExportModel, path: Path) -> None:
        """Write ``<file>.json`` beside a file that cannot contain metadata."""
        text = json.dumps(self.metadata(model), indent=2) + '\n'
        path.with_name(f'{path.name}.json').write_text(text)
