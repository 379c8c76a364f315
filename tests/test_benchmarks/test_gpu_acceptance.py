"""The GPU acceptance kit on a machine without a GPU."""

import json
import os
import time

import pytest
import torch

from benchmarks import gpu_acceptance
from benchmarks.gpu import inputs, report, rows
from benchmarks.gpu.isolation import run_isolated
from benchmarks.gpu.outcome import Outcome, Setting, needs_gpu
from mmlgd.errors import ConfigError

DRY, FULL = Setting('cpu', dry=True), Setting('cuda')


def test_docs_list_the_rows():
    """`python -m benchmarks.gpu_acceptance --write-docs` writes this section."""
    assert report.published_section() in report.DOCS.read_text(encoding='utf-8')


def test_without_a_result_every_row_is_not_run():
    lines = report.section(None).splitlines()[3:-1]
    assert len(lines) == len(rows.ROWS)
    assert all(line.endswith('|  | not run |') for line in lines)


def test_the_parts_fit_into_their_time():
    assert {row.part for row in rows.ROWS} == {1, 2, 3}
    assert len({row.name for row in rows.ROWS}) == len(rows.ROWS)
    assert gpu_acceptance.PART_LIMIT < 600


@pytest.mark.parametrize(
    ('outcome', 'exact', 'dry', 'full'),
    [
        (Outcome(True, ''), True, 'dry run', 'pass'),
        (Outcome(False, ''), True, 'fail', 'fail'),
        # A speed that is wanted of a GPU.
        (Outcome(False, ''), False, 'dry run', 'fail'),
        (Outcome(False, '', crashed=True), False, 'fail', 'fail'),
        (needs_gpu(), True, 'not run', 'not run'),
    ],
)
def test_a_dry_run_never_passes(outcome, exact, dry, full):
    row = rows.Row('a row', 1, 5, '', lambda setting: outcome, exact)
    assert rows.state_of(row, outcome, DRY) == dry
    assert rows.state_of(row, outcome, FULL) == full


@pytest.mark.parametrize(
    ('first', 'second', 'distance'),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 0),
        ([1, 2], [3, 4], 1),
        # At 2, all of the first and a third of the second are not above.
        ([1, 2], [2, 3, 4], 2 / 3),
    ],
)
def test_distance_of_distributions(first, second, distance):
    samples = torch.tensor(first).float(), torch.tensor(second).float()
    assert inputs.kolmogorov_smirnov(*samples) == pytest.approx(distance)


@pytest.mark.slow
@pytest.mark.parametrize('row', [inputs.prefetch, inputs.device_augmentation])
def test_rows_on_inputs_run_tiny(row):
    outcome = row(DRY)
    assert not outcome.crashed and 'images/s' in outcome.figure
    if row is inputs.prefetch:
        assert outcome.passed and outcome.figure.startswith('same batches')
    else:
        assert outcome.data['levels'] < inputs.LEVELS


def _fine(setting):
    print('of this row')
    return Outcome(True, 'figure')


def _raises(setting):
    raise SystemExit('The banks differ.')


def _dies(setting):
    os._exit(3)


def _hangs(setting):
    time.sleep(60)


@pytest.mark.parametrize(
    ('run', 'figure'),
    [
        (_raises, 'SystemExit: The banks differ.'),
        (_dies, 'died with exit code 3'),
        (_hangs, 'stopped after 1 s'),
    ],
)
def test_a_broken_row_fails_alone(run, figure, tmp_path):
    outcome = run_isolated(run, DRY, 1 if run is _hangs else 30, tmp_path / 'log')
    assert outcome.passed is False and outcome.crashed
    assert outcome.figure.startswith(figure)


def test_a_row_has_its_own_log(tmp_path):
    outcome = run_isolated(_fine, DRY, 30, tmp_path / 'log')
    assert (outcome.passed, outcome.figure) == (True, 'figure')
    assert (tmp_path / 'log').read_text() == 'of this row\n'


def result(name: str) -> tuple[dict, list[dict]]:
    head = dict(commit='a' * 40, machine='GPU', driver='1', dry_run=False)
    head.update(date='today', versions=dict(torch='2'))
    return head, [dict(name=name, state='pass', figure='1 | 2', data={})]


def test_parts_are_merged_in_order(tmp_path):
    out, names = tmp_path / 'result.json', [row.name for row in rows.ROWS]
    report.merge(out, *result(names[-1]))
    merged = report.merge(out, *result(names[0]))
    assert [row['name'] for row in merged['rows']] == [names[0], names[-1]]
    assert json.loads(out.read_text()) == merged
    # A cell of the table cannot hold its separator.
    assert '| 1 / 2 | pass |' in report.section(merged)
    # Rows of another version are not those of this one.
    head, found = result(names[1])
    other = report.merge(out, dict(head, commit='b' * 40), found)
    assert [row['name'] for row in other['rows']] == [names[1]]


def test_a_dry_run_is_not_published(tmp_path):
    head, found = result('tests')
    report.merge(tmp_path / 'r.json', dict(head, dry_run=True), found)
    with pytest.raises(ConfigError, match='dry run'):
        report.write_docs(tmp_path / 'r.json')
    (tmp_path / 'other.json').write_text('[]')
    with pytest.raises(ConfigError, match='not a result'):
        report.write_docs(tmp_path / 'other.json')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--device', 'cpu'], 'needs --dry-run'),
        (
            ['--device', 'cpu', '--dry-run', '--rows', 'bank'],
            'Unknown rows.*bank of 80',
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(options, message, monkeypatch):
    monkeypatch.chdir('.')
    with pytest.raises(ConfigError, match=message):
        gpu_acceptance.main(options)
