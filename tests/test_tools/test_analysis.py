"""The thin analysis and visualization tools, each on a small trained student."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mmlgd.errors import ConfigError
from tests.runs import toy_run_cfg, write_images
from tests.test_tools.test_outputs import load
from tests.toys import NAMES


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Config and work dir of the toy run of two epochs."""
    root = tmp_path_factory.mktemp('tools')
    cfg = toy_run_cfg(write_images(root / 'data'), root / 'run')
    Runner.from_cfg(cfg.copy()).train()
    cfg.dump(root / 'toy.py')
    return root / 'toy.py', root / 'run'


def test_logs_are_summarised_and_drawn(run, tmp_path, capsys):
    out = tmp_path / 'curves.png'
    tool = load('analysis_tools/analyze_logs.py')
    tool.main([str(run[1]), '--keys', 'loss', '--out', str(out)])
    rows = [line for line in capsys.readouterr().out.splitlines() if '  loss ' in line]
    log = next(run[1].glob('*/vis_data/scalars.json')).read_text().splitlines()
    losses = [row['loss'] for row in map(json.loads, log) if 'loss' in row]
    wanted = (losses[0], losses[-1], min(losses), max(losses))
    assert rows[0].split()[1:] == [f'{value:.4g}' for value in wanted]
    assert cv2.imread(str(out)) is not None
    with pytest.raises(ConfigError, match="'los' was not logged. Did you mean 'loss'"):
        tool.main([str(run[1]), '--keys', 'los'])


def test_the_schedule_follows_warm_up_and_cosine(run, tmp_path, capsys):
    out = tmp_path / 's.png'
    config = tmp_path / 'c.py'
    config.write_text(
        f"_base_ = '{run[0]}'\n"
        "param_scheduler = [dict(type='LinearLR', start_factor=0.5, end=2), "
        "dict(type='CosineAnnealingLR', T_max=2, begin=2, end=4)]\n"
        'train_cfg = dict(max_epochs=4)\n'
    )
    tool = load('visualization/vis_scheduler.py')
    tool.main([str(config), '--images', '40', '--out', str(out)])
    found = json.loads((tmp_path / 's.json').read_text())
    assert found['iterations_per_epoch'] == 10
    # Half the rate, the whole, then the cosine at 0 and at half of its period.
    wanted = [0.05] * 10 + [0.1] * 20 + [0.05] * 10
    assert found['lr'] == pytest.approx(wanted)
    assert found['momentum'] == pytest.approx([0.9] * 40)
    assert 'iteration       40, epoch    3.90: lr 0.05' in capsys.readouterr().out
    assert cv2.imread(str(out)) is not None


def test_views_of_an_image_are_in_a_row(run, tmp_path, capsys):
    out = tmp_path / 'views.png'
    tool = load('visualization/browse_dataset.py')
    tool.main([str(run[0]), '-n', '3', '--views', '2', '--out', str(out)])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith('row 1: ') and said[0].endswith('train/000.png')
    assert said[2].endswith('train/015.png')
    image = cv2.imread(str(out))
    # Tiles of 16 pixels with borders of 2.
    assert image.shape == (3 * 18 + 2, 2 * 18 + 2, 3)
    tiles = image[2:18, 2:18], image[2:18, 20:36]
    assert np.abs(tiles[0].astype(int) - tiles[1]).mean() > 1


def test_a_validation_image_is_drawn_in_its_colours(run, tmp_path):
    out = tmp_path / 'views.png'
    tool = load('visualization/browse_dataset.py')
    arguments = '--phase val -n 1 --views 1'.split()
    tool.main([str(run[0]), *arguments, '--out', str(out)])
    source = cv2.imread(str(run[0].parent / 'data/val/bird/002.png'))
    # The short side, 20 of 24, becomes 16; the middle is cropped.
    wanted = cv2.resize(source, (19, 16), interpolation=cv2.INTER_LINEAR)[:, 2:18]
    shown = cv2.imread(str(out))
    assert np.abs(shown.astype(int) - wanted).mean() < 4


@pytest.mark.parametrize('method', ['tsne', 'pca'])
def test_features_are_drawn_with_their_classes(run, tmp_path, capsys, method):
    out = tmp_path / 'points.png'
    load('visualization/vis_tsne.py').main(
        [str(run[0]), str(run[1] / 'backbone.pth'), '--method', method, '--images', '12',
         '--out', str(out), '--device', 'cpu']
    )  # fmt: skip
    found = json.loads((tmp_path / 'points.json').read_text())
    assert np.shape(found['points']) == (12, 2)
    assert len(found['labels']) == 12 and set(found['labels']) <= {0, 1, 2, 3}
    assert found['classes'] == sorted(NAMES)
    assert '12 images; nearest neighbour of the same class: ' in capsys.readouterr().out
    assert cv2.imread(str(out)) is not None


def test_the_gradient_map_is_high_where_the_object_is(run, tmp_path, capsys):
    # The backbone's convolution answers to a bright spot on the right only.
    checkpoint = torch.load(run[1] / 'epoch_2.pth', weights_only=True)
    state = checkpoint['state_dict']
    state['backbone.conv.weight'][:] = 0.1
    state['backbone.conv.bias'][:] = 0
    torch.save(checkpoint, tmp_path / 'epoch.pth')
    image = np.zeros((20, 20, 3), np.uint8)
    image[8:12, 14:18] = 255
    cv2.imwrite(str(tmp_path / 'spot.png'), image)
    tool = load('visualization/vis_cam.py')
    out = tmp_path / 'cam.png'
    arguments = [str(tmp_path / 'spot.png'), str(tmp_path / 'epoch.pth')]
    tool.main([*arguments, '--out', str(out)])
    name = capsys.readouterr().out.split(':')[0]
    assert name in NAMES
    assert cv2.imread(str(out)).shape == (16, 16, 3)
    with pytest.raises(ConfigError, match="'brid' is not among.*Did you mean 'bird'"):
        tool.main([*arguments, '--name', 'brid'])


def test_confusions_are_counted_by_name(run, tmp_path, capsys):
    from mmlgd.apis import ZeroShotClassifier

    out = tmp_path / 'c.png'
    checkpoint = run[1] / 'epoch_2.pth'
    load('analysis_tools/confusion_matrix.py').main(
        [str(run[0]), str(checkpoint), '--out', str(out), '--cfg-options',
         'val_dataloader.dataset.classes=[fish, dog, cat, bird]']
    )  # fmt: skip
    found = json.loads((tmp_path / 'c.json').read_text())
    classifier = ZeroShotClassifier(checkpoint)
    wanted = np.zeros((4, 4), int)
    # With these classes, the sorted folders bird, cat, ... have the labels 0, 1, ...
    for label, folder in zip(['fish', 'dog', 'cat', 'bird'], sorted(NAMES)):
        for path in sorted((run[0].parent / f'data/val/{folder}').iterdir()):
            name = classifier(str(path))[0][0][0]
            wanted[found['names'].index(label), found['names'].index(name)] += 1
    assert found['matrix'] == wanted.tolist()
    assert f'right: {wanted.trace()} of 16 images' in capsys.readouterr().out
    assert cv2.imread(str(out)) is not None


def test_latency_of_both_forms_is_printed_and_written(run, tmp_path, capsys):
    out = tmp_path / 'l.json'
    load('analysis_tools/benchmark_latency.py').main(
        f'{run[0]} --size 16 --batch-sizes 1 2 --seconds 0.01 --device cpu --out {out}'.split()
    )
    rows = json.loads(out.read_text())['rows']
    assert [row['batch_size'] for row in rows] == [1, 2]
    said = capsys.readouterr().out
    assert all(0 < row[key] < 1000 for row in rows for key in ('ms', 'fused_ms'))
    assert all(f'{row["ms"]:.2f}' in said for row in rows)


def test_a_config_is_printed_with_its_options(run, capsys):
    tool = load('misc/print_config.py')
    tool.main([str(run[0]), '--cfg-options', 'model.alpha=0.25'])
    assert 'alpha=0.25' in capsys.readouterr().out
    with pytest.raises(ConfigError, match='alhpa'):
        tool.main([str(run[0]), '--cfg-options', 'model.alhpa=0.25'])


def test_a_published_checkpoint_classifies_and_is_smaller(run, tmp_path, capsys):
    import hashlib

    from mmlgd.apis import ZeroShotClassifier

    source = run[1] / 'epoch_2.pth'
    tool = load('model_converters/publish_model.py')
    tool.main([str(source), str(tmp_path / 'toy.pth')])
    (out,) = tmp_path.iterdir()
    digest = hashlib.sha256(out.read_bytes()).hexdigest()[:8]
    assert out.name == f'toy-{digest}.pth'
    contents = torch.load(out, weights_only=True)
    assert set(contents) == {'state_dict', 'meta'} and 'cfg' not in contents['meta']
    assert out.stat().st_size < source.stat().st_size
    image = str(run[0].parent / 'data/train/000.png')
    assert ZeroShotClassifier(out)(image) == ZeroShotClassifier(source)(image)
    assert f'Written: {out}' in capsys.readouterr().out


def test_the_image_demo_prints_and_draws_the_names(run, tmp_path, capsys):
    from demo import image_demo
    from mmlgd.apis import ZeroShotClassifier

    checkpoint, folder = run[1] / 'epoch_2.pth', run[0].parent / 'data/val/cat'
    arguments = [str(folder), str(checkpoint), '--topk', '2']
    image_demo.main([*arguments, '--out-dir', str(tmp_path / 'out')])
    said = capsys.readouterr().out.splitlines()
    paths = sorted(folder.iterdir())
    for line, path, row in zip(
        said, paths, ZeroShotClassifier(checkpoint)(str(folder), 2)
    ):
        names = ', '.join(f'{name} {score:.2f}' for name, score in row)
        assert line == f'{path}: {names}'
    drawn = sorted((tmp_path / 'out').iterdir())
    assert [path.name for path in drawn] == [
        f'{number:05}_{path.stem}.png' for number, path in enumerate(paths)
    ]
    assert cv2.imread(str(drawn[0])).shape[0] == 256
