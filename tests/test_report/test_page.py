"""The page of a run shows what its files contain, and nothing in them acts."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
import torch

from mmlgd.cli import report as tool
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.report import collect_run, read_sample, write_report
from mmlgd.report.page import render
from tests.evil_files import write_trap
from tests.test_report.conftest import HTML_NAMES


class Page(HTMLParser):
    """Texts, tags and references of a page, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.data = [], [], [], {}
        self.rows, self._inside = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value or '') for key, value in attrs]
        self._inside.append(tag)
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th') and self.rows:
            self.rows[-1].append('')

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {'script', 'style'} & set(self._inside):
            self.texts.append(data)
            if {'td', 'th'} & set(self._inside) and self.rows and self.rows[-1]:
                self.rows[-1][-1] += data

    def row(self, head):
        return next(cells[1:] for cells in self.rows if cells and cells[0] == head)


@pytest.fixture
def page(work_dir):
    return Page((work_dir / 'report.html').read_text())


@pytest.fixture
def copy(work_dir, tmp_path):
    """A copy of the run, to be damaged."""
    return shutil.copytree(work_dir, tmp_path / 'run')


def test_the_table_has_a_row_for_each_name_with_its_accuracies(work_dir, page):
    found = json.loads(
        next(work_dir.glob('*/per_class/zero_shot_val.json')).read_text()
    )
    assert [row['name'] for row in found['classes']] == sorted(HTML_NAMES)
    heads = next(cells for cells in page.rows if cells and cells[0] == 'name')
    for row in found['classes']:
        cells = dict(zip(heads[1:], page.row(row['name'])))
        assert cells['images'] == '4'
        assert cells['student %'] == f'{row["student"]:.1f}'
        assert cells['teacher %'] == f'{row["teacher"]:.1f}'


def test_names_files_and_folders_with_html_are_only_text(page):
    shown = ''.join(page.texts)
    assert all(name in shown for name in HTML_NAMES)
    assert '<b>run' in shown
    # The only script is that of the page, and nothing has a handler.
    assert page.tags.count('script') == 1
    assert 'b' not in page.tags
    assert not [key for _, key, _ in page.attributes if key.startswith('on')]


def test_the_page_refers_to_nothing_outside(page):
    for tag, key, value in page.attributes:
        if key in ('src', 'href', 'xlink:href', 'data', 'action', 'poster'):
            assert value.startswith(('#', 'data:image/jpeg;base64,')), (tag, key, value)
    policy = next(v for t, k, v in page.attributes if v.startswith('default-src'))
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_the_policy_allows_the_script_of_the_page(work_dir):
    import base64
    import hashlib

    text = (work_dir / 'report.html').read_text()
    script = re.search(r'<script>(.*?)</script>', text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_the_summary_says_what_was_measured(work_dir, page):
    sample = read_sample(work_dir)
    agreed = 100 * sum(sample.agreed) / 16
    assert page.row('same name as the teacher') == [f'{agreed:.1f} % of 16 images']
    assert page.row('categories hit')[0].endswith(' of 4')
    assert page.row('folder') == [str(work_dir)]
    assert '16 of the 16 images of val_dataloader' in ''.join(page.texts)


def test_config_and_environment_are_shown(page):
    shown = ''.join(page.texts)
    assert "type='SemanticsBankHook'" in shown
    assert 'PyTorch: ' in shown


def test_names_never_hit_are_listed(copy):
    run = collect_run(copy)
    run.banks.seen[:] = torch.tensor([True, False, True, False])
    shown = ''.join(Page(render([run])).texts)
    missing = [sorted(HTML_NAMES)[i] for i in (1, 3)]
    assert 'No image was assigned to 2 names' in shown
    assert ', '.join(missing) in shown


def test_several_runs_are_side_by_side(work_dir, copy, tmp_path, capsys):
    out = tmp_path / 'both.html'
    tool.main([str(work_dir), str(copy), '--out', str(out), '--titles', 'one', 'two'])
    page = Page(out.read_text())
    heads = next(cells for cells in page.rows if cells and cells[0] == 'name')
    assert heads == [
        'name', 'student %', 'teacher %', 'agreement %', 'student %', 'agreement %'
    ]  # fmt: skip
    assert len(page.row('zero-shot top-1, student')) == 2
    assert 'How the config of two differs from that of one' in page.texts
    assert capsys.readouterr().out == f'Written: {out}\n'


def test_a_run_without_validation_compares_with_the_teacher(copy):
    for path in copy.glob('*/per_class'):
        shutil.rmtree(path)
    page = Page(render([collect_run(copy)]))
    heads = next(cells for cells in page.rows if cells and cells[0] == 'name')
    assert 'student %' not in heads
    assert 'agreement %' in heads


def test_a_trap_in_place_of_the_checkpoint_is_not_sprung(copy, tmp_path):
    for path in copy.glob('epoch_*.pth'):
        path.unlink()
    write_trap(copy / 'epoch_9.pth', tmp_path / 'sprung')
    run = collect_run(copy)
    assert not (tmp_path / 'sprung').exists()
    assert 'cannot be read as a checkpoint' in ''.join(Page(render([run])).texts)


def test_config_and_log_are_text_only(copy, tmp_path):
    sign = tmp_path / 'sprung'
    for path in copy.glob('*/vis_data/config.py'):
        path.write_text(f'import os\nos.mkdir({str(sign)!r})\n</pre><script>alert(1)')
    page = Page(render([collect_run(copy)]))
    assert not sign.exists()
    assert page.tags.count('script') == 1
    assert 'os.mkdir' in ''.join(page.texts)


def test_a_broken_sample_is_named_and_the_rest_is_shown(copy):
    (copy / 'report.json').write_text('{"images": 3}')
    shown = ''.join(Page(render([collect_run(copy)])).texts)
    assert 'report.json cannot be used (missing keys' in shown
    assert 'Learning curves' in shown


def test_a_sample_with_another_image_than_base64_is_refused(copy):
    path = copy / 'report.json'
    contents = json.loads(path.read_text())
    example = dict(image='"><script>alert(1)</script>', path='x', cosine=0.5)
    path.write_text(json.dumps({**contents, 'examples': [example]}))
    assert 'image cannot be' in collect_run(copy).notes[0]


def test_names_that_are_not_utf_8_are_written_escaped(copy, tmp_path):
    run = collect_run(copy, 'caf\udce9')
    write_report([run], tmp_path / 'r.html')
    assert '<title>caf\\udce9:' in (tmp_path / 'r.html').read_text()


def test_a_folder_without_log_is_refused_with_those_that_have_one(copy):
    with pytest.raises(ConfigError, match=r'scalars.json \(but these in it do: run\)'):
        tool.main([str(copy.parent)])
    with pytest.raises(ConfigError, match='not a folder'):
        tool.main([str(copy / 'absent')])


def test_many_names_are_complete_and_labelled_only_when_found(copy):
    run = collect_run(copy)
    names = [f'name {i}' for i in range(1203)]
    generator = torch.Generator().manual_seed(0)
    run.banks.names = names
    run.banks.textual, run.banks.visual = torch.randn(2, 1203, 16, generator=generator)
    run.banks.seen = torch.arange(1203) != 7
    run.classes, run.sample = [], None
    page = Page(render([run]))
    named = [value for tag, key, value in page.attributes if key == 'data-names']
    assert named[:1203] == names
    assert 'name 7' in ''.join(page.texts)
    maps = [v for t, k, v in page.attributes if k == 'class' and v.startswith('map')]
    assert maps == ['map', 'map']
    # All names in the textual bank, and all but the one never hit in the visual one.
    assert page.tags.count('circle') == 1203 + 1202


def test_a_second_measurement_needs_the_config(copy, tmp_path, capsys):
    (copy / 'report.json').unlink()
    (copy / 'epoch_1.pth').unlink()
    (copy / 'epoch_2.pth').rename(tmp_path / 'epoch_2.pth')
    config = tmp_path / 'c.py'
    shutil.copy(next(copy.glob('*/vis_data/config.py')), config)
    arguments = [str(copy), '--config', str(config), '--images', '5', '--device', 'cpu']
    with pytest.raises(CheckpointError, match='contains no epoch_'):
        tool.main(arguments)
    shutil.move(tmp_path / 'epoch_2.pth', copy)
    tool.main(arguments)
    sample = read_sample(copy)
    assert (sample.images, sample.available, sample.iter) == (5, 16, 8)
    assert '5 of the 16 images' in (copy / 'report.html').read_text()


@pytest.mark.parametrize(
    ('student', 'agreed', 'doubt'),
    [
        ([0, 16, 0, 0], [0, 9, 0, 0], 'it assigns one name to all images'),
        ([4, 4, 4, 4], [3, 3, 3, 0], 'it is no better'),
        ([1, 15, 0, 0], [1, 9, 0, 0], None),
    ],
)
def test_a_student_that_is_no_better_than_one_name_for_all_is_doubted(
    copy, student, agreed, doubt
):
    path = copy / 'report.json'
    found = json.loads(path.read_text())
    counts = dict(teacher_counts=[3, 9, 3, 1], student_counts=student, agreed=agreed)
    path.write_text(json.dumps({**found, **counts}))

    page = Page(render([collect_run(copy)]))

    common = found['names'][1]
    assert page.row('if all had one name') == [f'56.2 % ({common})']
    notes = [text for text in page.texts if 'for every image would agree' in text]
    assert bool(notes) == bool(doubt)
    if doubt:
        assert 'agrees with the teacher on 9 of 16 images' in notes[0]
        assert repr(common) in notes[0] and 'would agree on 9' in notes[0]
        assert doubt in notes[0] and 'more epochs' in notes[0]
    heads = next(cells for cells in page.rows if cells and cells[0] == 'name')
    column = heads.index('by student') - 1
    shown = [page.row(name)[column] for name in found['names']]
    assert shown == [str(count) for count in student]
