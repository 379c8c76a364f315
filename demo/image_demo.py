#!/usr/bin/env python
"""Classify images with a distilled student, and draw the names onto them.

python demo/image_demo.py photo.jpg work_dirs/demo/epoch_10.pth --out-dir work_dirs/shown
python demo/image_demo.py photos/ work_dirs/demo/epoch_10.pth --names names.txt
"""

import argparse
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
    import mmcv
    from mmpretrain.structures import DataSample
    from mmpretrain.visualization import UniversalVisualizer

    from mmlgd.apis import ZeroShotClassifier
    from mmlgd.apis.images import iter_images
    from mmlgd.datasets.image_folder import list_images

    classifier = ZeroShotClassifier(args.checkpoint, args.names, device=args.device)
    is_folder = Path(args.images).is_dir()
    paths = list_images(args.images) if is_folder else [args.images]
    visualizer = UniversalVisualizer()
    topk = min(args.topk, len(classifier.category_names))
    for number, path in enumerate(paths):
        scores = classifier.scores(path)[0]
        best = scores.topk(topk)
        texts = [
            f'{classifier.category_names[index]} {score:.2f}'
            for index, score in zip(best.indices.tolist(), best.values.tolist())
        ]
        print(f'{printable(str(path))}: {", ".join(texts)}')
        if args.out_dir:
            sample = DataSample().set_pred_score(scores)
            sample.set_pred_label(best.indices[:1])
            image = mmcv.bgr2rgb(next(iter_images(path)))
            # A folder may have files of the same name in its subfolders.
            out = Path(args.out_dir) / f'{number:05}_{Path(path).stem}.png'
            visualizer.visualize_cls(
                image, sample, classifier.category_names, resize=256, out_file=str(out)
            )


if __name__ == '__main__':
    run_tool(main)
