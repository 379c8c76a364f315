"""The launcher around torchrun, with scripts in place of torchrun."""

import signal
import time

import pytest

from mmlgd.utils import torchrun

# A script's parent is the launcher; a torchrun would start ranks in between.
SAVE = """
touch $MMLGD_LAUNCH_FOLDER/listening
kill -{signal} $PPID
while [ ! -e $MMLGD_LAUNCH_FOLDER/stop ]; do sleep 0.02; done
printf 75 > $MMLGD_LAUNCH_FOLDER/code
exit {code}
"""


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Run the launcher with a script; the exit code and the script's arguments."""
    handlers = {each: signal.getsignal(each) for each in torchrun.SIGNALS}

    def run(script, *arguments):
        path = tmp_path / 'python'
        path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setattr(torchrun.sys, 'executable', str(path))
        code = torchrun.main(list(arguments))
        return code, (tmp_path / 'arguments').read_text().split()

    yield run
    for each, handler in handlers.items():
        signal.signal(each, handler)


def test_passes_arguments_and_exit_code(launch):
    code, arguments = launch('exit 3', '--nnodes=1', 'train.py')
    assert code == 3
    assert arguments == ['-m', 'torch.distributed.run', '--nnodes=1', 'train.py']


@pytest.mark.parametrize('name', ['TERM', 'USR1'])
@pytest.mark.parametrize('code', [0, 1])
def test_asks_listening_ranks_to_stop_and_exits_with_their_code(launch, name, code):
    assert launch(SAVE.format(signal=name, code=code))[0] == 75


@pytest.mark.parametrize('name', ['TERM', 'USR1'])
def test_ends_torchrun_if_no_rank_listens(launch, name):
    # As a shell reports it: 128 and the number of SIGTERM.
    assert launch(f'kill -{name} $PPID\nexec sleep 20')[0] == 143


def test_sigusr1_to_all_processes_does_not_end_torchrun(launch):
    # Slurm signals torchrun as well, which has no handler of SIGUSR1.
    script = SAVE.format(signal='USR1', code=0).replace('kill', 'kill -USR1 $$\nkill')
    assert launch(script)[0] == 75


def test_does_not_end_ranks_asked_to_stop_while_torchrun_starts(launch, monkeypatch):
    start = torchrun.subprocess.Popen

    def start_slowly(*args, **kwargs):
        child = start(*args, **kwargs)
        time.sleep(0.5)
        return child

    monkeypatch.setattr(torchrun.subprocess, 'Popen', start_slowly)
    script = SAVE.format(signal='TERM', code=0).replace('printf', 'sleep 1\nprintf')
    assert launch(script)[0] == 75
