"""From two models and a folder of images to a teacher that reads category names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmlgd.cli import align_teacher as tool
from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from tests.helpers import tiny_teacher, tiny_teacher_cfg
from tests.test_configs.shrink import NAMES, write_images

TOOL = Path(__file__).parents[2] / 'tools/align_teacher.py'
RESNET = dict(type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Twelve images, weights of both models, and a config that names them."""
    import open_clip

    folder = tmp_path_factory.mktemp('align')
    write_images(folder / 'images', number=12)
    torch.manual_seed(0)
    backbone = MODELS.build(RESNET)
    weights = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    torch.save(dict(state_dict=weights), folder / 'r18.pth')
    tiny_teacher()  # registers the model's config
    torch.save(open_clip.create_model('rn_tiny').state_dict(), folder / 'clip.pt')
    config = Config(
        dict(
            teacher=teacher_cfg(folder),
            target=target_cfg(folder),
            dataloader=dict(
                batch_size=5,
                num_workers=0,
                dataset=dict(
                    type='UnlabeledImages',
                    data_root=str(folder / 'images'),
                    test_mode=True,
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        dict(type='Resize', scale=(64, 64)),
                        dict(type='mmpretrain.PackInputs'),
                    ],
                ),
            ),
            alignment=dict(held_out=0.25, strengths=[0.01, 1.0]),
        )
    )
    config.dump(folder / 'pair.py')
    return folder


def teacher_cfg(folder, **overrides):
    return dict(
        type='MMPretrainTeacher',
        backbone=RESNET,
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        checkpoint=str(folder / 'r18.pth'),
        image_size=32,
        **overrides,
    )


def target_cfg(folder):
    return dict(tiny_teacher_cfg(), pretrained=str(folder / 'clip.pt'))


def test_the_projection_serves_distillation_and_zero_shot(root, capsys):
    tool.main([str(root / 'pair.py'), '--out', str(root / 'out/map.pth')])

    report = json.loads((root / 'out/map.json').read_text())
    meta = torch.load(root / 'out/map.pth', weights_only=True)['meta']
    assert meta.items() <= report.items()
    assert (report['num_images'], report['num_held_out']) == (9, 3)
    assert [row['strength'] for row in report['table']] == [0.01, 1.0]
    printed = capsys.readouterr().out
    assert f'{report["held_out_cosine"]:.4f}  <- chosen' in printed
    assert f'{report["aligned_teacher"]} -> {report["alignment_target"]}' in printed

    bank = dict(
        type='TextualSemanticsBank', categories=NAMES, templates=['a {}.', 'the {}.']
    )
    model = MODELS.build(
        dict(
            type='LGD',
            teacher=teacher_cfg(
                root,
                projection=str(root / 'out/map.pth'),
                text_encoder=target_cfg(root),
            ),
            backbone=RESNET,
            textual_bank=bank,
            visual_bank=dict(type='VisualSemanticsBank', momentum=0.9),
        )
    )
    torch.manual_seed(0)
    images = torch.rand(4, 3, 32, 32)
    losses = model(images, mode='loss')
    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())
    assert model.backbone.conv1.weight.grad.abs().sum() > 0
    # The projection lies in the space of the names: scores by hand.
    clip = tiny_teacher(str(root / 'clip.pt'))
    rows = [clip.encode_text([f'a {n}.', f'the {n}.']).mean(dim=0) for n in NAMES]
    anchors = torch.nn.functional.normalize(torch.stack(rows), dim=1)
    scores = (model.teacher.encode_image(images) @ anchors.T / 0.01).softmax(dim=1)
    for sample, score in zip(model(images, mode='predict'), scores):
        torch.testing.assert_close(sample.teacher_pred_score, score)


def test_options_of_the_config(root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    option = 'alignment.strengths=[0.3]'
    tool.main([str(root / 'pair.py'), '--cfg-options', option, 'alignment.seed=5'])
    report = json.loads(Path('work_dirs/alignment/pair.json').read_text())
    assert Path('work_dirs/alignment/pair.pth').is_file()
    assert (report['strength'], report['seed']) == (0.3, 5)


def test_an_unwritable_output_is_found_before_the_fit(root, monkeypatch):
    monkeypatch.setattr(tool, 'fit', None)
    with pytest.raises(ConfigError, match='--out .* is a folder; name a file in it'):
        tool.main([str(root / 'pair.py'), '--out', str(root)])


@pytest.mark.slow
def test_an_empty_folder_ends_with_one_line(root, tmp_path):
    (tmp_path / 'empty').mkdir()
    option = f'dataloader.dataset.data_root={tmp_path / "empty"}'
    command = [
        sys.executable,
        str(TOOL),
        str(root / 'pair.py'),
        '--cfg-options',
        option,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert 'DataError' in done.stderr and 'has no image' in done.stderr
    assert 'Traceback' not in done.stderr
