"""Static quantisation of ONNX files by onnxruntime."""

import contextlib
import io
import logging
import math
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from mmengine.logging import print_log
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from .parity import cosines, run_all

METHODS = ('MinMax', 'Entropy', 'Percentile')
#: Histograms keep the activations of all their images in memory: this many bytes, but
#: those of 16 images at least.
_HISTOGRAM_BYTES = 2_000_000_000
_BATCH = 4
#: Mean cosine from which on no other layers are tried.
_GOOD = 0.99
WEIGHTS_ONLY = ' of layers with weights'
#: Layers that are compared.
_LAYERS = ('Conv', 'Gemm', 'MatMul')


def open_session(source: str | bytes) -> onnxruntime.InferenceSession:
    """A session with one thread on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no hints on old operator sets
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        source, options, providers=['CPUExecutionProvider']
    )


def quantise(
    source: Path,
    target: Path,
    calibration: torch.Tensor,
    held_out: torch.Tensor,
    per_channel: bool = True,
) -> str:
    """Quantise a float32 file, with QDQ nodes.

    Weights have 7 bits: on x86 processors without VNNI, sums of products with 8 bits
    saturate. Of the calibration methods, that with the largest mean cosine of the
    outputs is kept. If it is below 0.99, they are tried again with the layers that have
    weights only: sums, activations and products of two activations stay float32, as the
    quotients of linear attention need it.

    Args:
        source (Path): The float32 file.
        target (Path): The int8 file to write.
        calibration (torch.Tensor): Images (N, 3, H, W) that set the ranges.
        held_out (torch.Tensor): Other images (M, 3, H, W), to compare the methods.
        per_channel (bool): Whether each output channel of a weight has a scale of its
            own. Defaults to True.

    Returns:
        str: The calibration method, with :data:`WEIGHTS_ONLY` if it is for these layers.
    """
    best, chosen = -2.0, ''
    with tempfile.TemporaryDirectory() as folder:
        prepared, candidate = Path(folder, 'float.onnx'), Path(folder, 'int8.onnx')
        _prepare(source, prepared)
        expected = run_all(runner(open_session(str(prepared))), held_out)
        count = max(16, _HISTOGRAM_BYTES // _activation_bytes(prepared))
        common: dict = dict(per_channel=per_channel, reduce_range=True)
        for scope in ('', WEIGHTS_ONLY):
            if best >= _GOOD:
                break
            options = dict(common, **_with_weights(prepared)) if scope else common
            for method in METHODS:
                cosine = _attempt(
                    prepared,
                    candidate,
                    calibration if method == 'MinMax' else calibration[:count],
                    held_out,
                    expected,
                    dict(options, calibrate_method=method),
                )
                print_log(
                    f'Calibration by {method}{scope}: mean cosine {cosine:.4f} on '
                    f'{len(held_out)} images.',
                    'current',
                    level=logging.INFO,
                )
                if cosine > best:
                    best, chosen = cosine, method + scope
                    target.write_bytes(candidate.read_bytes())
    if not chosen:
        raise ValueError('the outputs of the int8 model are not finite')
    return chosen


def _attempt(
    source: Path,
    target: Path,
    calibration: torch.Tensor,
    held_out: torch.Tensor,
    expected: list[torch.Tensor],
    options: dict,
) -> float:
    """Quantise with one calibration method; the mean cosine, NaN if it failed."""
    method = options['calibrate_method']
    options = dict(options, calibrate_method=CalibrationMethod[method])
    try:
        # The calibrators print each step.
        with contextlib.redirect_stdout(io.StringIO()):
            quantize_static(
                source,
                target,
                _Reader(calibration),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                **options,
            )
        found = run_all(runner(open_session(str(target))), held_out)
    except Exception as error:
        # Histograms of a nearly constant activation cannot be made.
        if method == 'MinMax':
            raise
        print_log(
            f'Calibration by {method} failed: {error}', 'current', level=logging.WARNING
        )
        return math.nan
    return cosines(expected, found).mean().item()


def layer_cosines(source: Path, target: Path, images: torch.Tensor) -> dict[str, float]:
    """Mean cosine between the outputs of each layer in float32 and int8.

    Args:
        source (Path): The float32 file.
        target (Path): The int8 file of :func:`quantise`.
        images (torch.Tensor): (N, 3, H, W).

    Returns:
        dict[str, float]: By the name of the layer, in their order.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, 'float.onnx')
        _prepare(source, prepared)
        models = [onnx.load(str(path)) for path in (prepared, target)]
    tensors = [{name for node in m.graph.node for name in node.output} for m in models]
    layers = {
        node.output[0]: _readable(node.name)
        for node in models[0].graph.node
        if node.op_type in _LAYERS and node.output[0] in tensors[1]
    }
    outputs = []
    for model in models:
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in layers)
        run = runner(open_session(model.SerializeToString()))
        outputs.append(run_all(run, images))
    return {
        name: cosines([one], [other]).mean().item()
        for name, one, other in zip(layers.values(), *outputs)
    }


def runner(session: onnxruntime.InferenceSession):
    """A function of images (B, 3, H, W) that returns the outputs of a session."""
    return lambda images: session.run(None, {'images': images.numpy()})


def _prepare(source: Path, target: Path) -> None:
    # Symbolic shape inference is for models with dynamic shapes, and needs sympy.
    quant_pre_process(str(source), str(target), skip_symbolic_shape=True)


def _activation_bytes(path: Path) -> int:
    """Bytes of all activations of one image, in a file of :func:`_prepare`."""
    graph = onnx.load(str(path)).graph
    tensors = [info.type.tensor_type for info in [*graph.value_info, *graph.output]]
    # The number of images is unknown, so that it counts as one.
    sizes = [[dim.dim_value or 1 for dim in each.shape.dim] for each in tensors]
    return 4 * sum(math.prod(size) for size in sizes)


def _readable(name: str) -> str:
    """``/student/backbone/conv1/Conv`` -> ``student.backbone.conv1``."""
    return '.'.join(name.strip('/').split('/')[:-1]) or name


def _with_weights(path: Path) -> dict:
    """Options that quantise the layers with constant weights only."""
    graph = onnx.load(str(path)).graph
    constants = {each.name for each in graph.initializer}
    products = [
        node.name
        for node in graph.node
        if node.op_type == 'MatMul' and constants.isdisjoint(node.input)
    ]
    return dict(op_types_to_quantize=[*_LAYERS], nodes_to_exclude=products)


class _Reader(CalibrationDataReader):
    def __init__(self, images: torch.Tensor) -> None:
        # Histograms need batches of one size.
        count = max(_BATCH, len(images) // _BATCH * _BATCH)
        self._batches = iter(images[:count].split(_BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {'images': batch.numpy()}
