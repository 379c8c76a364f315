#!/usr/bin/env python
"""Classify images with a distilled student, and draw the names onto them.

python demo/image_demo.py photo.jpg work_dirs/demo/epoch_10.pth --out-dir work_dirs/shown
python demo/image_demo.py photos/ work_dirs/demo/epoch_10.pth --names names.txt
"""

import argparse
from itertools import chain
from pathlib import Path

from mmlgd.utils.atomic import check_output_folder
from mmlgd.utils.printable import printable
from mmlgd.utils.tool import run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', help='image file, folder of images, or URL')
    parser.add_argument('checkpoint', help='training checkpoint, epoch_*.pth')
    parser.add_argument('--names', help='other names: a file, or a built-in set')
    parser.add_argument('--topk', type=int, default=3, help='names an image; default 3')
    parser.add_argument('--device', default='cpu', help='default: cpu')
    parser.add_argument('--out-dir', help='folder of the images with their names')
    args = parser.parse_args(argv)
    if args.out_dir:
        check_output_folder(args.out_dir, '--out-dir')
    from mmlgd import ZeroShotInferencer
    from mmlgd.apis.images import iter_images
    from mmlgd.apis.label_files import best_names

    inferencer = ZeroShotInferencer(args.checkpoint, args.names, args.device)
    topk = min(args.topk, len(inferencer.classes))
    batches = inferencer.stream(args.images, 'Classifying')
    found = chain.from_iterable(zip(*batch) for batch in batches)
    for number, (path, sample) in enumerate(found):
        best = best_names(sample.pred_score, inferencer.classes, topk)
        texts = [f'{name} {score:.2f}' for name, score in best]
        print(f'{printable(path)}: {", ".join(texts)}')
        if args.out_dir:
            # A folder may have files of the same name in its subfolders.
            out = Path(args.out_dir) / f'{number:05}_{Path(path).stem}.png'
            (image,) = iter_images(path)
            inferencer.draw(image, sample, out, resize=256)


if __name__ == '__main__':
    run_tool(main)
