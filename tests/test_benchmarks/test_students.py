"""Benchmarks of students and of export formats: settings and tables."""

import pytest

from benchmarks import quantisation_finish
from benchmarks.comparison.plan import load_benchmark
from benchmarks.export_formats import labelled_images, page
from benchmarks.resumable import add_row, read_result
from benchmarks.students import BENCHMARK, STUDENTS, is_best, student_config, table
from mmlgd.apis import list_students
from mmlgd.errors import ConfigError

ORIGIN = dict(machine='m', commit='c', command='x')
SAME = dict(knn=50.0, probe=60.0, cost=1)
ROWS = [
    dict(student='fast', zero_shot=70.0, latency_ms=1.0, megabytes=9.0, **SAME),
    dict(student='slow', zero_shot=69.0, latency_ms=2.0, megabytes=3.0, **SAME),
    dict(student='exact', zero_shot=80.0, latency_ms=3.0, megabytes=4.0, **SAME),
]


@pytest.fixture
def benchmark():
    benchmark = load_benchmark(BENCHMARK)
    benchmark.images = benchmark.train
    return benchmark


@pytest.mark.parametrize('name', STUDENTS)
def test_students_differ_in_the_backbone_only(tmp_path, benchmark, name):
    found, first = (
        student_config(benchmark, each, tmp_path) for each in (name, STUDENTS[0])
    )
    backbone = found.model.backbone.to_dict()
    expected = list_students()[name]['student']['backbone']
    backbone.pop('norm_cfg', None)  # BatchNorm's momentum of MobileNetV3
    assert backbone == {k: v for k, v in expected.items() if k != 'norm_cfg'}
    for cfg in (found, first):
        cfg.work_dir = ''
        del cfg.model.backbone, cfg.model.neck
    assert found.to_dict() == first.to_dict()


def test_a_student_does_not_change_the_next_one(tmp_path, benchmark):
    first = student_config(benchmark, 'mbv3_small', tmp_path)
    student_config(benchmark, 'mbv3', tmp_path)
    again = student_config(benchmark, 'mbv3_small', tmp_path)
    assert again.model.backbone == first.model.backbone
    assert first.model.backbone.arch == 'small'


def test_the_schedule_ends_with_the_training(tmp_path):
    cfg = quantisation_finish.student_config('r18', 5, tmp_path)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].end == 5
    assert cfg.default_hooks.checkpoint.interval == 5
    later = quantisation_finish.finish_config(
        'r18', tmp_path / 'x.pth', [dict(type='X')], 1, tmp_path
    )
    assert later.load_from == str(tmp_path / 'x.pth')
    assert later.custom_hooks[-1] == dict(type='X')
    assert later.train_cfg.max_epochs == 1


def test_what_no_faster_student_reaches_is_bold():
    assert [is_best(row, ROWS, 'latency_ms') for row in ROWS] == [True, False, True]
    assert [is_best(row, ROWS, 'megabytes') for row in ROWS] == [False, True, True]
    text = table(dict(passes=2, side=224, rows=ROWS, provenance=ORIGIN))
    assert '| **`exact`** | 80.0 | 50.0 | 60.0 | 3.0 | 4.0 | 1 |' in text
    assert '| `slow` | 69.0 |' in text


def test_images_are_copied_to_the_folder_of_their_class(tmp_path):
    (tmp_path / 'images').mkdir()
    for name in ('a b.png', 'c.png'):
        (tmp_path / 'images' / name).write_text(name)
    (tmp_path / 'list.txt').write_text('images/a b.png 1\nimages/c.png 0\n')
    dataset = dict(
        type='mmpretrain.CustomDataset', data_root=str(tmp_path), ann_file='list.txt'
    )
    folder = labelled_images(dataset, ['cat', 'dog'], tmp_path / 'out')
    found = {path.relative_to(folder).as_posix() for path in folder.rglob('*.png')}
    assert found == {'dog/a b.png', 'cat/c.png'}


def test_a_page_of_formats():
    common = dict(kind='trained', student='s', format='onnx')
    measured = dict(
        agreement=0.987,
        accuracy_before=70.0,
        accuracy_after=69.0,
        mean_cosine=0.9,
        num_bytes=2_500_000,
        latency_ratio=0.5,
    )
    exact = dict(measured, mean_cosine=0.99, agreement=1.0)
    rows = [
        dict(common, dtype='int8', passes=2, **measured),
        dict(common, dtype='float16', error='why'),
        dict(common, student='t', dtype='int8', passes=1, **measured),
        dict(common, dtype='float32', **exact),
    ]
    text = page(dict(image_size=224, rows=rows, provenance=ORIGIN, notes=['busy']))
    assert '\n- busy\n' in text
    assert '| student | ONNX float16 | ONNX int8 |' in text
    for cell in ('98.7 / -1.0', '0.900', '2.50 / 0.50'):
        assert f'| `s` | refused | {cell} |' in text
        assert f'| `t` | – | {cell} |' in text
    assert '- s, onnx float16: why' in text
    assert 'mean cosine at least 0.990000, agreement at least 100.0 %' in text
    assert 'for 1 pass(es): `t`. Trained for 2 pass(es): `s`.' in text


def test_rows_of_other_settings_are_not_mixed(tmp_path, capsys):
    path = tmp_path / 'x.json'
    result = read_result(path, epochs=2)
    add_row(path, result, dict(student='a'), lambda found: f'{len(found["rows"])} rows')
    assert path.with_suffix('.md').read_text() == '1 rows'
    assert read_result(path, epochs=2)['rows'] == [dict(student='a')]
    assert '"student": "a"' in capsys.readouterr().out
    with pytest.raises(ConfigError, match="'epochs': 2.* cannot be mixed with .*3"):
        read_result(path, epochs=3)
