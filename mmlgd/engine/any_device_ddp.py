"""Distributed wrapper that trains on the CPU as well as on GPUs."""

from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from torch import nn

from mmlgd.registry import MODEL_WRAPPERS


def _is_synchronised(module: nn.Module) -> bool:
    # mmcv's own layer has torch's name and another base class.
    return type(module).__name__ == 'SyncBatchNorm'


@MODEL_WRAPPERS.register_module()
class AnyDeviceDDP(MMDistributedDataParallel):
    """mmengine's wrapper, for a module on any device.

    On the CPU, torch rejects device ids, which mmengine's Runner passes, and
    SyncBatchNorm. There, this class drops the ids and reverts SyncBatchNorm to
    BatchNorm, as the Runner does in a run of one process. On other devices it behaves
    like its base class.

    Args:
        module (nn.Module): Model on its device.
        device_ids (list[int], optional): Device of this rank; ignored on the CPU.
            Defaults to None.
        **kwargs: Arguments of :class:`mmengine.model.MMDistributedDataParallel`.
    """

    def __init__(
        self, module: nn.Module, device_ids: list[int] | None = None, **kwargs
    ) -> None:
        if all(parameter.device.type == 'cpu' for parameter in module.parameters()):
            device_ids = None
            if any(_is_synchronised(layer) for layer in module.modules()):
                print_log(
                    'On the CPU, SyncBatchNorm layers become BatchNorm: each rank '
                    'normalises by its own batch.',
                    logger='current',
                )
                module = revert_sync_batchnorm(module)
        super().__init__(module, device_ids=device_ids, **kwargs)
