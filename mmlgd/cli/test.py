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
    parser = argparse.ArgumentParser(
        description='Test any config: distillation, classification, detection or '
        'segmentation.'
    )
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
    name, prefix = class_name(cfg.model.type), scope_of(cfg.model.type)
    scope = cfg.model.get('_scope_') or prefix or cfg.get('default_scope', 'mmengine')
    library = 'mmpretrain' if scope == 'mmlgd' else scope
    if library not in _DRAWING:
        raise ConfigError(
            f'--out and --show-dir know predictions of mmlgd, {", ".join(_DRAWING)}, '
            f'but the model {name} is of {scope!r}; set default_scope or model._scope_.'
        )
    return library


def _name(type_: Any) -> str:
    """Name of a class without its scope, and of our hook, its base's."""
    return class_name(type_).removeprefix('TrueColor')


def _over(old: dict | None, new: dict, folder: str) -> dict:
    """Lay ``new`` over ``old``, or over nothing if ``old`` is of another type."""
    kept = old if old and _name(old.get('type', '')) == _name(new['type']) else {}
    values = {key: folder if value == '{}' else value for key, value in new.items()}
    return {**kept, **values}


def draw_into(cfg: Config, folder: str) -> None:
    """Switch on the drawing of predictions, whatever the config draws by itself.

    Args:
        cfg (Config): Changed in place: ``default_hooks.visualization``, ``visualizer``.
        folder (str): Output folder of the images.
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
        ConfigError: ``out`` cannot be written, or is not a .pkl file.
    """
    check_output_file(out, '--out', ('.pkl', '.pickle'))
    # mmdet's own omits the ground truth and compresses masks.
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
    # Schedules of mmdet and mmseg bring a val_cfg; without its dataset, the Runner
    # would refuse the config, though nothing is validated here.
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.show_dir:
        check_output_folder(args.show_dir, '--show-dir')
        draw_into(cfg, args.show_dir)
    metric = dump_metric(cfg, args.out) if args.out else None
    check_run(cfg, ['test_dataloader'])
    runner = build_runner(cfg, ToolRunner)
    runner.register_hook(WholeCheckpointHook())
    runner.register_hook(StartupHook())
    if metric:
        runner.test_evaluator.metrics.append(METRICS.build(metric))
    runner.test()
