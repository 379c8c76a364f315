"""What a format costs: an exported file against the student, on images of the user."""

import contextlib
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mmlgd.errors import CheckpointError, DependencyError

from .model import ExportModel
from .parity import Run, cosines, run_all

if TYPE_CHECKING:
    from .registry import ExportFormat

_WARM_UP = 5
_CALLS = 50
#: Images of the comparison by layer: all activations of these are in memory.
_LAYER_IMAGES = 8


@dataclass(frozen=True)
class CheckResult:
    """Comparison of an exported file with the student.

    Attributes:
        format (str): Name of the format.
        dtype (str): Of its weights.
        num_images (int): N.
        mean_cosine (float): Of the outputs, over the images.
        min_cosine (float): That of the worst image.
        agreement (float | None): Share of images with the same best name; None for a
            backbone.
        accuracy_before (float | None): Top-1 accuracy of the student in percent; None
            without labels.
        accuracy_after (float | None): That of the file.
        num_bytes (int): Size of the file and of those that belong to it.
        latency_ms (float): Median of one image, one thread, over warm calls.
        latency_ratio (float | None): To float32 ONNX in onnxruntime, called in turns;
            None if onnxruntime is not installed.
        worst_layer (str | None): For int8, the layer with the lowest cosine to float32;
            None if the format cannot show its layers.
        worst_layer_cosine (float | None): Its cosine.
    """

    format: str
    dtype: str
    num_images: int
    mean_cosine: float
    min_cosine: float
    agreement: float | None
    accuracy_before: float | None
    accuracy_after: float | None
    num_bytes: int
    latency_ms: float
    latency_ratio: float | None
    worst_layer: str | None = None
    worst_layer_cosine: float | None = None

    def to_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    def table(self) -> str:
        """Lines of names and values, for people."""
        rows = [
            ('images', f'{self.num_images}'),
            ('cosine', f'{self.mean_cosine:.4f} (mean), {self.min_cosine:.4f} (min)'),
        ]
        if self.agreement is not None:
            rows.append(
                ('agreement', f'{100 * self.agreement:.1f} % of the best names')
            )
        if self.accuracy_before is not None:
            accuracies = f'{self.accuracy_before:.1f} % -> {self.accuracy_after:.1f} %'
            rows.append(('accuracy', accuracies))
        latency = f'{self.latency_ms:.2f} ms (1 image, 1 thread)'
        if self.latency_ratio is not None:
            latency += f', {self.latency_ratio:.2f} x float32 ONNX'
        rows += [('size', f'{self.num_bytes / 1e6:.2f} MB'), ('latency', latency)]
        if self.worst_layer is not None:
            layer = f'{self.worst_layer} (cosine {self.worst_layer_cosine:.4f})'
            rows.append(('worst layer', layer))
        return '\n'.join(f'{name:<12}{value}' for name, value in rows)

    def require(self, min_agreement: float) -> None:
        """Check that the file agrees with the student often enough.

        Args:
            min_agreement (float): Of the best names; of the mean cosine for a backbone.

        Raises:
            CheckpointError: It does not.
        """
        found, what = self.agreement, 'agreement of the best names'
        if found is None:
            found, what = self.mean_cosine, 'mean cosine of the outputs'
        if found >= min_agreement:
            return
        layer = ''
        if self.worst_layer is not None:
            layer = (
                f' The layer with the largest error is {self.worst_layer} (cosine '
                f'{self.worst_layer_cosine:.4f}).'
            )
        raise CheckpointError(
            f'The {what} of {self.format} {self.dtype} with the student is {found:.4f} on '
            f'{self.num_images} images, below {min_agreement}.{layer} Use another dtype, '
            'more calibration images or the quantisation-aware finish (docs/export.md).'
        )


@torch.no_grad()
def check_file(
    form: 'ExportFormat',
    name: str,
    path: Path,
    model: ExportModel,
    images: torch.Tensor,
    labels: torch.Tensor | None = None,
) -> CheckResult:
    """Compare an exported file with the student.

    Args:
        form (ExportFormat): The format, with its options.
        name (str): Its name.
        path (Path): The file.
        model (ExportModel): What was exported.
        images (torch.Tensor): (N, 3, H, W), in the form of the input.
        labels (torch.Tensor, optional): (N,) int64, indices of the names.

    Raises:
        CheckpointError: The file cannot be run here.
    """
    run = form.load(path, model)
    if run is None:
        raise CheckpointError(
            f'{path} cannot be checked on images: files of {name} do not run on this '
            'machine.'
        )
    before, after = run_all(form.reference(model), images), run_all(run, images)
    rows = cosines(before, after)
    agreement: float | None = None
    accuracies: list[float] = []
    if model.is_classifier:
        best = [each[0].argmax(1) for each in (before, after)]
        agreement = (best[0] == best[1]).float().mean().item()
        if labels is not None:
            accuracies = [100 * (each == labels).float().mean().item() for each in best]
    layers = {}
    if form.is_quantised:
        layers = form.layer_cosines(path, model, images[:_LAYER_IMAGES])
    worst = min(layers, key=lambda layer: layers[layer]) if layers else None
    latency, ratio = _latencies(run, model)
    return CheckResult(
        format=name,
        dtype=getattr(form, 'dtype', 'float32'),
        num_images=len(images),
        mean_cosine=rows.mean().item(),
        min_cosine=rows.min().item(),
        agreement=agreement,
        accuracy_before=accuracies[0] if accuracies else None,
        accuracy_after=accuracies[1] if accuracies else None,
        num_bytes=sum(map(_num_bytes, form.files(path))),
        latency_ms=latency,
        latency_ratio=ratio,
        worst_layer=worst,
        worst_layer_cosine=None if worst is None else layers[worst],
    )


def _latencies(run: Run, model: ExportModel) -> tuple[float, float | None]:
    """Milliseconds of one image, and the ratio to float32 ONNX."""
    runs = [run]
    with tempfile.TemporaryDirectory() as folder:
        from .formats.onnx import OnnxFormat

        with contextlib.suppress(DependencyError):
            onnx, path = OnnxFormat(), Path(folder, 'float32.onnx')
            onnx.export(model, path)
            runs.append(onnx.load(path, model))
    image = model.images(1)
    times: list[list[float]] = [[] for _ in runs]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for call in range(_WARM_UP + _CALLS):
            for each, found in zip(runs, times):
                begin = time.perf_counter()
                each(image)
                if call >= _WARM_UP:
                    found.append(1000 * (time.perf_counter() - begin))
    finally:
        torch.set_num_threads(threads)
    medians = [statistics.median(each) for each in times]
    return medians[0], medians[0] / medians[1] if len(medians) > 1 else None


def _num_bytes(path: Path) -> int:
    files = [each for each in path.rglob('*') if each.is_file()] or [path]
    return sum(each.stat().st_size for each in files)
