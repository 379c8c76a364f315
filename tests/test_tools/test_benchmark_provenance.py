"""Who made a figure: kept with the runs, and told by the report."""

import json
import sys
from pathlib import Path

import pytest

from tests.test_tools.toy_benchmark import (
    add_transfer,
    fake_processes,
)

ROOT = Path(__file__).parents[2]
ONE = ('--methods', 'lgd', '--seeds', '0')


@pytest.fixture
def call(load, file, monkeypatch, capsys):
    """Runs the tool as a command on a machine of its own; returns what it prints."""
    monkeypatch.chdir(ROOT)
    tool, provenance = load('benchmarks.compare_methods'), load('benchmarks.provenance')
    fake_processes(load('benchmarks.completion'), monkeypatch)

    def run(*options, machine='A', commit='1', code='x'):
        monkeypatch.setattr(provenance, '_processor', lambda: machine)
        monkeypatch.setattr(provenance, 'git_revision', lambda root: commit)
        monkeypatch.setattr(provenance, 'code_fingerprint', lambda: code)
        monkeypatch.setattr(sys, 'argv', ['compare_methods.py', *options])
        tool.main([str(file), '--work-dir', str(file.parent / 'out'), *options])
        return capsys.readouterr().out

    return run


def state_file(file):
    return file.parent / 'out/runs/lgd_seed0/result.json'


def test_every_part_keeps_who_made_it(call, file):
    call(*ONE, '--evaluations', 'knn')
    other = dict(machine='B', commit='2', code='y')
    call(*ONE, '--evaluations', 'probe', '--code-change', 'keep', **other)
    told = json.loads((file.parent / 'out/toys_test.json').read_text())
    (run,) = told['rows'][1]['runs']
    made = run['made']
    assert set(made) == {'training', 'knn', 'probe'}
    assert [made[name]['commit'] for name in ('training', 'knn', 'probe')] == [*'112']
    assert [made[name]['code'] for name in ('training', 'knn', 'probe')] == [*'xxy']
    assert 'B' in made['probe']['machine'] and 'B' not in made['knn']['machine']
    assert made['knn']['command'].endswith('--evaluations knn')
    assert made['knn']['versions']['torch'] and made['knn']['date'].endswith('UTC')
    assert told['reported']['commit'] == '2'


def test_a_report_tells_who_made_the_runs_not_who_reports(call, file):
    call(*ONE, '--evaluations', 'knn')
    out = call('--report-only', machine='laptop', commit='9', code='z')
    assert '- runs made at commit 1; one state of the code: yes' in out
    assert 'measured by `python compare_methods.py --methods lgd --seeds 0 ' in out
    assert 'cores, A, ' in out and 'laptop' not in out
    assert '- reported by `python compare_methods.py --report-only` at 9, ' in out


def test_a_report_of_a_split_tells_of_the_other_only_the_training(call):
    call(*ONE, '--evaluations', 'knn')
    call(*ONE, '--evaluations', 'probe', machine='B')
    call(*ONE, '--evaluations', 'knn', '--split', 'val', machine='C')
    out = call('--report-only', '--split', 'val')
    assert 'cores, A, ' in out and 'cores, C, ' in out
    assert 'cores, B, ' not in out


def test_states_of_earlier_versions_are_read(call, file):
    call(*ONE, '--evaluations', 'knn')
    path = state_file(file)
    old = json.loads(path.read_text())
    del old['made']
    path.write_text(json.dumps(old))
    out = call('--report-only', machine='laptop', commit='9', code='z')
    assert '80.0 (1 of 2)' in out
    assert '- runs made at commit 1; one state of the code: yes' in out
    assert 'measured' not in out and 'laptop' not in out and 'torch' not in out
    # What is added to them is told of as a part.
    out = call(*ONE, '--code-change', 'keep', machine='B', commit='2', code='y')
    assert '- runs made at commit 1, 2; one state of the code: no' in out
    assert 'measured on (of the runs that tell) ' in out


def test_lines_by_hand(load):
    describe = load('benchmarks.provenance').describe_makers

    def part(date, command, machine='M', torch='2'):
        told = dict(date=date, command=command, commit='1', code='x')
        return dict(told, machine=machine, versions=dict(Python='3', torch=torch))

    first = part('2026-01-01 10:00 UTC', 'a')
    runs = [
        dict(
            commit='1', code='x', made=dict(training=part('2026-01-02 10:00 UTC', 'b'))
        ),
        dict(commit='1', code='x', made=dict(training=first, knn=first)),
        dict(commit='7', code='y', made={}),
    ]
    # The third run made nothing that is shown.
    assert describe(runs) == [
        '- runs made at commit 1; one state of the code: yes',
        '- measured by `a`',
        '- measured by `b`',
        '- measured on M',
        '- measured with Python 3, torch 2',
    ]
    runs[2]['made'] = dict(knn=part('2026-01-03 10:00 UTC', 'b', 'N', '3'))
    assert describe(runs)[3:] == [
        '- measured on M',
        '- measured on N',
        '- measured with Python 3, torch 2',
        '- measured with Python 3, torch 3',
    ]
    # A training that was begun with another code was made by both.
    runs[2]['made']['training'] = first
    assert describe(runs)[0] == '- runs made at commit 1, 7; one state of the code: no'


def test_the_header_tells_what_transfer_is_measured_on(load, file):
    plan, report = load('benchmarks.plan'), load('benchmarks.report')
    made = dict(command='c', commit='1', date='d')

    def header():
        benchmark = plan.load_benchmark(file)
        return report.document(
            benchmark, report.collect(benchmark, 'test'), 'test', made
        )

    assert 'AP' not in header()
    add_transfer(file)
    assert (
        'Top-1 accuracy in percent, of the test images; box AP, mask AP and mIoU in '
        'percent, of the 30 validation scenes composed of test images; mean'
    ) in header()


COUNTED = (
    'mmlgd/a/b.py',
    'mmlgd/datasets/prompts/p.txt',
    'tools/benchmarks/evaluate_run.py',
    'tools/benchmarks/scene_transfer.py',
    'tools/transfer/runs.py',
    'configs/demo/scenes_x.py',
    'demo/teacher/clip.pt',
    'demo/teacher/clip.json',
)
OTHERS = ('docs/a.md', 'tools/benchmarks/report.py', 'mmlgd/a/b.pyc')


@pytest.mark.parametrize('name', [*COUNTED, *OTHERS])
def test_what_decides_a_figure_is_in_the_fingerprint_of_the_code(load, tmp_path, name):
    fingerprint = load('benchmarks.fingerprints').code_fingerprint
    for path in (tmp_path / each for each in (*COUNTED, *OTHERS)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'\xff before')
    before = fingerprint(tmp_path)
    (tmp_path / name).write_bytes(b'\xff after')
    assert (fingerprint(tmp_path) != before) == (name in COUNTED)
