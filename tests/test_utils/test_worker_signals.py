import os
import subprocess

from torch.utils.data import DataLoader, get_worker_info

from mmlgd.utils.worker_signals import shield_workers


class Pids:
    """Items (process, seed of the worker's initialisation)."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return os.getpid(), os.environ.get('INITIALISED', str(get_worker_info().id))


def initialise(number):
    os.environ['INITIALISED'] = f'worker {number}'


def test_a_worker_survives_signals_except_from_its_parent():
    loader = DataLoader(
        Pids(), None, num_workers=1, prefetch_factor=1, worker_init_fn=initialise
    )
    shield_workers(loader)
    batches = iter(loader)
    process, initialised = next(batches)
    assert initialised == 'worker 0'
    for name in ('TERM', 'USR1'):
        # Another process sends it, as a scheduler does.
        subprocess.run(['sh', '-c', f'kill -{name} {process}'], check=True)
    assert {each for each, _ in batches} == {process}
    batches = iter(loader)
    next(batches)
    (worker,) = batches._workers
    worker.terminate()
    worker.join(timeout=10)
    assert worker.exitcode == 0
