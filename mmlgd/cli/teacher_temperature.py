"""Compare temperatures of a teacher's softmax on unlabeled images.

    mmlgd teacher-temperature configs/lgd/siglip2-vitb16_mbv3.py

Uses the teacher, the names and two views of some training images of a distillation
config, but no labels. For each temperature the table shows the entropy of the teacher's
targets (in nats, and as a number of equally likely names), the mean probability of the
best name, how often names drawn from the targets of two views agree (and would agree by
chance), and `shared`: how much, in nats, the target of one view predicts about the
other's. Where `shared` is largest, the targets are as sharp as they are reliable. Lower
temperatures pass on guesses of the teacher, higher ones blur what it knows. The best name
of a view does not depend on the temperature. Also writes the table to a JSON file.
"""

import argparse
import json
import os.path as osp
from dataclasses import asdict
from typing import TYPE_CHECKING

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_config_options

if TYPE_CHECKING:
    from mmlgd.apis.teacher_temperature import TemperatureReport

_COLUMNS = {
    'temperature': '{:<13.4g}',
    'entropy': '{:<9.3f}',
    'effective_names': '{:<17.1f}',
    'top1_probability': '{:<18.3f}',
    'agreement': '{:<11.3f}',
    'chance': '{:<8.3f}',
    'shared': '{:<8.3f}',
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a distillation')
    parser.add_argument(
        '--temperatures',
        type=float,
        nargs='+',
        help='the grid; default 0.002 to 0.1. The learned temperature and that of the '
        'config are added',
    )
    parser.add_argument(
        '--num-images', type=int, default=2000, help='number of images; default 2000'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the drawing; default 0'
    )
    parser.add_argument(
        '--out', help='JSON; default work_dirs/CONFIG/teacher_temperature.json'
    )
    parser.add_argument('--device', help='default: the GPU, if there is one')
    add_config_options(parser)
    return parser.parse_args(argv)


def print_table(report: 'TemperatureReport') -> None:
    """Print a row for each temperature, and mark the best and the learned one."""
    print(
        f'{report.teacher}: two views of {report.num_images} images, '
        f'{report.num_categories} names; the best name is the same in '
        f'{report.top1_agreement:.1%} at every temperature\n'
    )
    best = max(report.rows, key=lambda row: row['shared'])
    widths = {name: form.format(0) for name, form in _COLUMNS.items()}
    print(''.join(name.ljust(len(cell)) for name, cell in widths.items()).rstrip())
    for row in report.rows:
        cells = ''.join(form.format(row[name]) for name, form in _COLUMNS.items())
        marks = [
            name
            for name, holds in (
                ('most shared', row is best),
                ('learned', row['temperature'] == report.learned_temperature),
            )
            if holds
        ]
        print(f'{cells}{", ".join(marks)}'.rstrip())
    print()


def main(argv: list[str] | None = None) -> None:
    """Compare, print and write."""
    args = parse_args(argv)
    stem = osp.splitext(osp.basename(args.config))[0]
    out = args.out or osp.join('work_dirs', stem, 'teacher_temperature.json')
    check_output_file(out)
    # Imported here, since --help need not wait for torch.
    from mmengine.device import get_device

    from mmlgd.apis.teacher_temperature import TEMPERATURES, report_temperatures
    from mmlgd.engine.hooks.semantics_bank_hook import DEFAULT_CACHE_DIR
    from mmlgd.utils.loaders import remove_unused_worker_options
    from mmlgd.utils.plain_config import name_of
    from mmlgd.utils.run_config import read_config

    cfg = read_config(args.config, args.cfg_options, ['model', 'train_dataloader'])
    remove_unused_worker_options(cfg, ['train_dataloader'])
    # The cache in which training stores the embeddings of the names.
    caches = [
        hook.get('cache_dir', DEFAULT_CACHE_DIR)
        for hook in cfg.get('custom_hooks', [])
        if name_of(hook) == 'SemanticsBankHook'
    ]
    report = report_temperatures(
        cfg,
        args.temperatures or TEMPERATURES,
        args.num_images,
        args.seed,
        args.device or get_device(),
        *caches[:1],
    )
    contents = dict(config=args.config, seed=args.seed, **asdict(report))
    write_atomically(out, json.dumps(contents, indent=2) + '\n')
    print_table(report)
    print(f'Written: {out}')
