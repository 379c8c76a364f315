"""Base class of export formats, and how a format is found, written and checked."""

import argparse
import inspect
import math
import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch

from mmlgd.errors import CheckpointError, ConfigError, MMLGDError
from mmlgd.utils.atomic import check_output_file, replace_group
from mmlgd.utils.printable import describe_error
from mmlgd.utils.suggest import suggest

from . import formats
from .check import CheckResult
from .model import ExportModel
from .parity import Run, compare, cosines, run_all

#: A quantised file below this mean cosine is wrong rather than inaccurate.
MIN_COSINE = 0.8
#: Accepted multiple of the rounding errors that the student itself has in float32. Some
#: activations on noise are thousands, and other orders of summation are as good.
_ROUNDING = 10


class ExportFormat:
    """Base class of a format; its module in ``formats/`` assigns the class to ``FORMAT``.

    ``__init__`` has the options of the format and checks them before a model is loaded.

    Attributes:
        description (str): One line for the help.
        is_graph (bool): Whether the file contains the computation, so that any model can
            be exported; otherwise it contains the weights of a backbone.
        batches (tuple[int, ...]): Batch sizes of the comparison with the student.
        suffixes (tuple[str, ...]): Accepted suffixes of the file; empty for any.
        companions (tuple[str, ...]): Suffixes of the files beside it that are needed to
            run it.
        tolerance (float): Largest accepted difference.
        is_quantised (bool): Whether calibration images are needed.
        is_folder (bool): Whether the "file" is a folder.
        runs_here (bool): Whether there is a library that runs the file on this machine.
        unchecked (str): Why :meth:`load` returns None.
    """

    description = ''
    is_graph = False
    batches: tuple[int, ...] = (2,)
    suffixes: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    tolerance = 1e-4
    is_quantised = False
    is_folder = False
    runs_here = True
    unchecked = 'the library that runs it is not installed'

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add command-line options, named as the arguments of ``__init__``."""

    def check(self, model: ExportModel) -> None:
        """Refuse a model that the format does not support.

        An override calls this method first.

        Raises:
            ConfigError: The file contains weights, and the model is not only a backbone.
        """
        if not self.is_graph and (not model.config or model.input_type is not None):
            raise ConfigError(
                f'A file of {type(self).__name__} contains the weights of a backbone '
                'only, neither a classifier nor preprocessing; export a backbone without '
                'fold_preprocessing, or export to onnx.'
            )

    def can_export(self, model: ExportModel) -> bool:
        """Whether the format supports a model; :meth:`check` says why not."""
        try:
            self.check(model)
        except ConfigError:
            return False
        return True

    def export(self, model: ExportModel, path: Path) -> None:
        """Write a model that passed :meth:`check`.

        The folder of ``path`` is empty; all that is written there belongs to the file.
        """
        raise NotImplementedError

    def load(self, path: Path, model: ExportModel) -> Run | None:
        """Load the file to run it; None if it cannot be run here, see ``unchecked``."""
        raise NotImplementedError

    def reference(self, model: ExportModel) -> Run:
        """Expected outputs of :meth:`load`."""
        return model.outputs

    def files(self, path: Path) -> list[Path]:
        """The file, and those beside it that are needed to run it."""
        return [path, *(path.with_suffix(suffix) for suffix in self.companions)]

    def layer_cosines(
        self, path: Path, model: ExportModel, images: torch.Tensor
    ) -> dict[str, float]:
        """Cosine of each layer's output with float32; empty if it cannot be computed."""
        return {}

    def usage(self, model: ExportModel, path: str | Path) -> str:
        """Code that loads the file."""
        raise NotImplementedError


class Exported(NamedTuple):
    """A written and checked file.

    Attributes:
        path (Path): The file.
        difference (float | None): Largest difference between the outputs of the student
            and of the file; None if they were not compared, since the library that runs
            the file is not installed, or since the file is quantised.
        usage (str): Code that loads the file.
        cosine (float | None): Mean cosine between the outputs of the student and of a
            quantised file, on calibration images that did not set its ranges.
        check (CheckResult | None): The check on images, if there was one.
    """

    path: Path
    difference: float | None
    usage: str
    cosine: float | None = None
    check: CheckResult | None = None


def format_names() -> list[str]:
    """Names of all formats, which are the modules of ``formats/``."""
    return sorted(module.name for module in pkgutil.iter_modules(formats.__path__))


def find_format(name: str) -> type[ExportFormat]:
    """The class of a format.

    Raises:
        ConfigError: The format is unknown.
    """
    if name not in format_names():
        raise ConfigError(
            f'Unknown export format {name!r}; known are {", ".join(format_names())}.'
            f'{suggest(str(name), format_names())}'
        )
    return import_module(f'{formats.__name__}.{name}').FORMAT


def build_format(name: str, out: str | Path, options: dict) -> ExportFormat:
    """Build a format with its options, and check that the file can be written.

    Raises:
        ConfigError: Unknown format or option, invalid value, or a file that cannot be
            written.
        DependencyError: A package that the format needs is not installed.
    """
    cls = find_format(name)
    known = option_names(cls)
    for option in options:
        if option not in known:
            raise ConfigError(
                f'The format {name} has no option {option!r}; its options: '
                f'{", ".join(known) or "none"}.{suggest(option, known)}'
            )
    check_output_file(out, 'out', cls.suffixes, cls.is_folder)
    return cls(**options)


def option_names(cls: Callable) -> list[str]:
    """Names of the options of a format."""
    return list(inspect.signature(cls).parameters)


@torch.no_grad()
def export_model(model: ExportModel, form: ExportFormat, out: str | Path) -> Exported:
    """Export a model, and compare the file with the student before it is kept.

    Args:
        model (ExportModel): Backbone or classifier.
        form (ExportFormat): From :func:`build_format`.
        out (str | Path): File to write.

    Raises:
        ConfigError: The format does not support the model.
        CheckpointError: The file cannot be loaded or run, its outputs differ, or those
            of a quantised file have a mean cosine below :data:`MIN_COSINE`; the file is
            not kept.
    """
    form.check(model)
    difference = cosine = None
    with replace_group(out) as part:
        form.export(model, part)
        try:
            found = form.load(part, model)
        except MMLGDError:
            raise
        except Exception as error:  # depends on the runtime
            raise CheckpointError(
                f'{out} was not written: its runtime cannot load it '
                f'({describe_error(error)}); use another dtype or format, or '
                'other releases of the library.'
            ) from error
        if found is not None:
            batches = [model.images(batch) for batch in form.batches]
            expected = form.reference(model)
            difference = compare(expected, found, batches, model.is_probability)
            tolerance = form.tolerance
            if difference > tolerance:
                tolerance = max(tolerance, _ROUNDING * model.rounding_error(batches))
            if difference > tolerance or math.isinf(difference):
                raise CheckpointError(
                    f'{out} was not written: the outputs of {model.name} as '
                    f'{type(form).__name__} differ from those of the student by '
                    f'{difference:.2g}, more than {tolerance:.2g}; try other options or '
                    'other releases of the library.'
                )
            if form.is_quantised:
                _, images = model.split_calibration()
                rows = cosines(run_all(expected, images), run_all(found, images))
                difference, cosine = None, rows.mean().item()
                if not cosine >= MIN_COSINE:
                    raise CheckpointError(
                        f'{out} was not written: on held-out calibration images, the mean '
                        f'cosine of its outputs with those of {model.name} is only '
                        f'{cosine:.3f}; use float16, another format, or more calibration '
                        'images.'
                    )
    return Exported(Path(out), difference, form.usage(model, out), cosine)
