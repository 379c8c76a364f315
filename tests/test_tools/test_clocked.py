"""Processor time of scripts that end, fail or are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, time
while time.process_time() < float(sys.argv[1]):
    pass
print('spent', flush=True)
time.sleep(float(sys.argv[2]))
sys.exit(3)
"""


def test_the_clock_outlives_a_kill(tmp_path):
    script, clock = tmp_path / 'script.py', tmp_path / 'seconds.txt'
    script.write_text(SCRIPT)
    command = [sys.executable, str(ROOT / 'tools/benchmarks/clocked.py'), str(clock)]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))

    def start(*arguments):
        return subprocess.Popen(
            [*command, str(script), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
        )

    # Past what importing takes, so that the loop is what is counted.
    with start('20', '20') as process:
        deadline = time.monotonic() + 60
        while not clock.exists() or float(clock.read_text()) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    first = float(clock.read_text())
    assert first >= 5
    with start('0', '0') as process:
        assert process.wait(timeout=120) == 3
    assert float(clock.read_text()) > first
