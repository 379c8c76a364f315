"""Size, cosine and latency of export formats, for three students and that of the demo.

    make test-formats
    python -m benchmarks.export_formats --image-size 224

Three students have random weights: sizes and latencies do not depend on them, and the
cosines show only that a file computes the same. For the demo's student (after
`make demo`), agreement and accuracy are those of trained weights on Fashion-MNIST.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config

from benchmarks import ROOT
from benchmarks.provenance import dump_rows, provenance
from demo.fashion_mnist import read_split
from mmlgd.apis import export_backbone, export_classifier
from mmlgd.errors import MMLGDError
from mmlgd.export.check import CheckResult
from mmlgd.registry import MODELS
from mmlgd.utils.atomic import write_atomically
from mmlgd.version import __version__

STUDENTS = ('mbv3_small', 'mobilenetv4_conv_small', 'r18')
FORMATS = {
    ('onnx', 'float32'): '.onnx',
    ('onnx', 'float16'): '.onnx',
    ('onnx', 'int8'): '.onnx',
    ('openvino', 'float16'): '.xml',
    ('openvino', 'int8'): '.xml',
    ('ncnn', 'float16'): '.param',
    ('torchscript', 'float32'): '.pt',
    ('torch_export', 'float32'): '.pt2',
}


def write_student(name: str, side: int, path: Path) -> None:
    """Write a checkpoint of a student with random weights."""
    config = Config.fromfile(str(ROOT / f'configs/_base_/students/{name}.py'))
    backbone = dict(config.student.to_dict()['backbone'], init_cfg=None)
    torch.manual_seed(0)
    module = MODELS.build(backbone)
    state = {f'backbone.{key}': value for key, value in module.state_dict().items()}
    meta = dict(
        mmlgd_version=__version__,
        backbone=backbone,
        image_size=side,
        image_mean=[122.77, 116.75, 104.09],
        image_std=[68.5, 66.63, 70.32],
        to_rgb=True,
    )
    torch.save(dict(state_dict=state, meta=meta), path)


def smooth_images(number: int, seed: int) -> list[torch.Tensor]:
    """Random images (3, 64, 64) uint8 with large structures."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(number, 3, 6, 6, generator=generator)
    images = torch.nn.functional.interpolate(coarse, (64, 64), mode='bicubic')
    return list((255 * images).round().clamp(0, 255).byte())


def measure(side: int, number: int, demo: Path) -> Iterator[tuple[str, CheckResult]]:
    """Export and check each student in each format whose packages are installed."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for name in STUDENTS:
            path = Path(folder, f'{name}.pth')
            write_student(name, side, path)
            images = smooth_images(number, 0), smooth_images(number, 1)
            jobs.append((f'{name} ({side} px, random)', export_backbone, path, *images))
        if (demo / 'epoch_10.pth').exists():
            images = (
                list(read_split(demo / 'data', split)[0][:count])
                for split, count in (('train', 300), ('test', 500))
            )
            name = 'mbv3_small (64 px, demo)'
            jobs.append((name, export_classifier, demo / 'epoch_10.pth', *images))
        for name, export, path, calibration, images in jobs:
            for (form, dtype), suffix in FORMATS.items():
                try:
                    done = export(
                        path,
                        form,
                        Path(folder, f'out{suffix}'),
                        dtype=dtype,
                        calibration=calibration if dtype == 'int8' else None,
                        check=images,
                    )
                except MMLGDError as error:  # a package or an operator is missing
                    print(error, flush=True)
                    continue
                print(name, done.check, flush=True)
                yield name, done.check


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = [
        '| student | format | dtype | size (MB) | cosine (mean) | agreement (%) | '
        'latency / float32 ONNX |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for row in rows:
        agreement = row['agreement']
        cells = (
            row['student'],
            row['format'],
            row['dtype'],
            f'{row["num_bytes"] / 1e6:.2f}',
            f'{row["mean_cosine"]:.4f}',
            '–' if agreement is None else f'{100 * agreement:.1f}',
            f'{row["latency_ratio"]:.2f}',
        )
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def main(argv: list[str] | None = None) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--image-size', type=int, default=224)
    parser.add_argument(
        '--images', type=int, default=32, help='of random students; default %(default)s'
    )
    parser.add_argument('--demo', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--out', default='docs/benchmarks/export/formats')
    args = parser.parse_args(argv)
    rows: list[dict] = []
    for student, found in measure(args.image_size, args.images, args.demo):
        rows.append(dict(student=student, **found.to_dict()))
        result = dict(provenance(), rows=rows)
        write_atomically(f'{args.out}.json', dump_rows(result))
        notes = (
            f'\n- `{result["command"]}` at {result["commit"][:7]}, {result["date"]}\n'
            f'- {result["machine"]}\n'
        )
        write_atomically(f'{args.out}.md', f'# Export formats\n\n{table(rows)}{notes}')
    print(table(rows))


if __name__ == '__main__':
    main()
