"""Models of timm as backbones of students and downstream tasks."""

from collections.abc import Sequence

from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.suggest import suggest


@MODELS.register_module()
class TIMMBackbone(BaseBackbone):
    """A model of timm, with freezing, SyncBatchNorm and its own pooling as options.

    State dict keys are those of mmpretrain's class of the same name, so checkpoints load
    in both.

    Args:
        model_name (str): Name in timm.
        features_only (bool): Whether to return feature maps, a tuple of (B, C, h, w).
            Defaults to False: the unpooled output of the model, such as tokens
            (B, N, C).
        pooled (bool): Whether to return vectors (B, C), pooled by the model itself: its
            class token, the mean of its patches without prefix tokens, or its attention
            pooling, with the last norm if the model has one. Defaults to False.
        out_indices (Sequence[int], optional): Indices of the feature maps. Stages after
            the last one are not built, and their weights in a checkpoint are ignored.
            Defaults to None: timm's choice, all of a network with stages.
        frozen (bool): Whether to freeze all weights and statistics and stay in eval
            mode. Defaults to False.
        norm_eval (bool): Whether to freeze BatchNorm's statistics only. Defaults to
            False.
        sync_bn (bool): Whether to synchronise BatchNorm over the GPUs of a distributed
            run. torch's conversion removes the activation in timm's norm layers.
            Defaults to False.
        pretrained (bool): Whether to load timm's published weights. Defaults to False.
        checkpoint_path (str): Weight file of timm to load. Defaults to ''.
        in_channels (int): Channels of the images. Defaults to 3.
        init_cfg (dict | list, optional): Initialisation. Defaults to None: timm's.
        **kwargs: Further options of the model in timm.

    Raises:
        ConfigError: timm has no such model, or both maps and vectors are requested.
    """

    def __init__(
        self,
        model_name: str,
        features_only: bool = False,
        pooled: bool = False,
        out_indices: Sequence[int] | None = None,
        frozen: bool = False,
        norm_eval: bool = False,
        sync_bn: bool = False,
        pretrained: bool = False,
        checkpoint_path: str = '',
        in_channels: int = 3,
        init_cfg: dict | list | None = None,
        **kwargs,
    ) -> None:
        import timm
        from timm.layers import convert_sync_batchnorm

        check_timm_name(model_name)
        if pooled and (features_only or out_indices is not None):
            raise ConfigError(
                f'{model_name}: pooled=True returns vectors, features_only and out_indices '
                'feature maps; set one of them.'
            )
        super().__init__(init_cfg)
        if out_indices is not None:
            kwargs['out_indices'] = tuple(out_indices)
        if pooled:
            kwargs['num_classes'] = 0
        elif features_only:
            kwargs['features_only'] = True
        model = timm.create_model(
            model_name,
            pretrained=pretrained,
            checkpoint_path=checkpoint_path,
            in_chans=in_channels,
            **kwargs,
        )
        if not pooled and hasattr(model, 'reset_classifier'):
            model.reset_classifier(0, '')
        # These layers do not run on a CPU, and reverting them also loses the activation.
        if sync_bn and is_distributed() and get_device() != 'cpu':
            model = convert_sync_batchnorm(model)
        self.timm_model = model
        self.frozen, self.norm_eval = frozen, norm_eval
        if frozen:
            self.requires_grad_(False)
        if pretrained or checkpoint_path:
            # init_weights() would replace them.
            self._is_init = True
        if out_indices is not None:
            self._register_load_state_dict_pre_hook(self._drop_later_stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of normalised images (B, 3, H, W)."""
        outputs = self.timm_model(images)
        return tuple(outputs) if isinstance(outputs, (list, tuple)) else (outputs,)

    def train(self, mode: bool = True) -> 'TIMMBackbone':
        """Set the mode, except for frozen parts."""
        super().train(mode and not self.frozen)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _drop_later_stages(self, state_dict: dict, prefix: str, *_) -> None:
        prefix = f'{prefix}timm_model.'
        own = {name for name, _ in self.timm_model.named_children()}
        for key in list(state_dict):
            part = key.removeprefix(prefix).partition('.')[0]
            if key.startswith(prefix) and part not in own:
                del state_dict[key]


def check_timm_name(model_name: str, allow_sources: bool = True) -> None:
    """Check that timm has a model of this name.

    Args:
        model_name (str): Name in timm.
        allow_sources (bool): Whether to accept any name with a source, such as
            ``hf-hub:``, which timm resolves. Defaults to True.

    Raises:
        ConfigError: It has none; the message gives similar names.
    """
    import timm

    if (allow_sources and ':' in model_name) or timm.is_model(model_name):
        return
    hint = suggest(model_name, timm.list_models(), count=3)
    raise ConfigError(
        f'timm {timm.__version__} has no model {model_name!r}.{hint} See '
        'timm.list_models() for all names.'
    )
