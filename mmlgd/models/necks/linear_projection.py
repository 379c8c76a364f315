"""One linear map between two embedding spaces."""

from torch import nn

from mmlgd.registry import MODELS


@MODELS.register_module()
class LinearProjection(nn.Linear):
    """Maps rows (B, in_channels) to rows (B, out_channels).

    Args:
        in_channels (int): Width of the features.
        out_channels (int): Width of the embeddings.
        bias (bool): Whether to add a bias. Defaults to True.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, bias=bias)
