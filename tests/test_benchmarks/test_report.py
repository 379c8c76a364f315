"""Tables with values calculated by hand, and the published tables."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.comparison import report
from benchmarks.provenance import dump_rows, machine_class
from mmlgd.visualization import draw_costs

DOCS = Path(__file__).parents[2] / 'docs/benchmarks'
PUBLISHED = sorted(path.stem for path in DOCS.glob('*_*.md'))


def made_up() -> dict:
    values = dict(
        a=dict(knn=[80.0, 83.0, 83.0], zero_shot='–', cost=[99.0, 100.0]),
        b=dict(knn=[81.0, 85.0, 86.0], zero_shot=[9.96], cost='not run'),
        c=dict(knn=[70.0], zero_shot='stale', cost='failed'),
    )
    rows = [
        dict(method=name, title=name.upper(), seeds=[0, 1, 2], made=[], values=each)
        for name, each in values.items()
    ]
    return dict(
        title='Made up',
        split='test',
        seeds=[0, 1, 2],
        columns=dict(knn='k-NN', zero_shot='zero-shot'),
        reference='a',
        scenes=100,
        reported=dict(command='c', commit='1', date='d'),
        rows=rows,
    )


def test_table_by_hand():
    # Deviations of A from 82: -2, 1, 1; squares 6 over n - 1 = 2: sqrt(3). B: mean 84,
    # deviations -3, 1, 2; squares 14 over 2: sqrt(7). Costs: 99.5 rounds to even.
    assert report.table(made_up()) == (
        '| method | k-NN | zero-shot | cost (s) |\n'
        '|---|---:|---:|---:|\n'
        '| A | 82.0 ± 1.7 | – | 100 ± 1 (2 of 3) |\n'
        '| B | 84.0 ± 2.6 | 10.0 (1 of 3) | not run |\n'
        '| C | 70.0 (1 of 3) | stale | failed |\n'
    )


def test_differences_are_paired_by_seed():
    # 1, 2, 3: mean 2, deviation 1, smaller than the deviation of each method.
    assert report.differences(made_up()) == (
        'Less A, seed by seed; mean ± standard deviation:\n\n'
        '| method | k-NN | zero-shot |\n'
        '|---|---:|---:|\n'
        '| B | +2.0 ± 1.0 | – |\n'
    )
    other_seeds = made_up()
    other_seeds['rows'][1]['seeds'] = [0, 1, 3]
    assert report.differences(other_seeds) == ''
    assert report.differences(dict(made_up(), reference=None)) == ''


def test_a_report_is_written_and_read_again(tmp_path):
    files = report.write(made_up(), tmp_path / 'made_up_test')
    assert [file.name for file in files] == [
        f'made_up_test.{ending}' for ending in ('md', 'json', 'png')
    ]
    assert json.loads(files[1].read_text()) == made_up()
    # One row per line.
    assert sum('"method"' in line for line in files[1].read_text().splitlines()) == 3
    assert dump_rows(dict(figure=1)).count('"rows": [') == 1


@pytest.mark.parametrize('stem', PUBLISHED)
def test_published_tables_are_those_of_their_json(stem):
    published = json.loads((DOCS / f'{stem}.json').read_text())
    text = (DOCS / f'{stem}.md').read_text()
    assert report.table(published) in text
    assert text.startswith(f'# {published["title"]}\n')
    # The command names an existing file.
    (config,) = re.findall(r'benchmarks\.comparison ([^\s`]+)', text)
    assert (DOCS.parents[1] / config).is_file()


def test_all_published_tables_are_checked():
    assert len(PUBLISHED) == 7


def test_the_plot_handles_missing_values(tmp_path):
    whole = dict(a=[80.0, 82.0], b='not run', cost=[100.0, 120.0])
    rows = [
        dict(title='LGD', values=whole),
        dict(title='random', values=dict(a=[60.0], b='–', cost='–')),
        dict(title='SEED', values=dict(a='failed', b='–', cost='failed')),
    ]
    draw_costs(rows, dict(a='zero-shot', b='k-NN'), tmp_path / 'f.svg')
    drawn = (tmp_path / 'f.svg').read_text()
    assert '<!-- LGD -->' in drawn and '<!-- random -->' in drawn
    assert '<!-- SEED -->' not in drawn
    # One panel: no row has the other metric.
    assert '<!-- zero-shot -->' in drawn and '<!-- k-NN -->' not in drawn
    assert drawn.count('<!-- training cost (s of one core) -->') == 1


def test_the_machine_is_named_with_its_instructions():
    cpuinfo = Path('/proc/cpuinfo')
    text = machine_class()
    assert re.search(r'\d+ cores', text)
    assert any(level in text for level in ('AVX512', 'AVX2', 'DEFAULT', 'SVE', 'NEON'))
    if cpuinfo.is_file() and 'model name' in (lines := cpuinfo.read_text()):
        flags = re.search(r'^flags\s*:(.*)$', lines, re.MULTILINE)
        assert re.search(r'model name\s*: (.*)', lines)[1].strip() in text
        if flags and 'avx512f' not in flags[1].split():
            assert 'AVX512' not in text
