"""Export to LiteRT (TensorFlow Lite), for Android."""

from pathlib import Path

import torch
from torch import nn

from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

from .torch_export import one_by_one


class LiteRtFormat(GraphFormat):
    """A flat buffer (.tflite) of one image, NCHW."""

    description = 'a LiteRT (TensorFlow Lite) file, for one image'
    packages = {'litert-torch': 'litert_torch', 'ai-edge-litert': 'ai_edge_litert'}
    extra = 'export_litert'
    runtime = 'LiteRT'
    suffixes = ('.tflite',)
    batches = (1,)

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        converted = self.require('litert_torch').convert(module, (model.images(1),))
        converted.export(str(path))
        self.write_metadata(model, path)

    def load(self, path: Path, model: ExportModel) -> Run:
        interpreter = self.require('ai_edge_litert.interpreter').Interpreter(
            model_content=path.read_bytes(), num_threads=1
        )
        runner = interpreter.get_signature_runner()
        (source,) = runner.get_input_details()
        names = sorted(runner.get_output_details(), key=lambda name: (len(name), name))

        def run(image: torch.Tensor) -> list:
            outputs = runner(**{source: image.numpy()})
            return [outputs[name] for name in names]

        return one_by_one(run)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f'interpreter = ai_edge_litert.interpreter.Interpreter({str(path)!r})\n'
            'outputs = interpreter.get_signature_runner()(args_0=images)'
        )


FORMAT = LiteRtFormat
