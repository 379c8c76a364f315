"""Writing ONNX files and running them, on any supported torch."""

import importlib
import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from mmlgd.errors import CheckpointError, DependencyError

from .atomic import replace_file

#: Largest difference to torch that a file may have.
TOLERANCE = 1e-4


def write_onnx(
    model: nn.Module,
    example: torch.Tensor,
    out: str | Path,
    output_names: Sequence[str] | None,
    metadata: dict[str, str],
    opset: int,
) -> None:
    """Write a model of one input ``images``, whose first axis is left open.

    Args:
        model (nn.Module): In eval mode.
        example (torch.Tensor): An input (B, ...) with B > 1.
        out (str | Path): File to write.
        output_names (Sequence[str] | None): None for ``feature_map_0``, ...
        metadata (dict[str, str]): Stored in the file.
        opset (int): ONNX operator set.

    Raises:
        DependencyError: onnx is not installed.
    """
    onnx = _require('onnx')
    if output_names is None:
        number = len(_outputs(model, example))
        output_names = [f'feature_map_{i}' for i in range(number)]
    # The exporter that traces needs no further package, and is there in every
    # supported torch; from 2.5 on, it must be chosen.
    parameters = inspect.signature(torch.onnx.export).parameters
    tracing = dict(dynamo=False) if 'dynamo' in parameters else {}
    with replace_file(out) as part, warnings.catch_warnings():
        # Shapes other than the batch size are constants on purpose.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            model,
            (example,),
            str(part),
            input_names=['images'],
            output_names=list(output_names),
            dynamic_axes={name: {0: 'batch'} for name in ('images', *output_names)},
            opset_version=opset,
            **tracing,
        )
        contents = onnx.load(str(part))
        onnx.helper.set_model_props(contents, metadata)
        onnx.checker.check_model(contents)
        onnx.save(contents, str(part))


def check_against(model: nn.Module, inputs: torch.Tensor, path: str | Path) -> float:
    """Run a file in onnxruntime and compare it with the model.

    Args:
        model (nn.Module): In eval mode.
        inputs (torch.Tensor): Images (B, 3, H, W).
        path (str | Path): The ONNX file.

    Returns:
        float: Largest difference, relative to the output's largest value where that
        is above 1.

    Raises:
        CheckpointError: It is above :data:`TOLERANCE`.
        DependencyError: onnxruntime is not installed.
    """
    runtime = _require('onnxruntime')
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    found = session.run(None, {'images': inputs.numpy()})
    differences = []
    for expected, result in zip(_outputs(model, inputs), found, strict=True):
        scale = max(1.0, expected.abs().max().item())
        difference = (expected - torch.from_numpy(result)).abs().max().item()
        differences.append(difference / scale)
    if not max(differences) <= TOLERANCE:
        raise CheckpointError(
            f'{path} differs from the model by {max(differences):.2g} in onnxruntime '
            f'{runtime.__version__}, more than {TOLERANCE}; do not use it, and try '
            'another opset.'
        )
    return max(differences)


@torch.no_grad()
def _outputs(model: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    outputs = model(inputs)
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def _require(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(
            f'The export to ONNX needs {name}, which is not installed; run `pip install '
            'onnx onnxruntime`.'
        ) from error
