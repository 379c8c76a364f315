"""Quantisation of an ONNX file to int8 with onnxruntime."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process


class _Images(CalibrationDataReader):
    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict | None:
        image = next(self._images, None)
        return None if image is None else dict(images=image[None])


def quantise(source: Path, out: Path, images: Sequence[np.ndarray]) -> None:
    """Write an int8 copy of a model.

    Args:
        source: ONNX file with the input ``images``.
        out: File to write.
        images: Images (3, H, W) for the ranges of the activations, in the input's dtype.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / 'prepared.onnx'
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            out,
            _Images(images),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
