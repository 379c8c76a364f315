"""Export by torch.export, for converters and AOTInductor."""

from pathlib import Path

import torch
from torch import nn

from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel, as_tuple
from mmlgd.export.parity import Run


class TorchExportFormat(GraphFormat):
    """An exported program (.pt2) of one image, with the metadata as extra files."""

    description = 'an exported program of torch.export (.pt2), for one image'
    runtime = 'torch.export'
    suffixes = ('.pt2',)
    batches = (1,)

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        program = torch.export.export(module, (model.images(1),))
        torch.export.save(program, path, extra_files=self.metadata(model))

    def load(self, path: Path, model: ExportModel) -> Run:
        module = torch.export.load(path).module()
        return one_by_one(lambda image: as_tuple(module(image)))

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return f'model = torch.export.load({str(path)!r}).module()'


def one_by_one(run: Run) -> Run:
    """A function of any number of images from one of a single image."""

    def call(images: torch.Tensor) -> list[torch.Tensor]:
        rows = [
            [torch.as_tensor(each) for each in run(image)] for image in images.split(1)
        ]
        return [torch.cat(each) for each in zip(*rows)]

    return call


FORMAT = TorchExportFormat
