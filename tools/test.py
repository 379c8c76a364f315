#!/usr/bin/env python
"""Test any config: distillation, classification, detection or segmentation."""

import argparse
import os.path as osp
import sys
from importlib.util import find_spec

if find_spec('mmlgd') is None:  # not installed: run from the repository
    sys.path.insert(0, osp.dirname(osp.dirname(osp.abspath(__file__))))

import mmlgd  # noqa: F401, I001  (first: it makes `mmseg::` bases resolve)
from mmengine.config import Config
from mmengine.registry import METRICS

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.tool import add_common_arguments, build_runner, load_config, run_tool

_NEEDED = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')

#: How each library draws: its hook with the hook's switches, and its visualizer.
#: `{}` is the folder; mmseg's hook has no folder of its own and draws where its
#: visualizer stores.
_DRAWING = {
    'mmpretrain': (
        dict(
            type='mmlgd.TrueColorVisualizationHook',
            enable=True,
            interval=1,
            out_dir='{}',
        ),
        dict(type='mmpretrain.UniversalVisualizer'),
    ),
    'mmdet': (
        dict(type='mmdet.DetVisualizationHook', draw=True, test_out_dir='{}'),
        dict(type='mmdet.DetLocalVisualizer'),
    ),
    'mmseg': (
        dict(type='mmseg.SegVisualizationHook', draw=True),
        dict(type='mmseg.SegLocalVisualizer', save_dir='{}'),
    ),
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or address')
    parser.add_argument('--out', help='write the predictions to this .pkl file')
    parser.add_argument('--show-dir', help='draw the predictions into this folder')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def library_of(cfg: Config) -> str:
    """Name the library whose hooks and metrics suit the model's predictions.

    A distiller of mmlgd predicts mmpretrain's data samples.

    Raises:
        ConfigError: The model is of none of the known libraries.
    """
    prefix, _, name = cfg.model.type.rpartition('.')
    scope = cfg.model.get('_scope_') or prefix or cfg.get('default_scope', 'mmengine')
    library = 'mmpretrain' if scope == 'mmlgd' else scope
    if library not in _DRAWING:
        raise ConfigError(
            f'--out and --show-dir know predictions of mmlgd, {", ".join(_DRAWING)}, '
            f'but the model {name} is of {scope!r}; set default_scope or model._scope_.'
        )
    return library


def _name(type_: str) -> str:
    """Name of a class without its scope, and of our hook, its base's."""
    return type_.rpartition('.')[2].removeprefix('TrueColor')


def _over(old: dict | None, new: dict, folder: str) -> dict:
    """Lay ``new`` over ``old``, or over nothing if ``old`` is of another type."""
    kept = old if old and _name(old.get('type', '')) == _name(new['type']) else {}
    values = {key: folder if value == '{}' else value for key, value in new.items()}
    return {**kept, **values}


def draw_into(cfg: Config, folder: str) -> None:
    """Switch on the drawing of predictions, whatever the config draws by itself.

    Args:
        cfg (Config): Changed in place: ``default_hooks.visualization``, ``visualizer``.
        folder (str): Where the pictures go.
    """
    hook, visualizer = _DRAWING[library_of(cfg)]
    # mmdet joins a relative folder to its own log folder.
    folder = osp.abspath(folder)
    hooks = cfg.get('default_hooks') or {}
    drawing = _over(hooks.get('visualization'), hook, folder)
    cfg.default_hooks = {**hooks, 'visualization': drawing}
    # Without a backend, mmseg would store its drawings nowhere.
    backends = dict(vis_backends=[dict(type='LocalVisBackend')])
    cfg.visualizer = {
        **backends,
        **_over(cfg.get('visualizer'), visualizer, folder),
    }


def dump_metric(cfg: Config, out: str) -> dict:
    """Return the config of the metric that writes the predictions to ``out``.

    Raises:
        ConfigError: ``out`` is no .pkl file.
    """
    if not out.endswith(('.pkl', '.pickle')):
        raise ConfigError(f'--out must end with .pkl or .pickle, but is {out!r}.')
    # mmdet's own leaves the ground truth away and compresses masks.
    is_detection = library_of(cfg) == 'mmdet'
    kind = 'mmdet.DumpDetResults' if is_detection else 'mmengine.DumpResults'
    return dict(type=kind, out_file_path=out)


def main(argv: list[str] | None = None) -> None:
    """Test from the command line."""
    args = parse_args(argv)
    cfg = load_config(args, _NEEDED)
    if '://' not in args.checkpoint and not osp.isfile(args.checkpoint):
        raise CheckpointError(
            f'Checkpoint {args.checkpoint!r} is not there; give the path of a .pth '
            'file.'
        )
    cfg.load_from = args.checkpoint
    # Schedules of mmdet and mmseg bring a val_cfg; without its data set, the Runner
    # would refuse the config, though nothing is validated here.
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.show_dir:
        draw_into(cfg, args.show_dir)
    metric = dump_metric(cfg, args.out) if args.out else None
    runner = build_runner(cfg, ['test_dataloader'])
    if metric:
        runner.test_evaluator.metrics.append(METRICS.build(metric))
    runner.test()


if __name__ == '__main__':
    run_tool(main)
