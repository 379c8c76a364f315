"""Fit the projection of a teacher without text into the space of a CLIP model.

    mmlgd align-teacher configs/alignment/mocov3-r50.py

The config has `teacher` (an MMPretrainTeacher or a TIMMTeacher, without projection),
`target` (an OpenCLIPTeacher), `dataloader` (unlabeled crops as large as the larger model
requires) and, if wanted, `alignment` (strengths, held_out, num_images, seed). The
projection is fitted in closed form; its strength is chosen by the mean cosine on held-out
images. Prints a table; writes the projection and a JSON file next to it. Use it as
`teacher=dict(..., projection=FILE, text_encoder=...)`.
"""

import argparse
import json
import os.path as osp
import time
from typing import TYPE_CHECKING

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import LAUNCHERS, add_config_options

# What imports torch is imported where it is used, so that --help is quick.
if TYPE_CHECKING:
    from mmengine.config import Config

    from mmlgd.apis.align_teacher import Alignment


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config with teacher, target and dataloader')
    parser.add_argument(
        '--out', help='projection file; default work_dirs/alignment/CONFIG.pth'
    )
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='how the ranks are started',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def start_ranks(cfg: 'Config') -> None:
    """Join the process group if a launcher started this process."""
    from mmengine.dist import init_dist, is_distributed

    from mmlgd.utils.launch import set_up_distributed

    set_up_distributed(cfg)
    if cfg.launcher != 'none' and not is_distributed():
        options = cfg.get('env_cfg', {}).get('dist_cfg', dict(backend='nccl'))
        init_dist(cfg.launcher, **options)


def fit(cfg: 'Config') -> 'Alignment':
    """Build both models and fit the projection."""
    from mmengine.device import get_device
    from mmengine.registry import init_default_scope

    from mmlgd.apis.align_teacher import align_teacher
    from mmlgd.registry import MODELS

    init_default_scope('mmlgd')
    device = get_device()
    teacher = MODELS.build(cfg.teacher).to(device)
    target = MODELS.build(cfg.target).to(device)
    target.release_text_tower()
    return align_teacher(teacher, target, cfg.dataloader, **cfg.get('alignment', {}))


def print_table(result: 'Alignment') -> None:
    """Print the mean cosine on the held-out images for each strength."""
    meta = result.meta
    print(f'{meta["aligned_teacher"]} -> {meta["alignment_target"]}')
    print(f'{meta["num_images"]} images for the fit,  {meta["num_held_out"]} held out')
    print(f'\n{"strength":<12}held-out cosine')
    for row in result.table:
        mark = '  <- chosen' if row['strength'] == meta['strength'] else ''
        print(f'{row["strength"]:<12g}{row["held_out_cosine"]:.4f}{mark}')
    print(f'{"(constant)":<12}{meta["constant_cosine"]:.4f}\n')


def main(argv: list[str] | None = None) -> None:
    """Fit, print and write."""
    args = parse_args(argv)
    from mmengine.dist import is_main_process

    from mmlgd.utils.run_config import read_config

    cfg = read_config(
        args.config,
        args.cfg_options,
        needed=('teacher', 'target', 'dataloader'),
        optional=('alignment',),
    )
    cfg.launcher = args.launcher
    stem = osp.splitext(osp.basename(args.config))[0]
    out = args.out or osp.join('work_dirs', 'alignment', f'{stem}.pth')
    check_output_file(out)
    start_ranks(cfg)
    start = time.monotonic()
    result = fit(cfg)
    seconds = round(time.monotonic() - start, 1)
    if not is_main_process():
        return
    report = dict(result.meta, config=args.config, seconds=seconds, table=result.table)
    result.save(out)
    write_atomically(
        f'{osp.splitext(out)[0]}.json', json.dumps(report, indent=2) + '\n'
    )
    print_table(result)
    print(f'Written: {out}')
