"""Export to ExecuTorch with XNNPACK, for ARM and x86 CPUs of phones."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

from .torch_export import one_by_one


class ExecuTorchFormat(GraphFormat):
    """A program (.pte) for one image, whose layers XNNPACK computes.

    A release of ExecuTorch runs with one release of torch: 1.2 with 2.11.

    Args:
        dtype (str): 'float32', or 'int8', which needs calibration images: weights with a
            scale per output channel, activations per tensor. Defaults to 'float32'.
    """

    description = 'an ExecuTorch program (.pte) with XNNPACK, for one image'
    dtypes = ('float32', 'int8')
    packages = {'executorch': 'executorch.exir'}
    extra = 'export_executorch'
    runtime = 'ExecuTorch'
    suffixes = ('.pte',)
    batches = (1,)

    def check(self, model: ExportModel) -> None:
        super().check(model)
        if model.input_type is not None:
            raise ConfigError(
                'The XNNPACK partition of ExecuTorch fails on folded preprocessing; omit '
                'fold_preprocessing and normalise the images in the application.'
            )

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        package = self.require('executorch')
        exir = self.require('executorch.exir')
        xnnpack = self.require(
            'executorch.backends.xnnpack.partition.xnnpack_partitioner'
        )
        # Otherwise it looks for the compiler of its files in PATH, which contains the
        # environment's programs only while this is activated.
        compiler = Path(package.__path__[0], 'data/bin/flatc')
        if compiler.is_file():
            os.environ.setdefault('FLATC_EXECUTABLE', str(compiler))
        example = (model.images(1),)
        program = torch.export.export(module, example)
        if self.is_quantised:
            images, _ = model.split_calibration()
            quantised = self._quantise(program.module(), images)
            program = torch.export.export(quantised, example)
        edge = exir.to_edge_transform_and_lower(
            program, partitioner=[xnnpack.XnnpackPartitioner()]
        )
        path.write_bytes(edge.to_executorch().buffer)
        self.write_metadata(model, path)

    def _quantise(self, module: nn.Module, images: torch.Tensor) -> nn.Module:
        folder = 'executorch.backends.xnnpack.quantizer.xnnpack_quantizer'
        xnnpack = self.require(folder)
        steps = self.require('torchao.quantization.pt2e.quantize_pt2e', 'torchao')
        quantizer = xnnpack.XNNPACKQuantizer().set_global(
            xnnpack.get_symmetric_quantization_config(is_per_channel=True)
        )
        prepared = steps.prepare_pt2e(module, quantizer)
        for image in images.split(1):
            prepared(image)
        return steps.convert_pt2e(prepared)

    def load(self, path: Path, model: ExportModel) -> Run:
        runtime = self.require('executorch.runtime')
        library: Any = self.require('executorch.extension.pybindings.portable_lib')
        library._unsafe_reset_threadpool(1)
        contents = path.read_bytes()
        program = runtime.Runtime.get().load_program(contents)
        method = program.load_method('forward')

        # The method reads both, but does not keep them alive.
        def run(image: torch.Tensor, alive: tuple = (contents, program)) -> list:
            # Its outputs are overwritten by the next call.
            return [each.clone() for each in method.execute([image])]

        return one_by_one(run)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f'program = executorch.runtime.Runtime.get().load_program({str(path)!r})\n'
            f'{", ".join(model.output_names)}, = '
            "program.load_method('forward').execute([image])"
        )


FORMAT = ExecuTorchFormat
