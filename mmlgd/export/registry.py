"""What a format is, where formats are found, and how one is written and checked."""

import argparse
import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.atomic import check_output_file, replace_file
from mmlgd.utils.suggest import suggest

from . import formats
from .model import ExportModel
from .parity import TOLERANCE, Run, compare


class ExportFormat:
    """One format; a module of ``formats/`` names its class ``FORMAT``.

    ``__init__`` takes the format's own options and checks them, before a model is loaded.

    Attributes:
        description (str): A line for the help.
        is_graph (bool): Whether the file holds the computation, so that any model can be
            written; else it holds the weights of a backbone.
        batches (tuple[int, ...]): Batch sizes that the file is checked with.
    """

    description = ''
    is_graph = False
    batches: tuple[int, ...] = (2,)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add options of the command line, named as those of ``__init__``."""

    def check(self, model: ExportModel) -> None:
        """Refuse a model that the format cannot hold.

        Raises:
            ConfigError: Says why.
        """

    def export(self, model: ExportModel, path: Path) -> None:
        """Write a model that :meth:`check` has let pass."""
        raise NotImplementedError

    def load(self, path: Path, model: ExportModel) -> Run | None:
        """The written file, ready to run; None where what runs it is not installed."""
        raise NotImplementedError

    def reference(self, model: ExportModel) -> Run:
        """What :meth:`load` must equal."""
        return model.outputs

    def usage(self, model: ExportModel, path: str | Path) -> str:
        """Code that uses the file."""
        raise NotImplementedError


class Exported(NamedTuple):
    """A written and checked file.

    Attributes:
        path (Path): The file.
        difference (float | None): Largest one between the student's outputs and those of
            the file; None where the library that runs it is not installed, so that
            nothing was compared.
        usage (str): Code that uses it.
    """

    path: Path
    difference: float | None
    usage: str


def format_names() -> list[str]:
    """All formats: the modules of ``formats/``."""
    return sorted(module.name for module in pkgutil.iter_modules(formats.__path__))


def find_format(name: str) -> type[ExportFormat]:
    """The class of a format.

    Raises:
        ConfigError: There is no such format.
    """
    if name not in format_names():
        raise ConfigError(
            f'There is no export format {name!r}, only {", ".join(format_names())}.'
            f'{suggest(str(name), format_names())}'
        )
    return import_module(f'{formats.__name__}.{name}').FORMAT


def build_format(name: str, out: str | Path, options: dict) -> ExportFormat:
    """A format with its options, once it is known that the file can be written.

    Raises:
        ConfigError: An unknown format, option or value, or a file that cannot be written.
        DependencyError: A package that writes it is not installed.
    """
    cls = find_format(name)
    known = option_names(cls)
    for option in options:
        if option not in known:
            raise ConfigError(
                f'The format {name} has no option {option!r}, only '
                f'{", ".join(known) or "none"}.{suggest(option, known)}'
            )
    check_output_file(out, 'out')
    return cls(**options)


def option_names(cls: Callable) -> list[str]:
    """The options of a format's class."""
    return list(inspect.signature(cls).parameters)


@torch.no_grad()
def export_model(model: ExportModel, form: ExportFormat, out: str | Path) -> Exported:
    """Write a model, and compare the file with it before it gets its name.

    Args:
        model (ExportModel): Backbone or classifier.
        form (ExportFormat): From :func:`build_format`.
        out (str | Path): File to write.

    Raises:
        ConfigError: The format cannot hold the model.
        CheckpointError: The file differs from the model; it is not kept.
    """
    form.check(model)
    with replace_file(out) as part:
        form.export(model, part)
        found = form.load(part, model)
        difference = None
        if found is not None:
            batches = [model.images(batch) for batch in form.batches]
            expected = form.reference(model)
            difference = compare(expected, found, batches, model.is_probability)
            if difference > TOLERANCE:
                raise CheckpointError(
                    f'{out} was not written: as {type(form).__name__}, {model.name} '
                    f'differs from the student by {difference:.2g}, more than '
                    f'{TOLERANCE}; try other options or releases of the library.'
                )
    return Exported(Path(out), difference, form.usage(model, out))
