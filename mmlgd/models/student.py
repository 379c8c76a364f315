"""The student: an mmpretrain or timm backbone, its pooling and its projector."""

import logging

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models.backbones import check_timm_name
from mmlgd.models.pooled_features import TIMM_POOLING, pool_features, probe_pooling
from mmlgd.models.resizing import resize_images
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count
from mmlgd.utils.plain_config import name_of

# Use neck=None for backbones that return vectors.
GLOBAL_AVERAGE_POOLING = dict(type='mmpretrain.GlobalAveragePooling')


class Student(BaseModel):
    """A lightweight backbone that embeds images in the teacher's space.

    Args:
        backbone (dict): Config of a backbone of mmpretrain, or of mmlgd's for timm.
        embed_dims (int): Width D of the teacher's embeddings.
        neck (dict, optional): Pools the last feature map to (B, h). None for
            backbones that return vectors. Defaults to global average pooling.
        projector (dict, optional): Its widths are filled in: h is found by a
            forward pass, D is the teacher's. Defaults to ``Projector``.
        image_size (int): Side of the image used to determine h, in pixels; a
            backbone with its own ``img_size`` keeps that. Defaults to 224.
        student_size (int, optional): Side to which images of ``image_size`` are
            resized before the backbone, in pixels. Images of any other size are not
            resized. Defaults to None: no resizing.
        data_preprocessor (dict | nn.Module, optional): Defaults to None: images are not
            normalised.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Attributes:
        feature_dims (int): h, the width of the pooled features.
        map_dims (list[int]): Channels of each feature map that the backbone returns.

    Raises:
        ConfigError: Backbone and neck do not return vectors, timm has no such model, or
            the projector is configured for other widths.
    """

    def __init__(
        self,
        backbone: dict,
        embed_dims: int,
        neck: dict | None = GLOBAL_AVERAGE_POOLING,
        projector: dict | None = None,
        image_size: int = 224,
        student_size: int | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if student_size is not None:
            name = f'{type(self).__name__}.student_size'
            student_size = check_count(name, student_size, 1)
        self.student_size = student_size
        self._crop_size = _pair(image_size)
        if name_of(backbone).endswith('TIMMBackbone'):
            check_timm_name(backbone.get('model_name', ''))
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        # Most backbones with a fixed input size store it; those of timm do not.
        own_size = getattr(self.backbone, 'img_size', backbone.get('img_size'))
        self._probe(student_size or own_size or image_size)
        _warn_about_vit_maps(self.backbone)
        projector = {'type': 'Projector', **(projector or {})}
        for name, width in (
            ('in_channels', self.feature_dims),
            ('out_channels', embed_dims),
        ):
            if projector.setdefault(name, width) != width:
                raise ConfigError(
                    f'projector.{name} is {projector[name]}, but must be {width} '
                    f'(features {self.feature_dims}, teacher {embed_dims}); omit it from '
                    'the config.'
                )
        self.projector = MODELS.build(projector)

    def extract_feat(self, inputs: torch.Tensor) -> torch.Tensor:
        """Pooled features (B, h) of normalised images (B, 3, H, W)."""
        return self.pool(self.run_backbone(inputs))

    def run_backbone(self, inputs: torch.Tensor) -> torch.Tensor | tuple:
        """Run the backbone on images (B, 3, H, W), resized to ``student_size`` if set."""
        return self.backbone(self.student_view(inputs))

    def student_view(self, inputs: torch.Tensor) -> torch.Tensor:
        """Resize images (B, 3, H, W) to the student's input size, see ``student_size``."""
        if self.student_size is None or tuple(inputs.shape[-2:]) != self._crop_size:
            return inputs
        return resize_images(inputs, self.student_size)

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        """Embed images.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).

        Returns:
            torch.Tensor: s, (B, D) float32, each row of unit length.
        """
        return self.project(self.extract_feat(inputs))

    def pool(self, outputs: torch.Tensor | tuple) -> torch.Tensor:
        """Pool the output of the backbone, the last of several, to features (B, h)."""
        return pool_features(self.neck, outputs)

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Project pooled features (B, h) to embeddings (B, D), float32 unit rows."""
        embeddings = self.projector(features)
        with torch.autocast(embeddings.device.type, enabled=False):
            return F.normalize(embeddings.float(), dim=1)

    def check_gives_maps(self) -> None:
        """Check that the backbone returns feature maps.

        Raises:
            ConfigError: The backbone returns vectors only.
        """
        if not self.map_dims:
            raise ConfigError(
                f'The student returns vectors, but {type(self).__name__} needs its feature '
                'maps; set out_indices or out_type of model.backbone to return them.'
            )

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> torch.Tensor:
        """Embeddings of the images; ``tensor`` is the only mode of a bare student.

        Raises:
            ConfigError: The mode is another one.
        """
        if mode != 'tensor':
            raise ConfigError(
                f"A Student has no mode {mode!r}, only 'tensor'; use a distiller."
            )
        return self.embed(inputs)

    def _probe(self, image_size: int | tuple[int, int]) -> None:
        """Find the widths of the features with one black image, in eval mode."""
        # Not chained, since train() and eval() of some backbones return None.
        self.eval()
        features, self.map_dims = probe_pooling(
            self.backbone,
            self.neck,
            torch.zeros(1, 3, *_pair(image_size)),
            'The student',
            ConfigError,
        )
        self.train()
        self.feature_dims = features.shape[1]


def _warn_about_vit_maps(backbone: nn.Module) -> None:
    """Warn if a ViT of timm returns maps, which it was not built to pool."""
    vit = getattr(getattr(backbone, 'timm_model', None), 'model', None)
    if hasattr(vit, 'num_prefix_tokens'):
        print_log(
            f'The student is a {type(vit).__name__} of timm with features_only=True: its '
            'class token, its last norm and its own pooling are not used, and its maps '
            f'are pooled instead. {TIMM_POOLING}.',
            'current',
            level=logging.WARNING,
        )


def _pair(size) -> tuple:
    return tuple(size) if isinstance(size, (tuple, list)) else (size, size)
