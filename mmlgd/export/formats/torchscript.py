"""Export to TorchScript, for LibTorch and older PyTorch Mobile applications."""

import warnings
from pathlib import Path

import torch
from torch import nn

from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel, as_tuple
from mmlgd.export.parity import Run


class TorchScriptFormat(GraphFormat):
    """A traced module of variable batch size, with the metadata as an extra file."""

    description = 'a traced TorchScript module'
    runtime = 'TorchScript'
    batches = (1, 3)

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        with warnings.catch_warnings():
            # Shapes other than the batch size are constant on purpose.
            warnings.simplefilter('ignore')
            traced = torch.jit.trace(module, model.images(2))
        traced.save(str(path), _extra_files=self.metadata(model))

    def load(self, path: Path, model: ExportModel) -> Run:
        module = torch.jit.load(str(path))
        return lambda images: as_tuple(module(images))

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return f'model = torch.jit.load({str(path)!r})'


FORMAT = TorchScriptFormat
