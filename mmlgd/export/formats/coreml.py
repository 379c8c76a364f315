"""Export to Core ML, for iPhones, iPads and Macs."""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mmlgd.errors import CheckpointError
from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

from .torch_export import one_by_one


class CoreMLFormat(GraphFormat):
    """An ML program (.mlpackage, a folder), for one image, from iOS 16 on.

    The input is ``images``; with ``fold_preprocessing='uint8'`` it is an RGB image of Core
    ML (``CVPixelBuffer``, PIL). Core ML runs on macOS only. Elsewhere the program is read
    again, and the names and shapes of its inputs and outputs and its weights are checked.

    Args:
        dtype (str): 'float16' (of the computation) or 'float32'. Defaults to 'float16'.
    """

    description = 'a Core ML program (.mlpackage), for one image'
    dtypes = ('float16', 'float32')
    packages = {'coremltools': 'coremltools'}
    extra = 'export_coreml'
    runtime = 'Core ML'
    suffixes = ('.mlpackage',)
    is_folder = True
    runs_here = sys.platform == 'darwin'
    unchecked = 'Core ML runs on macOS only. Inputs, outputs and weights of the program are valid'
    batches = (1,)

    def require(self, module: str, distribution: str | None = None) -> Any:
        # It warns of each native library that exists on macOS only.
        logger = logging.getLogger('coremltools')
        logger.setLevel(logging.ERROR)
        return super().require(module, distribution)

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        coreml = self.require('coremltools')
        image = model.images(1).float()
        shape = tuple(image.shape)
        if model.input_type == 'uint8':
            layout = coreml.colorlayout.RGB
            given = coreml.ImageType(name='images', shape=shape, color_layout=layout)
        else:
            given = coreml.TensorType(name='images', shape=shape, dtype=np.float32)
        outputs = [
            coreml.TensorType(name=name, dtype=np.float32)
            for name in model.output_names
        ]
        precision = getattr(coreml.precision, self.dtype.upper())
        program = coreml.convert(
            torch.jit.trace(module, image),
            inputs=[given],
            outputs=outputs,
            convert_to='mlprogram',
            minimum_deployment_target=coreml.target.iOS16,
            compute_precision=precision,
            skip_model_load=True,
        )
        program.user_defined_metadata.update(self.metadata(model))
        program.save(str(path))
        self.validate(path, model)

    def validate(self, path: Path, model: ExportModel) -> None:
        """Check what can be checked without Core ML.

        Raises:
            CheckpointError: Other inputs or outputs than the model's, or a weight that is
                not finite. (coremltools keeps float32 where float16 would overflow.)
        """
        coreml = self.require('coremltools')
        program = coreml.models.MLModel(str(path), skip_model_load=True)
        description = program.get_spec().description
        found = {
            each.name: tuple(each.type.multiArrayType.shape)
            for each in description.output
        }
        expected = {
            name: tuple(each.shape)
            for name, each in zip(model.output_names, model.outputs(model.images(1)))
        }
        inputs = [each.name for each in description.input]
        if found != expected or inputs != ['images']:
            raise CheckpointError(
                f'coremltools wrote a program with the inputs {inputs} and the outputs '
                f'{found}, but the outputs of the student are {expected}; use another '
                'release of coremltools.'
            )
        weights = coreml.optimize.coreml.get_weights_metadata(
            program, weight_threshold=1
        )
        broken = [
            name for name, each in weights.items() if not np.isfinite(each.val).all()
        ]
        if broken or not weights:
            raise CheckpointError(
                'The Core ML program has no weights, or weights that are not finite '
                f'({", ".join(broken)}); use dtype float32, or another release of '
                'coremltools.'
            )

    def load(self, path: Path, model: ExportModel) -> Run | None:
        if not self.runs_here:
            return None
        program = self.require('coremltools').models.MLModel(str(path))

        def run(image: torch.Tensor) -> list[torch.Tensor]:
            given: Any = image.numpy()
            if model.input_type == 'uint8':
                from PIL import Image

                given = Image.fromarray(image[0].permute(1, 2, 0).numpy())
            found = program.predict({'images': given})
            return [torch.as_tensor(found[name]) for name in model.output_names]

        return one_by_one(run)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return f'coremltools.models.MLModel({str(path)!r}).predict(dict(images=images))'


FORMAT = CoreMLFormat
