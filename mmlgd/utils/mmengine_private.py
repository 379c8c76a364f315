"""Uses of mmengine for which it has no public way; each says why.

Tried with onedl-mmengine 0.10.12; the names are those of mmengine 0.10.0 to 0.10.7, too.
"""

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper


def init_amp_without_accelerator(wrapper: AmpOptimWrapper, **kwargs) -> None:
    """Initialise an AmpOptimWrapper on the CPU, where its own ``__init__`` asserts.

    Its attributes are set here. ``_scale_update_param``, which ``step`` reads, has no
    public name. A disabled scaler hands losses and steps through unchanged.

    Args:
        wrapper: What is initialised; its ``cast_dtype`` is left to the caller.
        **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.
    """
    OptimWrapper.__init__(wrapper, **kwargs)
    wrapper._scale_update_param = None
    wrapper.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
