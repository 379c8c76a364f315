"""Pooling where channels are the last axis."""

from torch import Tensor, nn

from mmlgd.errors import ConfigError
from mmlgd.models.pooled_features import last_of
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count

_POOLS = ('mean', 'cls')


@MODELS.register_module()
class TokenPooling(nn.Module):
    """Pools the tokens of a ViT, or maps that have their channels last (timm's Swin).

    Args:
        pool (str): 'mean' over all places, or 'cls', the first token. Take what the
            backbone was trained with. Defaults to 'mean'.
        num_prefix_tokens (int): Tokens before the patches (class, registers), which
            the mean leaves out. Defaults to 0.

    Raises:
        ConfigError: Another ``pool``, or a negative number.
    """

    def __init__(self, pool: str = 'mean', num_prefix_tokens: int = 0) -> None:
        super().__init__()
        if pool not in _POOLS:
            raise ConfigError(
                f'TokenPooling.pool is {pool!r}; set it to one of {", ".join(_POOLS)}.'
            )
        self.pool = pool
        self.num_prefix_tokens = check_count(
            'TokenPooling.num_prefix_tokens', num_prefix_tokens, 0
        )

    def forward(self, inputs: Tensor | tuple | list) -> Tensor:
        """Pool the last output of a backbone.

        Args:
            inputs (Tensor | tuple | list): (B, N, C) or (B, h, w, C), or several.

        Returns:
            Tensor: (B, C).
        """
        tokens = last_of(inputs).flatten(1, -2)
        if self.pool == 'cls':
            return tokens[:, 0]
        return tokens[:, self.num_prefix_tokens :].mean(dim=1)
