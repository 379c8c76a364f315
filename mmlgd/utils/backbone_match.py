"""Does a backbone hold the weights of a checkpoint?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError


@dataclass
class BackboneMatch:
    """Result of :func:`match_states`; all lists hold keys.

    Attributes:
        matched (list[str]): Found with the same shape (and value, if compared).
        absent (list[str]): In the backbone, not in the checkpoint.
        misshapen (list[str]): In both, of different shapes, which are appended.
        different (list[str]): In both, of different values.
        unexpected (list[str]): In the checkpoint, amid layers that the backbone has:
            another depth or variant.
        beyond (list[str]): In the checkpoint, behind the backbone's last layer, as
            a backbone has them that is built without its last stage. No fault.
    """

    matched: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Tensors that should have matched."""
        faults = (self.absent, self.misshapen, self.different, self.unexpected)
        return len(self.matched) + sum(map(len, faults))

    @property
    def share(self) -> float:
        """Matched tensors over all that should have, 0 to 1."""
        return len(self.matched) / max(self.total, 1)

    def summary(self, source: str) -> str:
        """One sentence for the log of a run that may continue."""
        rest = f'; {len(self.beyond)} of the file belong to layers behind the last here'
        return (
            f'{len(self.matched)} of {self.total} tensors of the backbone equal those of '
            f'{source}{rest if self.beyond else ""}.'
        )

    def faults(self) -> str:
        """One phrase for each kind of fault, with the first few keys."""
        kinds = (
            ('not in the checkpoint', self.absent),
            ('of another shape', self.misshapen),
            ('of other values', self.different),
            ('of the checkpoint have no place in this backbone', self.unexpected),
        )
        return '; '.join(
            f'{len(keys)} {what} ({_first(keys)})' for what, keys in kinds if keys
        )


def model_with_backbone(model: nn.Module) -> nn.Module:
    """Look inside of DDP and of test-time augmentation for what has a ``backbone``.

    Raises:
        ConfigError: There is none.
    """
    while not hasattr(model, 'backbone') and hasattr(model, 'module'):
        model = model.module
    if not hasattr(model, 'backbone'):
        raise ConfigError(
            f'BackboneLoadCheckHook looks at model.backbone, which {type(model).__name__} '
            'does not have; remove it from custom_hooks.'
        )
    return model


def pretrained_source(model: nn.Module) -> tuple[str | None, str | None]:
    """Checkpoint and prefix that the backbone's ``init_cfg`` names; None for none."""
    backbone = model_with_backbone(model).backbone
    configs = getattr(backbone, 'init_cfg', None) or []
    for config in configs if isinstance(configs, (list, tuple)) else [configs]:
        if config.get('type') == 'Pretrained':
            return str(config['checkpoint']), config.get('prefix')
    return None, None


def select_prefix(state: Mapping, prefix: str | None, path: str) -> dict:
    """Take the part of a state dict that ``init_cfg`` with this prefix would load.

    Args:
        state (Mapping[str, Tensor]): A checkpoint's ``state_dict``.
        prefix (str | None): As in ``init_cfg``; None takes all keys.
        path (str): Of the checkpoint, for the message.

    Returns:
        dict[str, Tensor]: Keys without the prefix.

    Raises:
        CheckpointError: No key has the prefix.
    """
    if prefix is None:
        # mmengine does the same to what a DistributedDataParallel has saved.
        return {key.removeprefix('module.'): value for key, value in state.items()}
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    part = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    if not part:
        raise CheckpointError(
            f'{path} holds no key under {prefix!r}; its keys begin with '
            f'{_roots(state)}. Set model.backbone.init_cfg.prefix to the one that holds '
            "the backbone ('backbone.' in a checkpoint of mmlgd; leave it out for bare "
            'keys).'
        )
    return part


def match_states(live: Mapping, stored: Mapping, compare_values: bool) -> BackboneMatch:
    """Compare a backbone with a checkpoint, tensor by tensor.

    BatchNorm's ``num_batches_tracked`` is left out: no result depends on it.

    Args:
        live (Mapping[str, Tensor]): The backbone's state dict.
        stored (Mapping[str, Tensor]): The checkpoint's, without prefix, in the
            order of its layers.
        compare_values (bool): Whether equal shapes do not suffice.

    Returns:
        BackboneMatch: What matches and what does not.
    """
    live, stored = _without_counters(live), _without_counters(stored)
    match = BackboneMatch()
    for key, value in live.items():
        other = stored.get(key)
        if other is None:
            match.absent.append(key)
        elif value.shape != other.shape:
            shapes = f'{tuple(value.shape)} here, {tuple(other.shape)} there'
            match.misshapen.append(f'{key}: {shapes}')
        elif compare_values and not _equal(value, other):
            match.different.append(key)
        else:
            match.matched.append(key)
    last = max((i for i, key in enumerate(stored) if key in live), default=-1)
    for i, key in enumerate(stored):
        if key not in live:
            (match.unexpected if i < last else match.beyond).append(key)
    return match


def _without_counters(state: Mapping) -> dict[str, torch.Tensor]:
    return {
        key: value
        for key, value in state.items()
        if torch.is_tensor(value) and not key.endswith('num_batches_tracked')
    }


def _equal(live: torch.Tensor, stored: torch.Tensor) -> bool:
    stored = stored.to(live.dtype)
    return torch.equal(live.detach().cpu(), stored.cpu())


def _roots(state: Mapping) -> str:
    roots = list(dict.fromkeys(key.split('.')[0] + '.' for key in state))
    return ', '.join(roots[:6]) + (', ...' if len(roots) > 6 else '')


def _first(keys: Sequence[str], number: int = 3) -> str:
    return ', '.join(keys[:number]) + (', ...' if len(keys) > number else '')
