"""Mixed-precision optimizer wrapper for GPUs and for the CPU."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper as _MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import nn

from mmlgd.engine.training_record import STEP_OPTIONS
from mmlgd.errors import ConfigError
from mmlgd.registry import OPTIM_WRAPPERS
from mmlgd.utils.mmengine_private import init_amp_without_accelerator

_DTYPES = ('auto', 'float16', 'bfloat16')
_CPU_DTYPES = ('auto', 'bfloat16', 'float32')
# CPU flags of x86 (Intel since Cooper Lake, AMD since Zen 4) and of Arm.
_NATIVE_BFLOAT16 = {'avx512_bf16', 'amx_bf16', 'bf16', 'svebf16'}


def _read_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    name = 'auto' if dtype is None else str(dtype).removeprefix('torch.')
    if name not in _DTYPES:
        raise ConfigError(
            'optim_wrapper.dtype of AmpOptimWrapper must be one of '
            f'{", ".join(_DTYPES)}, but is {dtype!r}.'
        )
    if name == 'auto':
        name = 'bfloat16' if _cuda_has_bfloat16() else 'float16'
    return getattr(torch, name)


def _cuda_has_bfloat16() -> bool:
    return torch.cuda.is_available() and gpu_has_bfloat16()


def gpu_has_bfloat16() -> bool:
    """Whether the GPU, which must exist, has native bfloat16 arithmetic.

    torch's own check also accepts older GPUs, which emulate it.
    """
    return torch.cuda.get_device_capability()[0] >= 8


def _choose_cpu_dtype(cpu_dtype: str) -> torch.dtype:
    if cpu_dtype != 'auto':
        return getattr(torch, cpu_dtype)
    if has_native_bfloat16():
        return torch.bfloat16
    print_log(
        'AmpOptimWrapper: there is no accelerator, and this CPU has no native bfloat16, '
        'so training runs in float32, which is faster here.',
        logger='current',
    )
    return torch.float32


def _warn_about_emulation() -> None:
    if not torch.cuda.is_available() or _cuda_has_bfloat16():
        return
    print_log(
        f'{torch.cuda.get_device_name()} has no native bfloat16 and emulates it slowly; '
        "set optim_wrapper.dtype='float16'.",
        logger='current',
        level=logging.WARNING,
    )


def has_native_bfloat16() -> bool:
    """Whether this CPU has native bfloat16 arithmetic.

    It is read from the CPU flags of Linux; elsewhere it is False. torch's own checks
    also accept AVX-512 without bfloat16, which is slower than float32.
    """
    try:
        features = set(Path('/proc/cpuinfo').read_text(errors='replace').split())
    except OSError:
        return False
    return not features.isdisjoint(_NATIVE_BFLOAT16)


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(_MMEngineAmpOptimWrapper):
    """mmengine's wrapper, also for the CPU, and without loss scaling for bfloat16.

    mmengine's class requires an accelerator. On a CPU with native bfloat16, this class
    runs the forward pass under bfloat16 autocast. On other CPUs it uses float32, which
    is several times faster there. bfloat16 has the exponent range of float32, so its
    losses are not scaled, on any device. Gradient accumulation and clipping are
    inherited.

    Args:
        loss_scale (str | float | dict): ``'dynamic'``, a fixed scale, or arguments
            of ``GradScaler``; for float16 only. Defaults to ``'dynamic'``.
        dtype (str | torch.dtype, optional): ``'float16'``, ``'bfloat16'`` or
            ``'auto'``, on an accelerator; ``'auto'`` and None choose bfloat16 on CUDA
            devices that have it, otherwise float16. Defaults to ``'auto'``.
        cpu_dtype (str): ``'bfloat16'`` or ``'float32'``, on the CPU, independent of
            ``dtype``. Defaults to ``'auto'``: bfloat16 if it is native.
        **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.

    Raises:
        ConfigError: ``dtype`` or ``cpu_dtype`` is unknown.
    """

    def __init__(
        self,
        loss_scale: str | float | dict = 'dynamic',
        dtype: str | torch.dtype | None = 'auto',
        cpu_dtype: str = 'auto',
        **kwargs,
    ) -> None:
        dtype = _read_dtype(dtype)
        if cpu_dtype not in _CPU_DTYPES:
            raise ConfigError(
                'optim_wrapper.cpu_dtype of AmpOptimWrapper must be one of '
                f'{", ".join(_CPU_DTYPES)}, but is {cpu_dtype!r}.'
            )
        self._device_type = get_device()
        if self._device_type == 'cpu':
            init_amp_without_accelerator(self, **kwargs)
            self.cast_dtype = _choose_cpu_dtype(cpu_dtype)
            return
        if dtype == torch.bfloat16:
            loss_scale = dict(enabled=False)
            _warn_about_emulation()
        super().__init__(loss_scale=loss_scale, dtype=dtype, **kwargs)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast, without gradient sync while accumulating.

        mmengine's ``autocast`` compares version strings, which ``torch.compile`` cannot
        trace; torch's own is equivalent here.

        Args:
            model (nn.Module): The training model.
        """
        autocast = torch.autocast(
            self._device_type,
            dtype=self.cast_dtype,
            enabled=self.cast_dtype != torch.float32,
        )
        with OptimWrapper.optim_context(self, model), autocast:
            yield

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a state saved under any precision or on any device.

        The way in which this run computes a step (fused or not) is kept: torch would
        restore that of the checkpoint, which may need another device.

        Args:
            state_dict (dict): The optimizer's state, with or without ``loss_scaler``.
                An empty ``loss_scaler`` (saved by a run without scaling) is skipped,
                since an active scaler rejects it.
        """
        if not state_dict.get('loss_scaler', True):
            state_dict.pop('loss_scaler')
        defaults = self.optimizer.defaults
        kept = {key: defaults[key] for key in STEP_OPTIONS if key in defaults}
        super().load_state_dict(state_dict)
        for group in self.optimizer.param_groups:
            group.update(kept)
