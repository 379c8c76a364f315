"""Counts device synchronisations on a machine without a GPU."""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that need a value, or a number of values, on the host.
_OPERATORS = {
    'aten::_local_scalar_dense',
    'aten::is_nonzero',
    'aten::equal',
    'aten::nonzero',
    'aten::masked_select',
    'aten::_unique2',
    'aten::unique_consecutive',
    'aten::unique_dim',
    'aten::repeat_interleave.Tensor',
}
_METHODS = ('tolist', 'cpu', 'numpy', '__array__')


class _Operators(TorchDispatchMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        if function._overloadname not in ('', 'default'):
            name = f'{name}.{function._overloadname}'
        by_mask = name.startswith('aten::index.Tensor') and any(
            torch.is_tensor(index) and index.dtype == torch.bool for index in args[1]
        )
        if name in _OPERATORS or by_mask:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@contextmanager
def device_reads():
    """Yields a list of the names of all reads in the body."""
    found = []
    kept = {name: getattr(torch.Tensor, name) for name in _METHODS}

    def noting(name):
        def method(self, *args, **kwargs):
            found.append(name)
            return kept[name](self, *args, **kwargs)

        return method

    for name in _METHODS:
        setattr(torch.Tensor, name, noting(name))
    try:
        with _Operators(found):
            yield found
    finally:
        for name, method in kept.items():
            setattr(torch.Tensor, name, method)


def reads_by_step(runner) -> list[list[str]]:
    """Trains; returns the device reads of each step and the hooks after it."""
    steps = []
    train_step, call_hook = runner.model.train_step, runner.call_hook

    def noting_step(*args, **kwargs):
        with device_reads() as found:
            steps.append(found)
            return train_step(*args, **kwargs)

    def noting_hooks(name, **kwargs):
        if name != 'after_train_iter':
            return call_hook(name, **kwargs)
        with device_reads() as found:
            call_hook(name, **kwargs)
        steps[-1] += found

    runner.model.train_step, runner.call_hook = noting_step, noting_hooks
    runner.train()
    return steps
