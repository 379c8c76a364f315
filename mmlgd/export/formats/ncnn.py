"""Export to ncnn, for ARM phones and boards."""

import contextlib
import os
import tempfile
from pathlib import Path

import torch
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.export.graph import GraphFormat
from mmlgd.export.model import ExportModel
from mmlgd.export.parity import Run

from .torch_export import one_by_one


class NcnnFormat(GraphFormat):
    """A pair of files, .param and .bin, converted by pnnx, for one image.

    The input is ``in0`` and the outputs are ``out0``, ...

    Args:
        dtype (str): 'float16' (of the weights in the file) or 'float32'. Defaults to
            'float16'.
    """

    description = 'ncnn files (.param and .bin), for one image'
    dtypes = ('float16', 'float32')
    packages = {'pnnx': 'pnnx', 'ncnn': 'ncnn'}
    extra = 'export_ncnn'
    runtime = 'ncnn'
    suffixes = ('.param',)
    companions = ('.bin',)
    batches = (1,)

    def check(self, model: ExportModel) -> None:
        super().check(model)
        if model.input_type == 'uint8':
            raise ConfigError(
                'ncnn has no uint8 tensors; use fold_preprocessing float32, or normalise '
                'with ncnn::Mat::substract_mean_normalize.'
            )

    def write(self, module: nn.Module, model: ExportModel, path: Path) -> None:
        pnnx = self.require('pnnx')
        with tempfile.TemporaryDirectory() as folder:
            names = {
                name: str(Path(folder, f'model.{suffix}'))
                for name, suffix in (
                    ('pnnxparam', 'pnnx.param'),
                    ('pnnxbin', 'pnnx.bin'),
                    ('pnnxpy', 'pnnx.py'),
                    ('pnnxonnx', 'pnnx.onnx'),
                    ('ncnnpy', 'ncnn.py'),
                )
            }
            # pnnx imports the script that it writes for the module that it returns.
            with open(os.devnull, 'w') as silent, contextlib.redirect_stdout(silent):
                pnnx.export(
                    module,
                    str(Path(folder, 'model.pt')),
                    (model.images(1),),
                    fp16=self.dtype == 'float16',
                    ncnnparam=str(path),
                    ncnnbin=str(path.with_suffix('.bin')),
                    **names,
                )
        if not path.is_file():
            raise RuntimeError('pnnx wrote no file')
        self.write_metadata(model, path)

    def load(self, path: Path, model: ExportModel) -> Run:
        ncnn = self.require('ncnn')
        net = ncnn.Net()
        net.opt.num_threads = 1
        net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
        net.load_param(str(path))
        net.load_model(str(path.with_suffix('.bin')))
        shapes = [each.shape[1:] for each in model.outputs(model.images(1))]

        def run(image: torch.Tensor) -> list[torch.Tensor]:
            extractor = net.create_extractor()
            extractor.input('in0', ncnn.Mat(image[0].contiguous().numpy()).clone())
            found = [extractor.extract(f'out{index}') for index in range(len(shapes))]
            if any(code for code, _ in found):
                raise RuntimeError('ncnn cannot compute an output: unsupported layer')
            return [
                torch.tensor(each.numpy()).reshape(1, *shape)
                for (_, each), shape in zip(found, shapes)
            ]

        return one_by_one(run)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        return (
            f'net = ncnn.Net(); net.load_param({str(path)!r}); '
            f'net.load_model({str(Path(path).with_suffix(".bin"))!r})'
        )


FORMAT = NcnnFormat
