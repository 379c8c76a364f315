"""Export to ONNX, with any supported torch."""

import argparse
import inspect
import io
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

# onnxruntime does not guarantee support for older files.
_FIRST_OPSET = 7


class OnnxFormat(GraphFormat):
    """A model with the input ``images``, of variable batch size.

    Branches that only training needs (MobileOne, RepViT, ...) are merged.

    Args:
        opset (int): ONNX operator set. Defaults to 17.
        dtype (str): 'float32'; 'float16', whose input and outputs stay float32; or
            'int8', which needs calibration images. Defaults to 'float32'.
        per_tensor (bool): One scale for all channels of a weight in int8, for
            accelerators without scales per channel. Defaults to False.

    Raises:
        ConfigError: torch or onnxruntime does not support the operator set.
        DependencyError: onnx or onnxruntime is not installed.
    """

    description = 'an ONNX file of a backbone or of a zero-shot classifier'
    dtypes = ('float32', 'float16', 'int8')
    packages = {'onnx': 'onnx', 'onnxruntime': 'onnxruntime'}
    extra = 'export'
    runtime = 'ONNX'
    # The graph is traced with 2 images; other sizes reveal a constant batch size.
    batches = (1, 3)

    def __init__(
        self, opset: int = 17, dtype: str = 'float32', per_tensor: bool = False
    ) -> None:
        super().__init__(dtype)
        if per_tensor and not self.is_quantised:
            raise ConfigError("per_tensor is an option of dtype 'int8' only; omit it.")
        self.per_tensor = per_tensor
        self._onnx, self._runtime = self.require('onnx'), self.require('onnxruntime')
        self.opset, self.runtime = opset, f'ONNX with opset {opset}'
        if not self._is_supported(opset):
            newest = self._onnx.defs.onnx_opset_version()
            known = [n for n in range(1, newest + 1) if self._is_supported(n)]
            raise ConfigError(
                f'opset is {opset!r}, but torch {torch.__version__} and onnxruntime '
                f'{self._runtime.__version__} support {known[0]} to {known[-1]}.'
            )

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument('--opset', type=int, default=17, help='ONNX operator set')
        parser.add_argument(
            '--per-tensor',
            action='store_true',
            help='for int8: one scale for all channels of a weight',
        )

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        write_onnx(module, model, path, self.opset)
        contents = self._onnx.load(str(path))
        metadata = self.metadata(model)
        if self.dtype == 'float16':
            from onnxruntime.transformers.onnx_model import OnnxModel

            # Its converter inserts casts at the end; onnx needs them in order.
            converted = OnnxModel(contents)
            converted.convert_float_to_float16(
                use_symbolic_shape_infer=False, keep_io_types=True
            )
            converted.topological_sort()
            contents = converted.model
        elif self.is_quantised:
            from mmlgd.export.onnx_int8 import quantise

            calibration, held_out = model.split_calibration()
            metadata['calibration'] = quantise(
                path, path, calibration, held_out, not self.per_tensor
            )
            contents = self._onnx.load(str(path))
        self._onnx.helper.set_model_props(contents, metadata)
        self._onnx.checker.check_model(contents)
        self._onnx.save(contents, str(path))

    def load(self, path: Path, model: ExportModel) -> Run:
        from mmlgd.export.onnx_int8 import open_session, runner

        return runner(open_session(str(path)))

    def layer_cosines(
        self, path: Path, model: ExportModel, images: torch.Tensor
    ) -> dict[str, float]:
        from mmlgd.export.onnx_int8 import layer_cosines

        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, 'float.onnx')
            type(self)(self.opset).export(model, source)
            return layer_cosines(source, path, images)

    def advice(self) -> str:
        return 'try a higher opset'

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f'session = onnxruntime.InferenceSession({str(path)!r})\n'
            f'{", ".join(model.output_names)}, = session.run(None, dict(images=images))'
        )

    def _is_supported(self, opset: int) -> bool:
        """Whether torch and onnxruntime support an operator set, tried on an identity."""
        if type(opset) is not int or opset < _FIRST_OPSET:
            return False
        file = io.BytesIO()
        try:
            _trace(nn.Identity(), torch.zeros(1), file, ['x', 'y'], opset)
            self._runtime.InferenceSession(
                file.getvalue(), providers=['CPUExecutionProvider']
            )
        except Exception:  # RuntimeError, ValueError, or one of onnxruntime
            return False
        return True


def write_onnx(
    module: nn.Module, model: ExportModel, path: Path, opset: int = 17
) -> None:
    """Write a float32 file with the input ``images``."""
    names = ['images', *model.output_names]
    _trace(module, model.images(2), str(path), names, opset)


def _trace(
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


FORMAT = OnnxFormat
