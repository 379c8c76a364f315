"""Export to ExecuTorch with XNNPACK, for Android and iOS."""

from pathlib import Path

import torch
from torch import nn

from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

from .torch_export import one_by_one


class ExecuTorchFormat(GraphFormat):
    """A program (.pte) of one image for XNNPACK, the CPU backend."""

    description = 'an ExecuTorch program for XNNPACK (.pte), for one image'
    packages = {'executorch': 'executorch.exir'}
    extra = 'export_executorch'
    runtime = 'ExecuTorch'
    suffixes = ('.pte',)
    batches = (1,)

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
            XnnpackPartitioner,
        )
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(module, (model.images(1),))
        lowered = to_edge_transform_and_lower(
            program, partitioner=[XnnpackPartitioner()]
        )
        path.write_bytes(lowered.to_executorch().buffer)
        self.write_metadata(model, path)

    def load(self, path: Path, model: ExportModel) -> Run:
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(path.read_bytes())
        method = program.load_method('forward')
        # The outputs are overwritten by the next call.
        return one_by_one(
            lambda image: [each.clone() for each in method.execute([image])]
        )

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f'program = executorch.runtime.Runtime.get().load_program({str(path)!r})\n'
            "outputs = program.load_method('forward').execute([images])"
        )


FORMAT = ExecuTorchFormat
