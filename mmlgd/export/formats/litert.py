"""Export to LiteRT (TFLite), for Android and microcontrollers with Linux."""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmlgd.errors import DependencyError
from mmlgd.export import converters
from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

from .torch_export import TorchExportFormat, one_by_one


class LiteRTFormat(GraphFormat):
    """A LiteRT file (.tflite) for one image (1, 3, H, W).

    The converter, litert-torch, asks for releases that mmpretrain cannot be imported
    beside, so it runs in an environment of its own. The file runs in this one.

    Args:
        dtype (str): 'float32', or 'int8', which needs calibration images. Defaults to
            'float32'.
        python (str): Interpreter of the converter's environment. Defaults to
            '.venv-litert/bin/python'.

    Raises:
        DependencyError: The interpreter does not exist.
    """

    description = 'a LiteRT (TFLite) file, for one image'
    dtypes = ('float32', 'int8')
    packages = {'ai-edge-litert': 'ai_edge_litert.interpreter'}
    extra = 'export_litert'
    runtime = 'LiteRT'
    suffixes = ('.tflite',)
    batches = (1,)

    def __init__(
        self, dtype: str = 'float32', python: str = '.venv-litert/bin/python'
    ) -> None:
        super().__init__(dtype)
        self.python = python
        if not Path(python).is_file():
            raise DependencyError(
                f'The interpreter {python} of the LiteRT converter does not exist; run '
                '`make env-litert` in a clone, or `python -m venv .venv-litert && '
                '.venv-litert/bin/pip install litert-torch torch=='
                f'{torch.__version__.partition("+")[0]}`, or set python.'
            )

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            '--python',
            default='.venv-litert/bin/python',
            help='interpreter with litert-torch; default: %(default)s',
        )

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        image = model.images(1)
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, 'model.pt2')
            TorchExportFormat().write(module, model, source)
            program = Path(converters.__file__).with_name('pt2_to_litert.py')
            command = [self.python, str(program), str(source), str(path)]
            command += ['--shape', *map(str, image.shape)]
            command += ['--dtype', str(image.dtype).removeprefix('torch.')]
            if self.is_quantised:
                images, _ = model.split_calibration()
                np.save(Path(folder, 'images.npy'), images.numpy())
                command += ['--calibration', str(Path(folder, 'images.npy'))]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f'{self.python}: {done.stderr.strip()[-300:]}')
        self.write_metadata(model, path)

    def load(self, path: Path, model: ExportModel) -> Run:
        library = self.require('ai_edge_litert.interpreter')
        interpreter = library.Interpreter(
            model_content=path.read_bytes(), num_threads=1
        )
        interpreter.allocate_tensors()
        # output_0, output_1, ... of the signature have the order of the student's.
        signature = interpreter.get_signature_runner()

        def run(image: torch.Tensor) -> list[torch.Tensor]:
            found = signature(args_0=image.numpy())
            return [torch.tensor(found[f'output_{i}']) for i in range(len(found))]

        return one_by_one(run)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f'interpreter = ai_edge_litert.interpreter.Interpreter({str(path)!r})\n'
            'outputs = interpreter.get_signature_runner()(args_0=image)'
        )


FORMAT = LiteRTFormat
