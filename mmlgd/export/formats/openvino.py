"""Export to OpenVINO, for Intel CPUs, GPUs and NPUs."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

from .onnx import write_onnx


class OpenVinoFormat(GraphFormat):
    """A pair of files, .xml and .bin, with the input ``images`` of variable batch size.

    Args:
        dtype (str): 'float16' (of the weights in the file), 'float32', or 'int8', which
            needs calibration images and nncf. Defaults to 'float16'.
    """

    description = 'OpenVINO files (.xml and .bin)'
    dtypes = ('float16', 'float32', 'int8')
    packages = {'openvino': 'openvino', 'onnx': 'onnx'}
    extra = 'export_openvino'
    runtime = 'OpenVINO'
    suffixes = ('.xml',)
    companions = ('.bin',)
    batches = (1, 3)

    def __init__(self, dtype: str = 'float16') -> None:
        super().__init__(dtype)
        self._openvino = self.require('openvino')
        if self.is_quantised:
            self._nncf = self.require('nncf')

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, 'model.onnx')
            write_onnx(module, model, source)
            converted = self._openvino.convert_model(source)
        if self.is_quantised:
            images, _ = model.split_calibration()
            try:
                converted = self._quantise(converted, images)
            except ValueError as error:
                # nncf takes the 3 of Hardsigmoid for the bias of a convolution whose own
                # bias is zero.
                print_log(
                    f'Quantised without the bias correction of nncf ({error}).',
                    'current',
                    level=logging.WARNING,
                )
                converted = self._quantise(converted, images, False)
        for key, value in self.metadata(model).items():
            converted.set_rt_info(value, ['mmlgd', key])
        compress = self.dtype != 'float32'
        self._openvino.save_model(converted, path, compress_to_fp16=compress)

    def _quantise(
        self, converted: Any, images: torch.Tensor, correct_bias: bool = True
    ) -> Any:
        nncf = self._nncf
        # Linear attention divides sums of products of activations; 8 bits do not resolve
        # them.
        left = [
            each.get_friendly_name()
            for each in converted.get_ops()
            if each.get_type_name() == 'Divide' or _is_product_of_activations(each)
        ]
        # MIXED: asymmetric ranges of activations, as Hardswish and GELU need.
        return nncf.quantize(
            converted,
            nncf.Dataset([each.numpy() for each in images.split(1)]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=left),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=not correct_bias
            ),
        )

    def load(self, path: Path, model: ExportModel) -> Run:
        # CPUs with bfloat16 would use it otherwise.
        options = {'INFERENCE_NUM_THREADS': 1, 'INFERENCE_PRECISION_HINT': 'f32'}
        core = self._openvino.Core()
        # Without mmap, the files can be moved while they are loaded.
        compiled = core.compile_model(
            core.read_model(path, config={'ENABLE_MMAP': False}), 'CPU', options
        )
        return lambda images: list(compiled(images.numpy()).values())

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f"compiled = openvino.Core().compile_model({str(path)!r}, 'CPU')\n"
            f'{", ".join(model.output_names)}, = compiled(images).values()'
        )


def _is_product_of_activations(node: Any) -> bool:
    sources = [each.get_node().get_type_name() for each in node.input_values()]
    return node.get_type_name() == 'MatMul' and 'Constant' not in sources


FORMAT = OpenVinoFormat
