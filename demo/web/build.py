"""Build a static page that runs the demo's student in a browser.

    make demo-web

The output folder contains ``index.html`` with its files, for a web server, and
``one_file.html``, the same page in one file that opens without a server.
"""

import argparse
import base64
import gzip
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from torch import nn

from demo import ROOT
from demo.fashion_mnist import prepare_demo_data, read_split
from demo.web.runtime import VERSION, fetch_runtime
from mmlgd.apis import ZeroShotClassifier, export_embedding
from mmlgd.datasets.category_names import load_category_names
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.atomic import check_output_folder, replace_folder
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.tool import run_tool

_HERE = Path(__file__).parent
ONE_FILE = 'one_file.html'
PAGE = ('index.html', 'style.css', 'app.js', 'pixels.js')
SETS: dict[str, str | Path] = {
    'Fashion-MNIST': 'fashion_mnist',
    'Five kinds': _HERE / 'names/five_kinds.txt',
    'More clothing': _HERE / 'names/more_clothing.txt',
    'CIFAR-10': 'cifar10',
}
ABOUT = (
    "This demo's teacher has only seen the ten names of Fashion-MNIST, in gray pictures of "
    '28x28 pixels on black: it guesses at other names and at other pictures.'
)
_CALIBRATION_IMAGES = 200
# Options of mmcv's Resize that the page follows; the last two are its defaults.
_RESIZE = dict(interpolation='bilinear', backend='cv2', keep_ratio=False)


class Picture(NamedTuple):
    """An example picture: its title, and its pixels, uint8 (H, W) or (H, W, 3) BGR."""

    title: str
    pixels: np.ndarray


def build_page(
    checkpoint: str | Path,
    out_dir: str | Path,
    sets: Mapping[str, str | Path | Sequence[str]],
    calibration: Sequence[np.ndarray],
    examples: Sequence[Picture],
    about: str = '',
    teacher: nn.Module | None = None,
) -> Path:
    """Write the page of a student; return its folder.

    Args:
        checkpoint: A training checkpoint whose test pipeline only resizes.
        out_dir: Folder to create or replace.
        sets: Title and names of each set (a built-in set, a file, or a list).
        calibration: Images for int8, uint8 (H, W) or (H, W, 3) BGR.
        examples: Pictures that the page offers.
        about: A sentence for the head of the page.
        teacher: Encodes the names. Defaults to None: the teacher in the checkpoint.

    Raises:
        CheckpointError, ConfigError, DependencyError: The student cannot be exported, its
            test pipeline does more than the page can, or the folder has other files.
    """
    _check_replaceable(Path(out_dir))
    names = {title: load_category_names(each) for title, each in sets.items()}
    every = list(dict.fromkeys(name for each in names.values() for name in each))
    classifier = ZeroShotClassifier(checkpoint, every, teacher=teacher)
    rows = dict(zip(every, classifier.text_embeddings.numpy().astype('<f4')))
    student_input = page_input(classifier.record)
    runtime = fetch_runtime()
    with replace_folder(out_dir) as part:
        size = (student_input['height'], student_input['width'])
        paths = {title: part / f'{title}.onnx' for title in ('float32', 'int8')}
        options: dict[str, Any] = dict(image_size=size, fold_preprocessing='uint8')
        export_embedding(checkpoint, 'onnx', paths['float32'], **options)
        options.update(dtype='int8', calibration=list(calibration))
        export_embedding(checkpoint, 'onnx', paths['int8'], **options)
        files = {f'names_{i}.f32': each for i, each in enumerate(names.values())}
        for file, chosen in files.items():
            (part / file).write_bytes(np.stack([rows[n] for n in chosen]).tobytes())
        pngs = {f'example_{i}.png': each for i, each in enumerate(examples)}
        for file, picture in pngs.items():
            (part / file).write_bytes(cv2.imencode('.png', picture.pixels)[1].tobytes())
        for file, content in runtime.items():
            (part / file).write_bytes(content)
        for file in PAGE:
            (part / file).write_bytes((_HERE / 'page' / file).read_bytes())
        manifest = dict(
            about=about,
            runtime=f'onnxruntime-web {VERSION}',
            input=student_input,
            temperature=classifier.temperature,
            models=[
                dict(title=title, file=path.name, bytes=path.stat().st_size)
                for title, path in paths.items()
            ],
            sets=[
                dict(title=title, file=file, names=names[title])
                for title, file in zip(names, files)
            ],
            examples=[dict(title=p.title, file=file) for file, p in pngs.items()],
        )
        text = json.dumps(manifest, ensure_ascii=False, indent=1)
        (part / 'manifest.json').write_text(text, encoding='utf-8')
        (part / ONE_FILE).write_text(one_file(part), encoding='utf-8')
    return Path(out_dir)


def page_input(record: CheckpointMeta) -> dict[str, int | bool]:
    """What the page does with the pixels of a picture.

    Returns:
        dict: ``width`` and ``height`` in pixels, ``gray`` (whether colours are removed),
        and ``bgr`` (the order of the channels).

    Raises:
        ConfigError: The test pipeline has steps that the page does not have.
    """
    steps = [
        {**step, 'type': str(step.get('type')).rpartition('.')[2]}
        for step in record.test_pipeline or ()
    ]
    resizes = [step for step in steps if step['type'] == 'Resize']
    options = {
        key: value
        for step in resizes
        for key, value in step.items()
        if key not in ('type', 'scale')
    }
    is_known = (
        {step['type'] for step in steps} <= {'GrayToBGR', 'Resize', 'PackInputs'}
        and len(resizes) == 1
        and options.items() <= _RESIZE.items()
    )
    if not is_known:
        raise ConfigError(
            f'The page can only resize pictures bilinearly to one size, but the test '
            f'pipeline of {record.path} is {list(record.test_pipeline or ())}; train with '
            "a test pipeline of Resize(scale=(W, H), interpolation='bilinear') and "
            'PackInputs.'
        )
    scale = resizes[0]['scale']
    width, height = (scale, scale) if isinstance(scale, int) else scale
    return dict(
        width=width,
        height=height,
        gray=any(step['type'] == 'GrayToBGR' for step in steps),
        bgr=not record.to_rgb,
    )


def one_file(folder: Path) -> str:
    """The page in one file: browsers let no page read files beside it."""
    read = {path.name: path.read_bytes() for path in folder.iterdir()}
    texts = {name: read.pop(name).decode() for name in ('index.html', 'style.css')}
    script = read.pop('app.js').decode()
    copies = ''.join(
        f'<script type="application/gzip" id="file:{name}">'
        f'{base64.b64encode(gzip.compress(content, mtime=0)).decode()}</script>\n'
        for name, content in sorted(read.items())
    )
    page = texts['index.html']
    for tag, content in (
        (
            '<link rel="stylesheet" href="style.css">',
            f'<style>\n{texts["style.css"]}</style>',
        ),
        (
            '<script type="module" src="app.js"></script>',
            f'{copies}<script type="module">\n{script}</script>',
        ),
    ):
        before, after = page.split(tag)
        page = before + content + after
    return page


def _check_replaceable(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ONE_FILE).is_file():
        raise ConfigError(
            f'{folder} contains other files, which would be replaced; give another folder.'
        )


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = dict(help='default: %(default)s')
    checkpoint = 'work_dirs/demo/epoch_10.pth'
    parser.add_argument('checkpoint', nargs='?', default=checkpoint, **default)
    parser.add_argument('--out', default='work_dirs/demo_web', **default)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    os.chdir(ROOT)
    check_output_folder(args.out)
    if not Path(args.checkpoint).is_file():
        raise CheckpointError(
            f'{args.checkpoint} does not exist: run `make demo`, or give an epoch_*.pth.'
        )
    data = prepare_demo_data('work_dirs/demo/data')
    names = load_category_names('fashion_mnist')
    images, labels = read_split(data, 'test')
    first = [int(np.flatnonzero(labels == label)[0]) for label in range(len(names))]
    out = build_page(
        args.checkpoint,
        args.out,
        SETS,
        # Of different classes: the images are in random order.
        read_split(data, 'train')[0][:_CALIBRATION_IMAGES],
        [Picture(names[labels[i]], images[i]) for i in first],
        ABOUT,
    )
    print(
        f'Written: {out}. To open the page, run\n'
        f'    python -m http.server --bind 127.0.0.1 -d {out}\n'
        'and visit http://127.0.0.1:8000. Or copy this file to a phone and open it there: '
        f'{out / ONE_FILE}'
    )


if __name__ == '__main__':
    run_tool(main)
