"""torchrun with an exit code for preempted trainings: what ``tools/dist_*.sh`` start.

``python -m mmlgd.utils.torchrun ARGS`` runs ``python -m torch.distributed.run ARGS``.
torchrun forwards a signal and then kills the ranks after 30 seconds, ends with 1
whatever the code of a rank was, and restarts ranks that stopped on purpose. Therefore
this process, which a scheduler signals, asks the ranks of its machine to stop by a file.
They save a checkpoint, leave the code for this process in another file and exit with 0,
so that torchrun ends normally.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

#: The folder of the files, of one launch on one machine.
FOLDER_VARIABLE = 'MMLGD_LAUNCH_FOLDER'
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
#: Otherwise restarted ranks read the addresses of dead ones from a store that they share
#: with them, and cannot connect (torch 2.5 to 2.11, pytorch/pytorch#135712).
_ENVIRONMENT = {'TORCH_DISABLE_SHARE_RDZV_TCP_STORE': '1'}


class LaunchFolder:
    """Files between the launcher and the ranks of one machine."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self._listening = folder / 'listening'
        self._stop = folder / 'stop'
        self._code = folder / 'code'

    @classmethod
    def of_rank(cls) -> 'LaunchFolder | None':
        """The folder of the launch that started this process; None for another one."""
        folder = os.environ.get(FOLDER_VARIABLE)
        return cls(folder) if folder and os.path.isdir(folder) else None

    def listen(self) -> None:
        """A rank starts to look for a request. A code of an earlier start is removed."""
        self._code.unlink(missing_ok=True)
        self._listening.touch()

    def stop_listening(self) -> None:
        """The training has ended; signals end the ranks as usual."""
        self._listening.unlink(missing_ok=True)

    def is_stop_requested(self) -> bool:
        """Whether the launcher was signalled."""
        return self._stop.exists()

    def leave_code(self, code: int) -> None:
        """Leave the exit code of the launch, in a rank that then exits with 0."""
        self._code.write_text(str(code))

    def request_stop(self) -> bool:
        """Ask the ranks to stop; False if none is listening."""
        if self._listening.exists():
            self._stop.touch()
            return True
        return False

    def read_code(self) -> int | None:
        """The code that a rank left."""
        return int(self._code.read_text()) if self._code.exists() else None


def main(args: list[str]) -> int:
    """Run torchrun.

    Args:
        args: Command line of torchrun.

    Returns:
        int: The code that the ranks left, otherwise that of torchrun (128 and its number
        for a signal).
    """
    with tempfile.TemporaryDirectory(prefix='mmlgd-launch-') as folder:
        files = LaunchFolder(folder)
        child: subprocess.Popen | None = None
        is_terminated = False

        def receive(number: int, frame: FrameType | None) -> None:
            nonlocal is_terminated
            if files.request_stop():
                return
            # Before a training listens, or in a test.
            is_terminated = True
            if child is not None:
                child.terminate()

        for each in SIGNALS:
            signal.signal(each, receive)
        child = subprocess.Popen(
            [sys.executable, '-m', 'torch.distributed.run', *args],
            env={**_ENVIRONMENT, **os.environ, FOLDER_VARIABLE: folder},
            # Slurm sends SIGUSR1 to all processes, which would end torchrun without its
            # ranks.
            preexec_fn=lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
        )
        if is_terminated:
            # The signal came before there was a process to end.
            child.terminate()
        while True:
            try:
                code = child.wait()
                break
            except KeyboardInterrupt:
                # The terminal interrupts torchrun as well, which ends its ranks.
                continue
        left = files.read_code()
    if left is not None:
        return left
    return code if code >= 0 else 128 - code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
