"""Write a report of training runs: one HTML file that needs no network.

    mmlgd report work_dirs/r50_mbv3
    mmlgd report work_dirs/r50_mbv3 work_dirs/r50_r18 --out compare.html

Training writes the report of a run itself; this command writes it again, or shows several
runs side by side. It reads logs and the latest checkpoint and executes nothing of them.
Images are shown if a sample was measured at the end of the training. To measure one of an
older run, or a larger one, pass the config, which is executed as in training:

    mmlgd report work_dirs/r50_mbv3 --config configs/lgd/r50_mbv3.py --images 5000
"""

import argparse
from pathlib import Path

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.tool import add_config_options


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', nargs='+', help='work dirs of training runs')
    parser.add_argument(
        '--out',
        help='HTML file; default: report.html in the work dir, for several runs '
        'work_dirs/report.html',
    )
    parser.add_argument('--titles', nargs='+', help='names of the runs in the report')
    parser.add_argument(
        '--config', help='config of the run, to measure a sample of its images'
    )
    parser.add_argument(
        '--images', type=int, default=1000, help='images to measure; default 1000'
    )
    parser.add_argument('--device', help='default: the GPU, if there is one')
    add_config_options(parser)
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> None:
    """Measure a sample of images with the latest checkpoint of a run.

    Raises:
        ConfigError: The config has no data, or is not of a distillation.
        CheckpointError: There is no checkpoint, or it does not match the config.
    """
    from mmengine.device import get_device
    from mmengine.registry import init_default_scope

    from mmlgd.registry import DATASETS, MODELS
    from mmlgd.report import latest_checkpoint, measure_sample, write_sample
    from mmlgd.utils.checkpoint import check_complete, read_checkpoint
    from mmlgd.utils.run_config import read_config

    folder = Path(args.work_dirs[0])
    path = latest_checkpoint(folder)
    if path is None:
        raise CheckpointError(
            f'{folder} contains no epoch_*.pth or iter_*.pth to measure.'
        )
    cfg = read_config(args.config, args.cfg_options, ['model', 'train_dataloader'])
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    validates = cfg.get('val_dataloader') is not None
    name = 'val_dataloader' if validates else 'train_dataloader'
    dataset = DATASETS.build(cfg[name].dataset)
    evaluator = (cfg.get('val_evaluator') or {}) if validates else {}
    model = MODELS.build(cfg.model)
    if not hasattr(model, 'teacher'):
        raise ConfigError(
            f'{args.config} is not a distillation: its model has no teacher.'
        )
    checkpoint = read_checkpoint(path)
    check_complete(model, checkpoint, path)
    model.to(args.device or get_device())
    class_names = evaluator.get('class_names') if isinstance(evaluator, dict) else None
    sample = measure_sample(
        model, dataset, name, args.images, labelled=validates, class_names=class_names
    )
    sample.epoch = checkpoint['meta'].get('epoch', 0)
    sample.iter = checkpoint['meta'].get('iter', 0)
    write_sample(sample, folder)


def main(argv: list[str] | None = None) -> None:
    """Write a report from the command line."""
    args = parse_args(argv)
    several = len(args.work_dirs) > 1
    titles = args.titles or [None] * len(args.work_dirs)
    if len(titles) != len(args.work_dirs):
        raise ConfigError(
            f'--titles has {len(titles)} names for {len(args.work_dirs)} work dirs.'
        )
    if several and args.config:
        raise ConfigError('--config measures one run: give one work dir.')
    for folder in args.work_dirs:
        if not Path(folder).is_dir():
            raise ConfigError(f'{folder} is not a folder; give the work dir of a run.')
    out = args.out or str(
        Path('work_dirs' if several else args.work_dirs[0], 'report.html')
    )
    check_output_file(out)
    # Imported here, since --help need not wait for torch.
    from mmlgd.report import collect_run, write_report

    if args.config:
        measure(args)
    runs = [collect_run(path, title) for path, title in zip(args.work_dirs, titles)]
    write_report(runs, out)
    print(f'Written: {out}')
