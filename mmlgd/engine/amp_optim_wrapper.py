"""Mixed-precision optimizer wrapper for GPUs and for the CPU."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper as _MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.registry import OPTIM_WRAPPERS

_DTYPES = ('float16', 'bfloat16')


def _read_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    name = str(dtype).removeprefix('torch.')
    if dtype is not None and name not in _DTYPES:
        raise ConfigError(
            'optim_wrapper.dtype of AmpOptimWrapper must be one of '
            f'{", ".join(_DTYPES)}, but is {dtype!r}.'
        )
    return None if dtype is None else getattr(torch, name)


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(_MMEngineAmpOptimWrapper):
    """mmengine's wrapper, also for the CPU, and without needless loss scaling.

    mmengine's class asserts an accelerator. On the CPU this one runs the forward
    pass under bfloat16 autocast, the only type that mmengine's ``autocast`` takes
    there. bfloat16 has float32's range of exponents, so its losses are not scaled,
    on any device. Gradient accumulation and clipping are inherited.

    Args:
        loss_scale (str | float | dict): ``'dynamic'``, a fixed scale, or arguments
            of ``GradScaler``; for float16 only. Defaults to ``'dynamic'``.
        dtype (str | torch.dtype, optional): ``'float16'`` or ``'bfloat16'``. On the
            CPU, float16 is replaced by bfloat16 and a warning is logged. Defaults
            to None: float16 on GPUs, bfloat16 on the CPU.
        **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.

    Raises:
        ConfigError: Another dtype.
    """

    def __init__(
        self,
        loss_scale: str | float | dict = 'dynamic',
        dtype: str | torch.dtype | None = None,
        **kwargs,
    ) -> None:
        dtype = _read_dtype(dtype)
        self._device_type = get_device()
        if self._device_type == 'cpu':
            if dtype == torch.float16:
                print_log(
                    'AmpOptimWrapper: no accelerator here; bfloat16 replaces float16.',
                    logger='current',
                    level=logging.WARNING,
                )
            # The base class would stop at its assertion, so its two attributes are
            # set here; a disabled scaler hands losses and steps through unchanged.
            OptimWrapper.__init__(self, **kwargs)
            self._scale_update_param = None
            self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
            self.cast_dtype = torch.bfloat16
            return
        if dtype == torch.bfloat16:
            loss_scale = dict(enabled=False)
        super().__init__(loss_scale=loss_scale, dtype=dtype, **kwargs)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Forward pass under autocast, and without gradient sync while accumulating.

        mmengine's ``autocast`` compares versions as strings, which ``torch.compile``
        cannot trace; torch's own does the same here.

        Args:
            model (nn.Module): The training model.
        """
        autocast = torch.autocast(self._device_type, dtype=self.cast_dtype)
        with OptimWrapper.optim_context(self, model), autocast:
            yield

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a state saved under any precision or on any device.

        Args:
            state_dict (dict): The optimizer's state, with ``loss_scaler`` or without.
                An empty ``loss_scaler`` (saved by a run without scaling) is skipped,
                since an active scaler refuses it.
        """
        if not state_dict.get('loss_scaler', True):
            state_dict.pop('loss_scaler')
        super().load_state_dict(state_dict)
