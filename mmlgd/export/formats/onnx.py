"""Export to ONNX, with any supported torch."""

import argparse
import inspect
import io
import logging
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from mmengine.logging import print_log
from torch import nn

from mmlgd.errors import ConfigError, DependencyError
from mmlgd.export.branches import merge_branches
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run
from mmlgd.export.registry import ExportFormat

# onnxruntime does not guarantee support for older files.
_FIRST_OPSET = 7


class OnnxFormat(ExportFormat):
    """A model with the input ``images``, of variable batch size.

    Branches that only training needs (MobileOne, RepViT, ...) are merged.

    Args:
        opset (int): ONNX operator set. Defaults to 17.

    Raises:
        ConfigError: torch or onnxruntime does not support the operator set.
        DependencyError: onnx or onnxruntime is not installed.
    """

    description = 'an ONNX file of a backbone or of a zero-shot classifier'
    is_graph = True
    # The graph is traced with 2 images; other sizes reveal a constant batch size.
    batches = (1, 3)

    def __init__(self, opset: int = 17) -> None:
        self._onnx, self._runtime = _require('onnx'), _require('onnxruntime')
        self.opset = opset
        if not self._is_supported(opset):
            newest = self._onnx.defs.onnx_opset_version()
            known = [n for n in range(1, newest + 1) if self._is_supported(n)]
            raise ConfigError(
                f'opset is {opset!r}, but torch {torch.__version__} and onnxruntime '
                f'{self._runtime.__version__} support {known[0]} to {known[-1]}.'
            )

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('--opset', type=int, default=17, help='ONNX operator set')

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
        names = ['images', *model.output_names]
        try:
            _write(module, model.images(2), str(path), names, self.opset)
            contents = self._onnx.load(str(path))
            self._onnx.helper.set_model_props(contents, model.metadata)
            self._onnx.checker.check_model(contents)
        except Exception as error:  # torch has no common base class of export errors
            reason = ' '.join(str(error).split())[:400]
            raise ConfigError(
                f'{model.name} cannot be exported to ONNX with opset {self.opset} '
                f'({type(error).__name__}: {reason}); try a higher opset.'
            ) from error
        self._onnx.save(contents, str(path))

    def load(self, path: Path, model: ExportModel) -> Run:
        session = self._session(str(path))
        return lambda images: session.run(None, {'images': images.numpy()})

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f'session = onnxruntime.InferenceSession({str(path)!r})\n'
            f'{", ".join(model.output_names)}, = session.run(None, dict(images=images))'
        )

    def _session(self, source: str | bytes):
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3  # no hints on old operator sets
        return self._runtime.InferenceSession(
            source, options, providers=['CPUExecutionProvider']
        )

    def _is_supported(self, opset: int) -> bool:
        """Whether torch and onnxruntime support an operator set, tried on an identity."""
        if type(opset) is not int or opset < _FIRST_OPSET:
            return False
        file = io.BytesIO()
        try:
            _write(nn.Identity(), torch.zeros(1), file, ['x', 'y'], opset)
            self._session(file.getvalue())
        except Exception:  # RuntimeError, ValueError, or one of onnxruntime
            return False
        return True


def _write(
    module: nn.Module,
    example: torch.Tensor,
    file: str | io.BytesIO,
    names: list[str],
    opset: int,
) -> None:
    # The tracing exporter needs no other package and exists in every supported torch.
    # From 2.5 on it is not the default.
    parameters = inspect.signature(torch.onnx.export).parameters
    tracing = dict(dynamo=False) if 'dynamo' in parameters else {}
    with warnings.catch_warnings():
        # Shapes other than the batch size are constant on purpose.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            module,
            (example,),
            file,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: 'batch'} for name in names},
            opset_version=opset,
            **tracing,
        )


def _require(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyError(
            f'The ONNX export needs {name}, which is not installed; run `pip install '
            'onnx onnxruntime`.'
        ) from error


FORMAT = OnnxFormat
