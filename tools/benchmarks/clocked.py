"""Runs a script and keeps the processor time that it takes, while it runs.

    python tools/benchmarks/clocked.py SECONDS_FILE SCRIPT ARGUMENTS...

The file holds the seconds of all attempts: whatever ends this process, or the one that
started it, little is lost.
"""

import os
import runpy
import sys
from pathlib import Path
from threading import Event, Thread

from mmlgd.utils.atomic import write_atomically

INTERVAL = 2.0


def spent() -> float:
    """Processor seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def main(file: str, script: str, *arguments: str) -> None:
    """Run ``script`` as the main program.

    Args:
        file (str): Takes the seconds, on top of those it holds.
        script (str): Path of the script.
        *arguments (str): Its command line.
    """
    path, ended = Path(file), Event()
    before = float(path.read_text(encoding='utf-8')) if path.is_file() else 0.0

    def tell() -> None:
        write_atomically(path, f'{before + spent():.2f}\n')

    def keep_telling() -> None:
        while not ended.wait(INTERVAL):
            tell()

    clock = Thread(target=keep_telling, daemon=True)
    clock.start()
    sys.argv, sys.path[0] = [script, *arguments], str(Path(script).parent)
    try:
        runpy.run_path(script, run_name='__main__')
    finally:
        ended.set()
        clock.join()
        tell()


if __name__ == '__main__':
    main(*sys.argv[1:])
