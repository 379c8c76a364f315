"""Pooling of tokens and of channels-last maps."""

from torch import Tensor, nn

from mmlgd.errors import ConfigError
from mmlgd.models.pooled_features import last_of
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count

_POOLS = ('mean', 'cls')


@MODELS.register_module()
class TokenPooling(nn.Module):
    """Pools the tokens of a ViT or channels-last maps (timm's Swin).

    Args:
        pool (str): 'mean' over all locations, or 'cls', the first token. Use the one
            that the backbone was trained with. Defaults to 'mean'.
        num_prefix_tokens (int): Tokens before the patches (class, registers), which are
            excluded from the mean. Defaults to 0.

    Raises:
        ConfigError: ``pool`` is unknown, or ``num_prefix_tokens`` is negative.
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
            inputs (Tensor | tuple | list): (B, N, C) or (B, h, w, C), or a sequence of
                these, of which the last is pooled.

        Returns:
            Tensor: (B, C).
        """
        tokens = last_of(inputs).flatten(1, -2)
        if self.pool == 'cls':
            return tokens[:, 0]
        return tokens[:, self.num_prefix_tokens :].mean(dim=1)
