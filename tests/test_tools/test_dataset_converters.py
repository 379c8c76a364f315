"""The tools themselves: options, files, what is printed, exit codes."""

import importlib.util
import json
from pathlib import Path

import pytest
from mmpretrain.datasets import CustomDataset

from mmlgd.cli import check_datasets
from mmlgd.datasets import caltech256, imagenet_subsets, load_category_names
from mmlgd.errors import ConfigError

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters'


def load(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def touch(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet_subsets, 'NUM_CLASSES', 2)
    monkeypatch.setitem(imagenet_subsets.SIMCLR_COUNTS, 10, 3)
    for wnid in ('n00000001', 'n00000002'):
        touch(tmp_path / 'train' / wnid, *(f'{wnid}_{i}.JPEG' for i in range(20)))
    return tmp_path


def test_imagenet_subset_of_simclr(imagenet, capsys):
    listed = imagenet / 'list.txt'
    listed.write_text('n00000002_7.JPEG\nn00000001_3.JPEG\nn00000002_1.JPEG\n')
    options = [str(imagenet), '--percent', '10', '--list', str(listed)]
    load('imagenet_subset').main(options)
    assert (imagenet / 'meta' / '10percent.txt').read_text() == (
        'n00000001/n00000001_3.JPEG 0\n'
        'n00000002/n00000002_1.JPEG 1\n'
        'n00000002/n00000002_7.JPEG 1\n'
    )
    assert (
        "3 images of 2 classes, 1 to 2 each; SimCLR's list" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    'option, name, count, says',
    [
        ('--percent=10', '10percent_seed4.txt', 4, "not SimCLR's"),
        ('--shots=3', '3shot_seed4.txt', 6, 'a choice of seed 4'),
    ],
)
def test_seeded_imagenet_subset(imagenet, capsys, option, name, count, says):
    load('imagenet_subset').main([str(imagenet), option, '--seed', '4'])
    lines = (imagenet / 'meta' / name).read_text().splitlines()
    assert len({*lines}) == count
    assert sum(line.endswith(' 1') for line in lines) == count // 2
    assert says in capsys.readouterr().out


@pytest.mark.parametrize('option', ['--shots=0', '--percent=0'])
def test_no_images_asked_for(imagenet, option):
    with pytest.raises(ConfigError, match='at least 1|1 to 99'):
        load('imagenet_subset').main([str(imagenet), option])


def test_list_needs_a_percentage(imagenet):
    with pytest.raises(SystemExit):
        load('imagenet_subset').main([str(imagenet), '--shots', '1', '--list', 'x'])


def test_caltech256(tmp_path):
    for number in range(1, 258):
        names = [f'{number:03d}_{image:04d}.jpg' for image in range(1, 5)]
        touch(tmp_path / caltech256.IMAGE_FOLDER / f'{number:03d}.x', *names)
    load('caltech256').main([str(tmp_path), '--num-train', '3', '--any-count'])
    meta = tmp_path / 'meta'
    train, test = ((meta / f'{n}.txt').read_text().split() for n in ('train', 'test'))
    assert train[1::2] == [str(label) for label in range(256) for _ in range(3)]
    assert test[1::2] == [str(label) for label in range(256)]
    assert len({*train[::2], *test[::2]}) == 4 * 256
    names = load_category_names('caltech256')
    dataset = CustomDataset(
        data_root=str(tmp_path),
        data_prefix=caltech256.IMAGE_FOLDER,
        ann_file='meta/test.txt',
        classes=str(meta / 'names.txt'),
    )
    assert [*dataset.metainfo['classes']] == names
    info = dataset.get_data_info(255)
    assert info['gt_label'] == 255
    assert Path(info['img_path']).parent == tmp_path / '256_ObjectCategories' / '256.x'
    assert Path(info['img_path']).is_file()


def test_check_of_sets_asked_for_by_name(tmp_path, capsys):
    # The lengths of SimCLR's lists.
    for percent, count in ((1, 12_811), (10, 128_116)):
        path = tmp_path / f'lists/meta/{percent}percent.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('x.JPEG 0\n' * count)
    check, out = check_datasets, str(tmp_path / 'report.json')
    place = ['--data-root', str(tmp_path), '--out', out]
    place += ['--folder', f'imagenet_subsets={tmp_path / "lists"}']
    check.main(['imagenet_subsets', *place])
    check.main(place)
    assert len(json.loads(Path(out).read_text())) == 7
    with pytest.raises(SystemExit) as stop:
        check.main(['imagenet_subsets', 'lvis_v1', *place])
    assert stop.value.code == 1
    reports = json.loads(Path(out).read_text())
    assert [(report['name'], report['status']) for report in reports] == [
        ('imagenet_subsets', 'ready'),
        ('lvis_v1', 'absent'),
    ]
    assert 'lvisdataset.org' in capsys.readouterr().out


@pytest.mark.parametrize('wrong', [['coc'], ['--folder', 'coc=x'], ['--folder=coco']])
def test_check_of_unknown_sets(wrong):
    with pytest.raises(ConfigError, match=r'coc.*(imagenet, |coco=DIR)'):
        check_datasets.main(wrong)
