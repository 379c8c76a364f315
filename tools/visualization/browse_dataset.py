#!/usr/bin/env python
"""Draw the images of a dataset as a model gets them, after all transforms.

    python tools/visualization/browse_dataset.py configs/lgd/r50_mbv3.py --out views.png

Each row shows several views of one image, which differ in the epoch. Prints the file of
each row.
"""

import argparse

from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.tool import add_config_options, run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config with datasets')
    parser.add_argument('--phase', choices=('train', 'val', 'test'), default='train')
    parser.add_argument('-n', '--images', type=int, default=8, help='rows; default 8')
    parser.add_argument('--views', type=int, default=4, help='columns; default 4')
    parser.add_argument('--out', default='work_dirs/browse.png', help='image to write')
    add_config_options(parser)
    args = parser.parse_args(argv)
    check_output_file(args.out)
    import torch
    from mmengine.registry import init_default_scope
    from torch.nn.functional import pad
    from torchvision.utils import save_image

    from mmlgd.engine.tool_runner import ToolRunner
    from mmlgd.report.measure import first_view
    from mmlgd.utils.printable import printable
    from mmlgd.utils.run_config import read_config

    field = f'{args.phase}_dataloader'
    cfg = read_config(args.config, args.cfg_options, [field])
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    loader = dict(cfg[field], num_workers=0, persistent_workers=False)
    dataset = ToolRunner.build_dataloader(loader, seed=0).dataset
    number = len(dataset)
    chosen = torch.linspace(0, number - 1, min(args.images, number)).long().tolist()
    # SeededViews reads the view from the index; other datasets draw at each reading.
    step = number if hasattr(dataset, 'split') else 0
    rows = []
    for row, index in enumerate(chosen, 1):
        items = [dataset[index + view * step] for view in range(args.views)]
        rows += [first_view(item['inputs']).flip(0) / 255 for item in items]
        path = getattr(items[0].get('data_samples'), 'img_path', None)
        print(f'row {row}: {printable(str(path or index))}')
    if isinstance(items[0]['inputs'], dict):
        print('Operations on the device (PackForDevice) are not drawn.')
    height, width = (max(image.shape[axis] for image in rows) for axis in (1, 2))
    padded = [
        pad(image, (0, width - image.shape[2], 0, height - image.shape[1]))
        for image in rows
    ]
    save_image(padded, args.out, nrow=args.views)
    print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
