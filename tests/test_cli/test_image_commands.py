"""`mmlgd embed`, `classify`, `autolabel`, `info`, `list` and `probe` on toys."""

import csv
import json

import numpy as np
import pytest
from pyarrow.parquet import read_table

from mmlgd.apis import ZeroShotClassifier
from mmlgd.apis.inferencers import EmbeddingInferencer
from mmlgd.cli import autolabel, classify, embed, info, knn, probe
from mmlgd.cli import list as list_command
from mmlgd.errors import CheckpointError, ConfigError, DataError, DependencyError
from tests.runs import trained_toy
from tests.toys import NAMES


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    root, work_dir = trained_toy(tmp_path_factory.mktemp('toy'))
    return root / 'train', work_dir


@pytest.fixture
def args(run):
    """Checkpoint and folder."""
    return [str(run[1] / 'epoch_2.pth'), str(run[0]), '--device', 'cpu']


def test_embeddings_as_npy_with_the_paths_beside(args, run, tmp_path, capsys):
    embed.main([*args, '--out', str(tmp_path / 'x.npy'), '--batch-size', '3'])
    rows = np.load(tmp_path / 'x.npy')
    expected = EmbeddingInferencer(args[0], 'cpu')(run[0])
    np.testing.assert_allclose(rows, expected, rtol=1e-5)
    paths = (tmp_path / 'x.txt').read_text().splitlines()
    assert paths == [str(path) for path in sorted(run[0].iterdir())]
    assert '16 images, 16 values each (embedding)' in capsys.readouterr().out


def test_embeddings_as_csv(args, tmp_path):
    embed.main([*args, '--out', str(tmp_path / 'x.csv'), '--part', 'features'])
    with open(tmp_path / 'x.csv', newline='') as file:
        head, *rows = csv.reader(file)
    assert head == ['image', *map(str, range(12))]
    assert len(rows) == 16
    assert all(float(cell) == float(cell) for cell in rows[0][1:])


def test_parquet_needs_pyarrow_and_says_so_first(args, tmp_path, monkeypatch):
    monkeypatch.setattr('mmlgd.apis.embedding_files.find_spec', lambda _: None)
    with pytest.raises(DependencyError, match='pip install pyarrow'):
        embed.main([*args, '--out', str(tmp_path / 'x.parquet')])
    with pytest.raises(ConfigError, match='must end with'):
        embed.main([*args, '--out', str(tmp_path / 'x.xlsx')])


def test_parquet_has_a_row_per_image(args, tmp_path):
    embed.main([*args, '--out', str(tmp_path / 'x.parquet')])
    table = read_table(tmp_path / 'x.parquet').to_pydict()
    assert len(table['image']) == 16
    assert len(table['embedding'][0]) == 16


def test_a_few_images_are_printed(args, run, capsys):
    classify.main([*args, '--topk', '2'])
    lines = [line for line in capsys.readouterr().out.splitlines() if '.png' in line]
    expected = ZeroShotClassifier(args[0])(run[0], topk=2)
    assert len(lines) == 16
    for line, best in zip(lines, expected):
        for name, score in best:
            assert f'{name} {score:.3f}' in line


def test_classes_are_written_and_drawn(args, run, tmp_path, capsys):
    (tmp_path / 'bad.png').write_bytes(b'x')
    out, drawn = tmp_path / 'x.csv', tmp_path / 'drawn'
    options = ['--out', str(out), '--draw', str(drawn), '--topk', '2']
    paths = [args[1], str(tmp_path / 'bad.png')]
    classify.main([args[0], *paths, *options, '--device', 'cpu'])
    with open(out, newline='') as file:
        rows = [*csv.DictReader(file)]
    assert [*rows[0]] == ['image', 'name1', 'score1', 'name2', 'score2']
    assert len(rows) == 16
    assert float(rows[0]['score1']) >= float(rows[0]['score2'])
    assert len([*drawn.iterdir()]) == 16
    shown = capsys.readouterr()
    assert '1 image(s) cannot be read and were left out' in shown.err
    assert 'bad.png' in shown.err


def test_other_names_and_wrong_ones(args, capsys):
    classify.main([args[0], f'{args[1]}/000.png', '--names', 'wolf', 'bear'])
    assert {'wolf', 'bear'} & {*capsys.readouterr().out.split()}
    with pytest.raises(ConfigError, match='topk is 9, but there are only 4'):
        classify.main([*args, '--topk', '9'])


def test_labels_and_a_list_of_rejected_ones(args, run, tmp_path, capsys):
    (tmp_path / 'rejected.txt').write_text(f'{run[0]}/000.png\n')
    options = ['--out', str(tmp_path / 'out'), '--threshold', '0']
    exclude = ['--exclude', str(tmp_path / 'rejected.txt')]
    autolabel.main([*args, *options, *exclude, '--teacher'])
    assert '15 of 15 images reach 0' in capsys.readouterr().out
    assert 'named by the teacher' in (tmp_path / 'out/review.html').read_text()
    with pytest.raises(ConfigError, match='--exclude absent.txt cannot be read'):
        autolabel.main([*args, *options, '--exclude', 'absent.txt'])


@pytest.mark.parametrize('command', [embed, classify, autolabel])
def test_missing_files_are_named_before_anything_is_imported(
    command, args, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        'mmlgd.utils.quiet.import_apis', lambda: pytest.fail('imported')
    )
    with pytest.raises(CheckpointError, match="checkpoint 'absent.pth' does not exist"):
        command.main(['absent.pth', args[1], '--out', 'x'])
    with pytest.raises(DataError, match="folder 'absent' .* Nor do 1 others"):
        command.main([args[0], args[1], 'absent', 'gone.png', '--out', 'x'])
    for other in (
        lambda: probe.main(['absent.pth', '--train', args[1], '--test', args[1]]),
        lambda: knn.main(
            ['config.py', 'absent.pth', '--out', str(tmp_path / 'knn.json')]
        ),
    ):
        with pytest.raises(CheckpointError, match="'absent.pth' does not exist"):
            other()


def test_labels_that_nothing_reaches_show_the_scores(args, tmp_path, capsys):
    out = ['--out', str(tmp_path / 'out')]
    autolabel.main([*args, *out, '--threshold', '1'])
    shown = capsys.readouterr().out
    scores = sorted(best[0][1] for best in ZeroShotClassifier(args[0])(args[1]))
    assert '0 of 16 images reach 1' in shown
    assert (
        f'Scores are {scores[0]:.3f} to {scores[-1]:.3f}, with a median of '
        f'{scores[8]:.3f}'
    ) in shown
    assert 'set a lower --threshold' in shown
    autolabel.main([*args, *out, '--threshold', '0'])
    assert 'set a lower' not in capsys.readouterr().out


@pytest.mark.parametrize('command', [classify, autolabel])
def test_one_name_for_all_of_many_images_is_doubted(
    command, run, args, tmp_path, capsys
):
    one = [str(run[0] / '000.png')]
    rest = ['--out', str(tmp_path / 'x.csv'), *args[2:]]
    command.main([args[0], *one * 20, *rest])
    assert 'All 20 images got the name' in capsys.readouterr().err
    command.main([args[0], *one * 19, *rest])
    assert 'got the name' not in capsys.readouterr().err


def test_info_of_a_checkpoint_and_of_a_backbone(run, capsys):
    info.main([str(run[1] / 'epoch_2.pth')])
    shown = capsys.readouterr().out
    for fact in (
        'kind                 training checkpoint',
        'epoch                2',
        'iter                 8',
        'names                4: bird, cat, dog, fish',
        'teacher              ToyTeacher',
        'image size           16',
        'backbone 336',  # 3 * 12 * 9 weights and 12 biases
    ):
        assert fact in shown, fact
    info.main([str(run[1] / 'backbone.pth'), '--json'])
    found = json.loads(capsys.readouterr().out)
    assert found['values'] == dict(backbone=336)
    assert found['category_names'] == sorted(NAMES)
    assert not found['can_resume']


def test_lists(capsys):
    list_command.main([])
    shown = capsys.readouterr().out
    for part in ('mbv3_small', 'clip_rn50', '80 names: person, bicycle, car'):
        assert part in shown
    list_command.main(['names', '--json'])
    assert json.loads(capsys.readouterr().out)['coco']['size'] == 80
    list_command.main(['students'])
    shown = capsys.readouterr().out
    assert 'MobileNetV3-small: 0.9 M parameters' in shown
    assert 'clip_rn50' not in shown


@pytest.fixture
def colours(tmp_path):
    """Classes that any backbone tells apart, twelve images each."""
    import cv2

    for split, count in (('train', 12), ('test', 6)):
        for name, bgr in dict(red=(10, 10, 200), blue=(200, 10, 10)).items():
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = np.full((20, 20, 3), bgr, np.uint8) + np.uint8(number)
                cv2.imwrite(str(folder / f'{number}.png'), image)
    return tmp_path


def test_probe_of_classes_that_are_easy(run, colours, tmp_path, capsys):
    options = ['--train', str(colours / 'train'), '--test', str(colours / 'test')]
    rest = ['--device', 'cpu', '--out', str(tmp_path / 'probe.json'), '--epochs', '20']
    probe.main([str(run[1] / 'backbone.pth'), *options, *rest, '--share', '0.5'])
    found = json.loads((tmp_path / 'probe.json').read_text())
    assert (found['top1'], found['balanced']) == (100.0, 100.0)
    assert (found['num_train_images'], found['num_test_images']) == (12, 12)
    assert 'top1 100.0' in capsys.readouterr().out


def test_probe_refuses_to_test_on_training_images(run, colours):
    (colours / 'link').symlink_to(colours / 'train')
    for test in ('train', 'link'):
        options = ['--train', str(colours / 'train'), '--test', str(colours / test)]
        with pytest.raises(
            DataError, match='24 of the 24 test images .* also training'
        ):
            probe.main([str(run[1] / 'backbone.pth'), *options])


def test_probe_refuses_folders_that_do_not_match(run, colours):
    (colours / 'test/green').mkdir()
    options = ['--train', str(colours / 'train'), '--test', str(colours / 'test')]
    with pytest.raises(DataError, match="does not have, such as 'green'"):
        probe.main([str(run[1] / 'backbone.pth'), *options])
    with pytest.raises(DataError, match="'absent' does not exist"):
        probe.main([str(run[1] / 'backbone.pth'), '--train', 'absent', *options[2:]])
    with pytest.raises(DataError, match='has no subfolders'):
        probe.main([str(run[1] / 'backbone.pth'), '--train', str(run[0]), *options[2:]])
