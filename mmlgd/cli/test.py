"""``mmlgd test``: test a checkpoint of any config."""

import argparse
import os.path as osp
from typing import Any

from mmengine.config import Config
from mmengine.registry import METRICS

from mmlgd.engine.hooks import StartupHook, WholeCheckpointHook
from mmlgd.engine.tool_runner import ToolRunner
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.atomic import check_output_file, check_output_folder
from mmlgd.utils.config_types import class_name, scope_of
from mmlgd.utils.run_config import build_runner, check_run, load_config
from mmlgd.utils.tool import add_common_arguments

_NEEDED = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')

#: For each library, the hook that draws predictions and the visualizer it draws with.
#: `{}` is replaced by the folder. mmseg's hook has no folder option and draws into the
#: folder of its visualizer.
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
    parser = argparse.ArgumentParser(
        description='Test any config: distillation, classification, detection or '
        'segmentation.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('--out', help='write the predictions to this .pkl file')
    parser.add_argument('--show-dir', help='draw the predictions into this folder')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def prediction_library(cfg: Config) -> str:
    """Library whose visualization hooks and metrics fit the model's predictions.

    A distiller of mmlgd predicts data samples of mmpretrain.

    Raises:
        ConfigError: The model belongs to none of the supported libraries.
    """
    name, prefix = class_name(cfg.model.type), scope_of(cfg.model.type)
    scope = cfg.model.get('_scope_') or prefix or cfg.get('default_scope', 'mmengine')
    library = 'mmpretrain' if scope == 'mmlgd' else scope
    if library not in _DRAWING:
        raise ConfigError(
            f'--out and --show-dir support models of mmlgd, {", ".join(_DRAWING)}, but '
            f'the model {name} is of {scope!r}; set default_scope or model._scope_.'
        )
    return library


def _base_name(type_: Any) -> str:
    """Class name without scope; for our visualization hook, that of its base class."""
    return class_name(type_).removeprefix('TrueColor')


def _merge(old: dict | None, new: dict, folder: str) -> dict:
    """Update ``old`` with ``new``; drop ``old`` if it is of another type."""
    old = old or {}
    is_same = _base_name(old.get('type', '')) == _base_name(new['type'])
    kept = old if is_same else {}
    values = {key: folder if value == '{}' else value for key, value in new.items()}
    return {**kept, **values}


def enable_drawing(cfg: Config, folder: str) -> None:
    """Enable the drawing of predictions, whatever the config sets.

    Args:
        cfg (Config): Changed in place: ``default_hooks.visualization``, ``visualizer``.
        folder (str): Output folder of the images.
    """
    hook, visualizer = _DRAWING[prediction_library(cfg)]
    # mmdet joins a relative folder to its log folder.
    folder = osp.abspath(folder)
    hooks = cfg.get('default_hooks') or {}
    drawing = _merge(hooks.get('visualization'), hook, folder)
    cfg.default_hooks = {**hooks, 'visualization': drawing}
    # Without a backend, mmseg does not store its drawings.
    backends = dict(vis_backends=[dict(type='LocalVisBackend')])
    cfg.visualizer = {
        **backends,
        **_merge(cfg.get('visualizer'), visualizer, folder),
    }


def dump_metric(cfg: Config, out: str) -> dict:
    """Return the config of the metric that writes the predictions to ``out``.

    Raises:
        ConfigError: ``out`` cannot be written, or is not a .pkl file.
    """
    check_output_file(out, '--out', ('.pkl', '.pickle'))
    # mmdet's metric omits the ground truth and compresses masks.
    is_detection = prediction_library(cfg) == 'mmdet'
    kind = 'mmdet.DumpDetResults' if is_detection else 'mmengine.DumpResults'
    return dict(type=kind, out_file_path=out)


def main(argv: list[str] | None = None) -> None:
    """Test from the command line."""
    args = parse_args(argv)
    cfg = load_config(args, _NEEDED)
    if '://' not in args.checkpoint and not osp.isfile(args.checkpoint):
        raise CheckpointError(
            f'Checkpoint {args.checkpoint!r} does not exist; give the path of a .pth file.'
        )
    cfg.load_from = args.checkpoint
    # Schedules of mmdet and mmseg define val_cfg. The Runner refuses it without a
    # validation dataset, although nothing is validated here.
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.show_dir:
        check_output_folder(args.show_dir, '--show-dir')
        enable_drawing(cfg, args.show_dir)
    metric = dump_metric(cfg, args.out) if args.out else None
    check_run(cfg, ['test_dataloader'])
    runner = build_runner(cfg, ToolRunner)
    runner.register_hook(WholeCheckpointHook())
    runner.register_hook(StartupHook())
    if metric:
        runner.test_evaluator.metrics.append(METRICS.build(metric))
    runner.test()
