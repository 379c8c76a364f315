"""Size, agreement, accuracy and latency of export formats.

    python -m benchmarks.students             # trains the students
    make test-formats

The students of ``--checkpoints`` are trained on emoji, at 64 pixels: agreement and accuracy
are those of their zero-shot classifiers on 1,000 test images, after calibration with 300
training images. Those that accept one size only have random weights and 224 pixels: their
cosines show only that a file computes the same. Finished rows of ``--out`` are not
repeated.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from mmengine.config import Config

from benchmarks import ROOT
from benchmarks.comparison.plan import load_benchmark
from benchmarks.resumable import add_row, origin, read_result
from benchmarks.students import BENCHMARK, FIXED_SIZE
from mmlgd.apis import export_backbone, export_classifier
from mmlgd.errors import MMLGDError
from mmlgd.registry import DATASETS, MODELS
from mmlgd.version import __version__

#: float32 files other than ONNX, which are exact, are left to the tests.
FORMATS = {
    ('onnx', 'float32'): '.onnx',
    ('onnx', 'float16'): '.onnx',
    ('onnx', 'int8'): '.onnx',
    ('openvino', 'float16'): '.xml',
    ('openvino', 'int8'): '.xml',
    ('ncnn', 'float16'): '.param',
    ('executorch', 'int8'): '.pte',
    ('litert', 'int8'): '.tflite',
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


def random_jobs(folder: Path, side: int) -> Iterator[dict]:
    """Backbones with random weights, and smooth random images."""
    images = smooth_images(32, 0), smooth_images(32, 1)
    for name in FIXED_SIZE:
        write_student(name, side, folder / f'{name}.pth')
        yield dict(
            student=name,
            export=export_backbone,
            checkpoint=folder / f'{name}.pth',
            calibration=images[0],
            options=dict(check=images[1]),
        )


def annotated(config: dict) -> Iterator[tuple[str, int]]:
    """Paths and classes of a dataset's images."""
    dataset = DATASETS.build(dict(config, pipeline=[]))
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        yield info['img_path'], info['gt_label']


def labelled_images(dataset: dict, names: list[str], folder: Path) -> Path:
    """Copy images to a folder with a subfolder per class; return the folder."""
    for image, label in annotated(dataset):
        place = folder / names[label]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    return folder


def trained_jobs(folder: Path, checkpoints: Path) -> Iterator[dict]:
    """The classifiers of trained students, and images of their benchmark."""
    benchmark = load_benchmark(BENCHMARK)
    benchmark.read_data()
    images = labelled_images(benchmark.test, benchmark.names, folder / 'test')
    calibration = [image for image, _ in annotated(benchmark.train)]
    for path in sorted(checkpoints.glob('*/passes_*.pth')):
        yield dict(
            student=path.parent.name,
            export=export_classifier,
            checkpoint=path,
            calibration=calibration,
            options=dict(check=images, labels=True),
            passes=int(path.stem.removeprefix('passes_')),
        )


def measure(job: dict, form: str, dtype: str, folder: Path) -> dict:
    """Export and check a student; ``error`` is the reason why there is no file."""
    row = dict(student=job['student'], format=form, dtype=dtype)
    if 'passes' in job:
        row['passes'] = job['passes']
    try:
        done = job['export'](
            job['checkpoint'],
            form,
            folder / f'out{FORMATS[form, dtype]}',
            dtype=dtype,
            calibration=job['calibration'] if dtype == 'int8' else None,
            **job['options'],
        )
    except MMLGDError as error:
        return dict(row, error=str(error).replace(str(folder), ''))
    return {**row, **done.check.to_dict()}


#: Title, quantities, cell and factors of each table. Accuracy is that of the file minus
#: that of PyTorch.
TABLES = (
    (
        'Agreement of the best names with PyTorch (%) / change of the accuracy (points)',
        ('agreement', 'accuracy'),
        '{:.1f} / {:+.1f}',
        (100, 1),
    ),
    ('Mean cosine with PyTorch', ('mean_cosine',), '{:.3f}', (1,)),
    (
        'Size (MB) / latency relative to float32 ONNX',
        ('num_bytes', 'latency_ratio'),
        '{:.2f} / {:.2f}',
        (1e-6, 1),
    ),
)
LIBRARIES = dict(
    onnx='ONNX', openvino='OpenVINO', executorch='ExecuTorch', litert='LiteRT'
)


def tables(rows: list[dict]) -> str:
    """Markdown tables of students and formats; float32 files have no column."""
    rows = [dict(row) for row in rows if row['dtype'] != 'float32']
    for row in rows:
        if row.get('accuracy_before') is not None:
            row['accuracy'] = row['accuracy_after'] - row['accuracy_before']
    found = {(r['student'], r['format'], r['dtype']): r for r in rows}
    students = sorted({row['student'] for row in rows})
    columns = [key for key in FORMATS if any((s, *key) in found for s in students)]
    titles = ' | '.join(f'{LIBRARIES.get(form, form)} {dt}' for form, dt in columns)
    lines = []
    for title, quantities, template, factors in TABLES:
        if not any(row.get(quantities[0]) is not None for row in rows):
            continue
        lines += [f'{title}:', '', f'| student | {titles} |']
        lines.append('| --- |' + ' ---: |' * len(columns))
        for student in students:
            cells = []
            for key in columns:
                row = found.get((student, *key), {})
                values = [row.get(name) for name in quantities]
                if 'error' in row:
                    cells.append('refused')
                elif None in values:
                    cells.append('–')
                else:
                    cells.append(
                        template.format(*(v * f for v, f in zip(values, factors)))
                    )
            lines.append(f'| `{student}` | {" | ".join(cells)} |')
        lines.append('')
    return '\n'.join(lines)


def float32_line(rows: list[dict]) -> str:
    """The largest differences of the float32 files."""
    exact = [row for row in rows if row['dtype'] == 'float32' and 'error' not in row]
    if not exact:
        return ''
    cosine = min(row['mean_cosine'] for row in exact)
    line = f'{len(exact)} float32 files: mean cosine at least {cosine:.6f}'
    agreements = [row['agreement'] for row in exact if row['agreement'] is not None]
    if agreements:
        line += f', agreement at least {100 * min(agreements):.1f} %'
    return f'{line}.'


def passes_line(rows: list[dict]) -> str:
    """How long the students were trained."""
    found: dict[int, set[str]] = {}
    for row in rows:
        if 'passes' in row:
            found.setdefault(row['passes'], set()).add(f'`{row["student"]}`')
    return ' '.join(
        f'Trained for {passes} pass(es): {", ".join(sorted(students))}.'
        for passes, students in sorted(found.items())
    )


def page(result: dict) -> str:
    """The page of all results."""
    lines = ['# Export formats', '']
    for kind, title in (
        ('trained', 'Classifiers of trained students, 64 pixels, 68 classes of emoji'),
        ('random', f'Backbones with random weights, {result["image_size"]} pixels'),
    ):
        rows = [row for row in result['rows'] if row['kind'] == kind]
        if rows:
            notes = [float32_line(rows), '', passes_line(rows), '']
            lines += [f'## {title}', '', tables(rows), *notes]
    lines += [
        '–: not run. refused: the file would have been wrong, and is not written:',
        '',
    ]
    lines += [
        f'- {row["student"]}, {row["format"]} {row["dtype"]}: {row["error"]}'
        for row in result['rows']
        if 'error' in row
    ]
    lines += ['', *(f'- {note}' for note in result.get('notes', ())), *origin(result)]
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    """Measure what is missing; write JSON and page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--formats', nargs='+', choices=sorted({form for form, _ in FORMATS}))
    add('--students', nargs='+', help='default: all')
    add(
        '--image-size',
        type=int,
        default=224,
        help='of the students with random weights',
    )
    add('--checkpoints', type=Path, default=Path('work_dirs/students'))
    add('--out', type=Path, default=Path('docs/benchmarks/export/formats.json'))
    args = parser.parse_args(argv)
    result = read_result(args.out, image_size=args.image_size)
    known = {
        (r['kind'], r['student'], r['format'], r['dtype'], r.get('passes'))
        for r in result['rows']
    }
    wanted = [k for k in FORMATS if args.formats is None or k[0] in args.formats]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kinds: dict[str, Iterable[dict]] = dict(
            trained=trained_jobs(folder, args.checkpoints),
            random=random_jobs(folder, args.image_size),
        )
        for kind, job in ((kind, job) for kind, jobs in kinds.items() for job in jobs):
            if args.students and job['student'] not in args.students:
                continue
            for form, dtype in wanted:
                if (kind, job['student'], form, dtype, job.get('passes')) in known:
                    continue
                row = dict(kind=kind, **measure(job, form, dtype, folder))
                add_row(args.out, result, row, page)


if __name__ == '__main__':
    main()
