#!/usr/bin/env python
"""Draw learning rate, momentum and weight decay of a config over its training.

    python tools/visualization/vis_scheduler.py configs/lgd/r50_mbv3.py --images 1281167 --ranks 8

The schedule is run by mmpretrain's vis_scheduler.py with an empty model. Prints the learning
rate at eleven points, writes an image and a JSON with all values.
"""

import argparse
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_config_options, run_tool

_NEEDED = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler')


class Batches(list):
    """Batches without content, as a data loader."""

    dataset = SimpleNamespace(metainfo=None)


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a training')
    parser.add_argument('--images', type=int, help='default: those of the dataset')
    parser.add_argument('--ranks', type=int, default=1, help='default 1')
    parser.add_argument(
        '--out', default='work_dirs/schedule.png', help='image to write'
    )
    add_config_options(parser)
    args = parser.parse_args(argv)
    check_output_file(args.out)
    import mmpretrain

    from mmlgd.engine.tool_runner import ToolRunner
    from mmlgd.utils.run_config import read_config
    from mmlgd.visualization.curve_figure import draw_curve_figure

    cfg = read_config(args.config, args.cfg_options, _NEEDED)
    cfg.custom_hooks, cfg.log_level = None, 'WARNING'
    cfg.default_hooks = dict(param_scheduler=dict(type='ParamSchedulerHook'))
    cfg.work_dir = str(Path(args.out).parent)
    images = args.images or len(
        ToolRunner.build_dataloader(cfg.train_dataloader).dataset
    )
    steps = max(images // (cfg.train_dataloader.batch_size * args.ranks), 1)
    script = (
        Path(mmpretrain.__file__).parent / '.mim/tools/visualization/vis_scheduler.py'
    )
    simulate = runpy.run_path(str(script))['simulate_train']
    found = simulate(Batches(range(steps)), cfg, cfg.train_cfg.get('by_epoch', False))
    for part in range(11):
        at = round(part / 10 * (len(found['lr']) - 1))
        print(
            f'iteration {at + 1:>8}, epoch {at / steps:>7.2f}: lr {found["lr"][at]:.4g}'
        )
    curves = {key: list(enumerate(values, 1)) for key, values in found.items()}
    draw_curve_figure({'': curves}, list(curves), args.out)
    table = Path(args.out).with_suffix('.json')
    write_atomically(
        table, json.dumps(dict(iterations_per_epoch=steps, **found)) + '\n'
    )
    print(f'Written: {args.out} and {table}')


if __name__ == '__main__':
    run_tool(main)
