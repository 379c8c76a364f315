"""tools/test.py: predictions on disk and in pictures, for each library."""

import pickle
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, VISUALIZERS, init_default_scope

from mmlgd.cli import test as test_tool
from mmlgd.errors import CheckpointError, ConfigError
from tests.toy_tool_run import TOOLS, run_tool


@pytest.mark.slow
def test_writes_predictions_and_images(trained, toy_config, tmp_path):
    result = run_tool(
        *(sys.executable, TOOLS / 'test.py', toy_config, trained[0] / 'epoch_2.pth'),
        *('--work-dir', 'w', '--out', 'new/out.pkl', '--show-dir', 'show'),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    predictions = pickle.loads((tmp_path / 'new' / 'out.pkl').read_bytes())
    assert len(predictions) == 8
    for prediction in predictions:
        score = prediction['pred_score'].numpy()
        assert score.sum() == pytest.approx(1, abs=1e-5)
        assert prediction['pred_label'].item() == score.argmax()
    assert len(list((tmp_path / 'show').iterdir())) == 8
    picture = cv2.imread(str(tmp_path / 'show' / 'b0.png_0.png'))
    # The corner away from the text: red is still red (last in BGR).
    assert np.argmax(picture[-4:, -4:].mean(axis=(0, 1))) == 2


@pytest.mark.slow
def test_a_part_of_a_checkpoint_is_refused_for_any_config(
    trained, toy_config, tmp_path
):
    # The config is mmpretrain's alone, without a hook of ours.
    whole = torch.load(trained[0] / 'epoch_2.pth', weights_only=False)
    state = whole['state_dict']
    part = {key: value for key, value in state.items() if 'backbone' in key}
    other = {**state, 'head.fc.bias': torch.zeros(7)}
    for name, wrong in (('backbone', part), ('other', other)):
        torch.save(dict(state_dict=wrong), tmp_path / f'{name}.pth')
        with pytest.raises(CheckpointError, match=f'{name}.pth.* head.fc'):
            test_tool.main(
                [
                    *(str(toy_config), str(tmp_path / f'{name}.pth')),
                    *('--work-dir', str(tmp_path / name)),
                ]
            )


DETECTION = """
_base_ = ['mmdet::_base_/default_runtime.py', 'mmdet::_base_/models/retinanet_r50_fpn.py']
"""
SEGMENTATION = """
_base_ = ['mmseg::_base_/default_runtime.py', 'mmseg::_base_/models/fpn_r50.py']
"""


@pytest.mark.parametrize(
    ('text', 'hook_name', 'visualizer_name'),
    [
        (DETECTION, 'DetVisualizationHook', 'DetLocalVisualizer'),
        (SEGMENTATION, 'SegVisualizationHook', 'SegLocalVisualizer'),
    ],
    ids=['mmdet', 'mmseg'],
)
@pytest.mark.parametrize('scope', ['', "default_scope = 'mmlgd'"], ids=['own', 'mmlgd'])
def test_draws_with_the_hook_of_the_models_library(
    text, hook_name, visualizer_name, scope, tmp_path
):
    (tmp_path / 'c.py').write_text(text + scope)
    cfg = Config.fromfile(tmp_path / 'c.py')
    show = str(tmp_path / 'show')
    test_tool.enable_drawing(cfg, show)
    init_default_scope(cfg.default_scope)
    # A name of its own: visualizers are global by name.
    named = dict(cfg.visualizer, name=f'{hook_name}{tmp_path}')
    visualizer = VISUALIZERS.build({'save_dir': str(tmp_path), **named})
    hook = HOOKS.build(cfg.default_hooks.visualization)
    assert type(hook).__name__ == hook_name
    assert type(visualizer).__name__ == visualizer_name
    assert hook.draw is True
    if 'Det' in hook_name:
        assert hook.test_out_dir == show
    else:
        storage = visualizer.get_backend('LocalVisBackend')
        assert storage._save_dir.startswith(show)


def test_distillation_draws_with_mmpretrains_hook():
    cfg = Config(
        dict(
            default_scope='mmlgd',
            model=dict(type='LGD'),
            default_hooks=dict(
                visualization=dict(type='mmpretrain.VisualizationHook', resize=64),
                logger=dict(type='LoggerHook'),
            ),
            visualizer=dict(type='Visualizer'),
        )
    )
    test_tool.enable_drawing(cfg, '/show')
    hook = cfg.default_hooks.visualization
    assert hook.type == 'mmlgd.TrueColorVisualizationHook'
    assert (hook.enable, hook.out_dir, hook.resize) == (True, '/show', 64)
    assert cfg.default_hooks.logger.type == 'LoggerHook'
    assert cfg.visualizer.type == 'mmpretrain.UniversalVisualizer'


@pytest.mark.parametrize(
    ('model', 'kind'),
    [
        (dict(type='RetinaNet', _scope_='mmdet'), 'mmdet.DumpDetResults'),
        (dict(type='mmseg.EncoderDecoder'), 'mmengine.DumpResults'),
        (dict(type='LGD'), 'mmengine.DumpResults'),
    ],
)
def test_out_uses_the_librarys_own_format(model, kind):
    cfg = Config(dict(default_scope='mmlgd', model=model))
    assert test_tool.dump_metric(cfg, 'x.pkl')['type'] == kind


def test_invalid_options_are_refused_by_name():
    cfg = Config(dict(default_scope='mmlgd', model=dict(type='mmpose.TopDown')))
    with pytest.raises(ConfigError, match="TopDown is of 'mmpose'"):
        test_tool.enable_drawing(cfg, 'show')
    with pytest.raises(ConfigError, match=r"\.pkl or \.pickle, but is 'x.json'"):
        test_tool.dump_metric(cfg, 'x.json')
