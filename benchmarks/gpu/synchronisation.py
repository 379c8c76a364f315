"""Row on the steps in which the host waits for the GPU."""

import contextlib
import tempfile
import warnings

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.outcome import Outcome, Setting, needs_gpu
from benchmarks.speed import profile_step
from benchmarks.speed.train_case import case_of

_WAITS = {
    'cudaStreamSynchronize',
    'cudaDeviceSynchronize',
    'cudaEventSynchronize',
    'cudaMemcpy',
}


class _CountWaits(Hook):
    """Counts in a range of iterations in which nothing is logged.

    Args:
        first (int): The first counted iteration.
        after (int): The iteration after the last counted one.
    """

    priority = 'VERY_LOW'

    def __init__(self, first: int, after: int) -> None:
        self.first, self.after = first, after
        self.warned: list[str] = []
        self.profiled: dict[str, int] = {}
        self._counting = contextlib.ExitStack()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Begin and end the count."""
        if runner.iter == self.first:
            self._begin()
        elif runner.iter == self.after:
            torch.cuda.set_sync_debug_mode('default')
            self._counting.close()
            self.warned = [str(each.message) for each in self._caught]
            self.warned = [text for text in self.warned if 'synchroniz' in text]
            events = self._profiler.key_averages()
            self.profiled = {e.key: e.count for e in events if e.key in _WAITS}
            # The profiler itself waits once, at its end.
            ends = self.profiled.pop('cudaDeviceSynchronize', 1) - 1
            if ends:
                self.profiled['cudaDeviceSynchronize'] = ends

    def _begin(self) -> None:
        torch.cuda.synchronize()
        activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        self._profiler = self._counting.enter_context(profile(activities=activities))
        self._caught = self._counting.enter_context(
            warnings.catch_warnings(record=True)
        )
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')


def waits_per_step(setting: Setting) -> Outcome:
    """Waits of the host per step in a Runner with the default hooks."""
    args = profile_step.parse_args(setting.options('bfloat16'))
    counts, found = {}, {}
    for side in ('stored', 'online'):
        case = case_of(setting.pick('mbv3', 'mbv3_small'), args)
        hook = _CountWaits(10, 30)
        with tempfile.TemporaryDirectory() as folder:
            steps = setting.pick(40, 2)
            runner = profile_step.build_runner(side, case, steps, folder)
            if setting.on_gpu:
                runner.register_hook(hook)
            runner.train()
        total = max(len(hook.warned), sum(hook.profiled.values()))
        counts[side] = total / (hook.after - hook.first)
        found[side] = dict(warned=hook.warned[:20], profiled=hook.profiled)
    if not setting.on_gpu:
        return needs_gpu('steps without a count')
    figure = ', '.join(f'{side} {count:g}' for side, count in counts.items())
    return Outcome(not any(counts.values()), f'per step: {figure}', found)
