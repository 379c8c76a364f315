"""What a method needs before its first training: made once, and from what."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmlgd.errors import MMLGDError
from tests.test_tools.toy_benchmark import add_preparation


@pytest.fixture
def preparation(load):
    return load('benchmarks.preparation')


@pytest.fixture
def calls(preparation, monkeypatch):
    """Instead of processes of 7 seconds: what the scripts were called with."""
    called = []

    def script(command, threads, output, keep_open=()):
        clock, *command = command[1:]
        called.append(command)
        before = float(Path(clock).read_text()) if Path(clock).exists() else 0
        Path(clock).write_text(str(before + 7))
        Path(command[command.index('--out') + 1]).write_text(f'bags {len(called)}')

    monkeypatch.setattr(preparation, 'run_process', script)
    return called


def mimicry(load, file, work_dir):
    return load('benchmarks.plan').load_benchmark(file, work_dir).methods['mimicry']


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


BAGS = (
    "script='tools/s.py', options=['bags', 'train_dataloader.dataset.bags'], "
    "arguments=['--k', '3']"
)


def test_preparation_is_made_once_and_counted(load, preparation, file, calls, tmp_path):
    add_preparation(file, BAGS)
    method = mimicry(load, file, tmp_path / 'out')
    for _ in range(2):
        preparation.prepare_method(method, short=False)
    assert preparation.preparation_seconds(method) == 7
    (command,) = calls
    assert command[-2:] == ['--k', '3']
    made = Config.fromfile(command[1])
    # The training reads what the script wrote.
    assert made.bags == str(tmp_path / 'out/prepared/mimicry.pth')
    assert made.model.type == 'FeatureMimicry'


@pytest.mark.parametrize(
    ('name', 'old', 'new'),
    [
        ('mimicry.py', "'ToyTeacher'", "'ToyTeacher', seed=1"),
        ('toys.py', "'--k', '3'", "'--k', '4'"),
        ('toys.py', 'tools/s.py', 'tools/t.py'),
    ],
)
def test_what_is_made_from_something_else_is_moved_aside(
    load, preparation, file, calls, tmp_path, monkeypatch, capsys, name, old, new
):
    add_preparation(file, BAGS)
    preparation.prepare_method(mimicry(load, file, tmp_path / 'out'), short=False)
    change(file.with_name(name), old, new)
    found = tmp_path / 'out/prepared/mimicry.pth'
    there, run = [], preparation.run_process

    def look(*args, **kwargs):
        there.append(found.exists())
        run(*args, **kwargs)

    monkeypatch.setattr(preparation, 'run_process', look)
    method = mimicry(load, file, tmp_path / 'out')
    preparation.prepare_method(method, short=False)
    # A store would refuse to be gone on with.
    assert there == [False]
    assert found.read_text() == 'bags 2'
    aside = tmp_path / 'out/replaced/mimicry_1'
    assert (aside / 'mimicry.pth').read_text() == 'bags 1'
    assert f'went to {aside}' in capsys.readouterr().out
    # Nor does the new one cost what the old one did.
    assert preparation.preparation_seconds(method) == 7


def test_a_killed_preparation_is_gone_on_from_and_counted(
    load, preparation, file, calls, tmp_path, monkeypatch
):
    add_preparation(file, BAGS)
    method = mimicry(load, file, tmp_path / 'out')
    whole = preparation.run_process

    def killed(*args, **kwargs):
        whole(*args, **kwargs)
        raise MMLGDError('clocked.py failed.')

    monkeypatch.setattr(preparation, 'run_process', killed)
    with pytest.raises(MMLGDError, match=r'tools/s\.py.* failed; .*output\.txt'):
        preparation.prepare_method(method, short=False)
    monkeypatch.setattr(preparation, 'run_process', whole)
    preparation.prepare_method(method, short=False)
    assert preparation.preparation_seconds(method) == 14
    # The store that the first attempt began is not taken away from the second.
    assert not (tmp_path / 'out/replaced').exists()


def test_preparation_of_another_config_may_write_a_folder(
    load, preparation, file, tmp_path, monkeypatch
):
    add_preparation(
        file,
        "script='tools/s.py', config='lgd.py', name='views', suffix='.store', "
        "options=['model.store', 'store']",
    )
    calls = []

    def script(command, threads, output, keep_open=()):
        Path(command[1]).write_text('7')
        calls.append(Config.fromfile(command[3]))
        Path(command[command.index('--out') + 1]).mkdir()

    monkeypatch.setattr(preparation, 'run_process', script)
    method = mimicry(load, file, tmp_path / 'out')
    for _ in range(2):
        preparation.prepare_method(method, short=False)
    (read,) = calls
    assert read.model.type == 'LGD' and 'store' not in read
    trained = load('benchmarks.methods').run_config(method, 0, tmp_path)
    assert (
        trained.model.store
        == trained.store
        == str(tmp_path / 'out/prepared/views.store')
    )


def test_a_run_is_what_its_file_is_made_from_not_where_it_lies(load, file, tmp_path):
    plan, runs = load('benchmarks.plan'), load('benchmarks.runs')
    add_preparation(file, BAGS)

    def identity(work_dir):
        benchmark = plan.load_benchmark(file, work_dir)
        return runs.Run(benchmark, benchmark.methods['mimicry'], 0).identity

    before = identity(tmp_path / 'a')
    assert identity(tmp_path / 'b') == before
    change(file, "'--k', '3'", "'--k', '4'")
    assert identity(tmp_path / 'a') != before
