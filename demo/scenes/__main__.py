"""Create scenes of Fashion-MNIST items, with COCO and ADE20K annotations.

    python -m demo.scenes data/fashion_scenes

The same options give the same bytes. ``write.py`` and ``formats.py`` in
``demo/scenes/`` describe the layout.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from demo.scenes import SceneSettings, prepare_fashion_scenes
from mmlgd.utils.atomic import check_output_folder
from mmlgd.utils.tool import run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    default = SceneSettings()
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('out', help='folder to create')
    parser.add_argument('--num-train', type=int, default=default.num_train)
    parser.add_argument('--num-val', type=int, default=default.num_val)
    parser.add_argument(
        '--size', type=int, default=default.size, help='height and width in pixels'
    )
    parser.add_argument('--seed', type=int, default=default.seed)
    parser.add_argument(
        '--source',
        help='folder with the unpacked files of Fashion-MNIST; default: the images in '
        'the repository',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    check_output_folder(Path(args.out).parent, 'out')
    settings = SceneSettings(args.num_train, args.num_val, args.size, args.seed)
    out_dir = prepare_fashion_scenes(args.out, settings, args.source)
    print(
        f'{out_dir}: {settings.num_train} training and {settings.num_val} validation '
        f'scenes of {settings.size}x{settings.size} pixels'
    )


if __name__ == '__main__':
    run_tool(main)
