"""Comparison of a backbone with the weights of a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError


@dataclass
class BackboneMatch:
    """Result of :func:`match_states`; all lists contain keys.

    Attributes:
        matched (list[str]): Found with the same shape (and value, if compared).
        missing (list[str]): In the backbone, not in the checkpoint.
        shape_mismatch (list[str]): In both, with different shapes, which are appended.
        value_mismatch (list[str]): In both, with different values.
        unexpected (list[str]): In the checkpoint, between layers of the backbone:
            another depth or variant.
        trailing (list[str]): In the checkpoint, after the backbone's last layer, as for
            a backbone built without its last stage. This is not an error.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    shape_mismatch: list[str] = field(default_factory=list)
    value_mismatch: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    trailing: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of tensors that should match."""
        mismatches = (
            self.missing,
            self.shape_mismatch,
            self.value_mismatch,
            self.unexpected,
        )
        return len(self.matched) + sum(map(len, mismatches))

    @property
    def share(self) -> float:
        """Share of matched tensors among those that should match, 0 to 1."""
        return len(self.matched) / max(self.total, 1)

    def summary(self, source: str) -> str:
        """One sentence for the log of a run that may continue."""
        rest = f'; {len(self.trailing)} of the file belong to layers after its last one'
        return (
            f'{len(self.matched)} of {self.total} tensors of the backbone equal those of '
            f'{source}{rest if self.trailing else ""}.'
        )

    def mismatches(self) -> str:
        """One phrase for each kind of mismatch, with the first few keys."""
        kinds = (
            ('missing in the checkpoint', self.missing),
            ('of another shape', self.shape_mismatch),
            ('with other values', self.value_mismatch),
            ('unexpected in the checkpoint', self.unexpected),
        )
        return '; '.join(
            f'{len(keys)} {what} ({_first(keys)})' for what, keys in kinds if keys
        )


def model_with_backbone(model: nn.Module) -> nn.Module:
    """Unwrap DDP and test-time augmentation to the model that has a ``backbone``.

    Raises:
        ConfigError: No part of the model has a ``backbone``.
    """
    while not hasattr(model, 'backbone') and hasattr(model, 'module'):
        model = model.module
    if not hasattr(model, 'backbone'):
        raise ConfigError(
            f'BackboneLoadCheckHook needs model.backbone, which {type(model).__name__} '
            'does not have; remove it from custom_hooks.'
        )
    return model


def pretrained_source(model: nn.Module) -> tuple[str | None, str | None]:
    """Checkpoint and prefix in the backbone's ``init_cfg``; None if not set."""
    backbone = model_with_backbone(model).backbone
    configs = getattr(backbone, 'init_cfg', None) or []
    for config in configs if isinstance(configs, (list, tuple)) else [configs]:
        if config.get('type') == 'Pretrained':
            return str(config['checkpoint']), config.get('prefix')
    return None, None


def select_prefix(state: Mapping, prefix: str | None, path: str) -> dict:
    """Select the part of a state dict that ``init_cfg`` with this prefix would load.

    Args:
        state (Mapping[str, Tensor]): A checkpoint's ``state_dict``.
        prefix (str | None): As in ``init_cfg``; None selects all keys.
        path (str): Path of the checkpoint, for the message.

    Returns:
        dict[str, Tensor]: Keys without the prefix.

    Raises:
        CheckpointError: No key has the prefix.
    """
    if prefix is None:
        # mmengine does the same for states saved by a DistributedDataParallel.
        return {key.removeprefix('module.'): value for key, value in state.items()}
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    part = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    if not part:
        raise CheckpointError(
            f'{path} has no key under {prefix!r}; its keys start with '
            f'{_roots(state)}. Set model.backbone.init_cfg.prefix to the prefix of the '
            "backbone ('backbone.' in a checkpoint of mmlgd; omit it for bare keys)."
        )
    return part


def match_states(live: Mapping, stored: Mapping, compare_values: bool) -> BackboneMatch:
    """Compare a backbone with a checkpoint, tensor by tensor.

    BatchNorm's ``num_batches_tracked`` is ignored: no result depends on it.

    Args:
        live (Mapping[str, Tensor]): The backbone's state dict.
        stored (Mapping[str, Tensor]): The checkpoint's, without prefix, in the
            order of its layers.
        compare_values (bool): Whether to compare values in addition to shapes.

    Returns:
        BackboneMatch: The matching and the mismatching keys.
    """
    live, stored = _without_counters(live), _without_counters(stored)
    match = BackboneMatch()
    for key, value in live.items():
        other = stored.get(key)
        if other is None:
            match.missing.append(key)
        elif value.shape != other.shape:
            shapes = f'{tuple(value.shape)} here, {tuple(other.shape)} there'
            match.shape_mismatch.append(f'{key}: {shapes}')
        elif compare_values and not _equal(value, other):
            match.value_mismatch.append(key)
        else:
            match.matched.append(key)
    last = max((i for i, key in enumerate(stored) if key in live), default=-1)
    for i, key in enumerate(stored):
        if key not in live:
            (match.unexpected if i < last else match.trailing).append(key)
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
