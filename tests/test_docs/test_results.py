"""Published figures are those of the measured results."""

import json
import re

import pytest

from benchmarks import export_formats, quantisation_finish, students
from benchmarks.in_memory.report import report

from .commands import PAGES, ROOT

IN_MEMORY = sorted((ROOT / 'docs/benchmarks/in_memory').glob('*.json'))
PAGE_OF = dict(
    students='docs/benchmarks/students/emoji.json',
    export_formats='docs/benchmarks/export/formats.json',
    quantisation_finish='docs/benchmarks/export/finish.json',
)
#: A table, and before it the file, and the number of passes if it has several.
MARKED = re.compile(r'<!-- (docs/\S+\.md)(?:, passes: (\d+))? -->\n\n?((?:\|.*\n)+)')
#: Paired differences behind a figure.
GAPS = re.compile(r' \(-?\d[^)]*\)$')


def read_table(text: str) -> list[dict[str, str]]:
    lines = [line for line in text.splitlines() if line.startswith('|')]
    titles, _, *rows = (
        [cell.strip().replace('*', '') for cell in line.strip('|').split('|')]
        for line in lines
    )
    return [dict(zip(titles, row, strict=True)) for row in rows]


@pytest.mark.parametrize('path', IN_MEMORY, ids=lambda path: path.stem)
def test_published_tables_are_those_of_their_json(path):
    text = path.with_suffix('.md').read_text()
    (reference,) = re.findall('In brackets: (.*) minus the method', text) or ['']
    assert text == report(json.loads(path.read_text()), reference)


@pytest.mark.parametrize('program', [students, export_formats, quantisation_finish])
def test_published_pages_are_those_of_their_json(program):
    path = ROOT / PAGE_OF[program.__name__.rpartition('.')[2]]
    page = program.page if program is export_formats else program.table
    assert path.with_suffix('.md').read_text() == page(json.loads(path.read_text()))


@pytest.mark.parametrize('page', PAGES, ids=lambda path: path.stem)
def test_copied_figures_equal_the_measured_ones(page):
    for file, passes, copied in MARKED.findall(page.read_text()):
        measured = read_table((ROOT / file).read_text())
        for row in read_table(copied):
            first, *titles = row
            (same,) = [
                each
                for each in measured
                if each['method'] == row[first]
                and each.get('passes', '') in (passes, '0')
            ]
            for title in titles:
                figure = GAPS.sub('', same[title])
                if title == 'cost (s)':
                    figure = figure.partition(' ±')[0]
                assert row[title] == figure


def test_readme_has_three_tables_of_measured_figures():
    assert len(MARKED.findall((ROOT / 'README.md').read_text())) == 3
