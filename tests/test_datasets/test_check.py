import json
from dataclasses import asdict

import pytest

from mmlgd.datasets.check import check_dataset
from mmlgd.datasets.expected import EXPECTED, ExpectedDataset, Need

TOY = ExpectedDataset(
    'Toy',
    'toy',
    (
        Need(('images/*.jpg', 'images/n*/*.jpg'), 3),
        Need(('meta.txt',), 1, lines=2, unless='images/n*/*.jpg'),
        Need(('truth.json',), 1),
        Need(('extra/*',)),
    ),
    'Draw it.',
)


def fill(folder, *names, content='{}\n'):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def complete(folder):
    fill(folder, *(f'images/{i}.jpg' for i in range(3)), 'truth.json', 'extra/a')
    fill(folder, 'meta.txt', content='a 0\nb 1\n')


def faults(folder):
    report = check_dataset('toy', folder, TOY)
    return report.status, [need.fault for need in report.needs]


def test_ready(tmp_path):
    complete(tmp_path)
    assert faults(tmp_path) == ('ready', [''] * 4)


def test_missing_folder(tmp_path):
    assert faults(tmp_path / 'none') == ('absent', ['missing'] * 4)


def test_count_is_over_all_patterns_and_frees_of_another_need(tmp_path):
    complete(tmp_path)
    (tmp_path / 'meta.txt').unlink()
    (tmp_path / 'images' / '2.jpg').unlink()
    assert faults(tmp_path) == ('incomplete', ['1 too few', 'missing', '', ''])
    fill(tmp_path, 'images/n1/2.jpg')
    assert faults(tmp_path) == ('ready', [''] * 3)


def test_too_many_files(tmp_path):
    complete(tmp_path)
    fill(tmp_path, 'images/3.jpg', 'images/4.jpg', 'images/5.png')
    assert faults(tmp_path)[1][0] == '2 too many'


@pytest.mark.parametrize(
    'name, content, place, fault',
    [
        ('meta.txt', 'a 0\n', 1, '1 too few'),
        ('meta.txt', '', 1, 'empty file'),
        ('truth.json', '<html>', 2, "not a JSON object: it starts with b'<html>'"),
        ('truth.json', '', 2, 'empty file'),
        ('images/0.jpg', '', 0, 'empty file'),
    ],
)
def test_invalid_content_is_reported(tmp_path, name, content, place, fault):
    complete(tmp_path)
    fill(tmp_path, name, content=content)
    status, found = faults(tmp_path)
    assert status == 'incomplete'
    assert found[place] == fault


def test_folder_is_not_a_file_and_file_is_not_a_folder(tmp_path):
    complete(tmp_path)
    (tmp_path / 'truth.json').unlink()
    (tmp_path / 'truth.json').mkdir()
    (tmp_path / 'extra' / 'a').unlink()
    (tmp_path / 'extra').rmdir()
    fill(tmp_path, 'extra')
    assert faults(tmp_path)[1][2:] == ['missing', 'missing']


def test_report_goes_to_json(tmp_path):
    complete(tmp_path)
    report = check_dataset('toy', tmp_path, TOY)
    content = json.loads(json.dumps(asdict(report)))
    assert content['status'] == 'ready'
    assert content['get'] == 'Draw it.'
    assert content['needs'][0] == dict(
        what='images/*.jpg or images/n*/*.jpg', expected=3, found=3, fault=''
    )


@pytest.mark.parametrize('name', EXPECTED)
def test_every_expected_set_says_what_it_needs_and_how_to_get_it(tmp_path, name):
    report = check_dataset(name, tmp_path)
    assert report.status == 'absent'
    assert report.needs
    assert len(report.get) > 40


def test_coco_with_all_but_the_annotations_is_incomplete(tmp_path):
    fill(tmp_path, 'val2017/000000000139.jpg')
    report = check_dataset('coco', tmp_path)
    found = {need.what: (need.expected, need.fault) for need in report.needs}
    assert report.status == 'incomplete'
    assert found['val2017/*.jpg'] == (5000, '4,999 too few')
    assert found['annotations/instances_val2017.json'] == (1, 'missing')
