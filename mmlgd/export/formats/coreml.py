"""Export to Core ML, for iOS and macOS."""

import warnings
from pathlib import Path

import torch
from torch import nn

from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel


class CoreMlFormat(GraphFormat):
    """An ML program (.mlpackage) of one image.

    It runs on macOS and iOS only. Elsewhere, its structure is checked.

    Args:
        dtype (str): 'float16' or 'float32'. Defaults to 'float16'.
    """

    description = 'a Core ML program (.mlpackage), for one image; runs on macOS and iOS'
    dtypes = ('float16', 'float32')
    packages = {'coremltools': 'coremltools'}
    extra = 'export_coreml'
    runtime = 'Core ML'
    suffixes = ('.mlpackage',)

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        tools = self.require('coremltools')
        example = model.images(1)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            traced = torch.jit.trace(module, example)
        converted = tools.convert(
            traced,
            convert_to='mlprogram',
            inputs=[tools.TensorType('images', shape=example.shape)],
            outputs=[tools.TensorType(name) for name in model.output_names],
            compute_precision=getattr(tools.precision, self.dtype.upper()),
            minimum_deployment_target=tools.target.iOS15,
        )
        converted.user_defined_metadata.update(self.metadata(model))
        converted.save(str(path))

    def load(self, path: Path, model: ExportModel) -> None:
        """Check the structure of the program; it is not run."""
        spec = self.require('coremltools').utils.load_spec(str(path))
        outputs = [each.name for each in spec.description.output]
        if spec.WhichOneof('Type') != 'mlProgram' or outputs != model.output_names:
            raise ValueError(f'the outputs of the program are {outputs}')


FORMAT = CoreMlFormat
