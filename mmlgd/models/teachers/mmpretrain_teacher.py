"""Teachers that are backbones of mmpretrain, with or without text."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.registry import MODELS

from .base import BaseTeacher
from .open_clip_teacher import OpenCLIPTeacher
from .weight_files import load_whole, read_state_dict


@MODELS.register_module()
class MMPretrainTeacher(BaseTeacher):
    """A frozen mmpretrain backbone, with text from an open_clip text tower.

    Args:
        backbone (dict): Config of the backbone, as ``mmpretrain.ResNet``.
        neck (dict, optional): Config of a neck that pools to (B, C). None where
            the backbone does. Defaults to None.
        projection (dict | str, optional): Maps the pooled features into the text
            tower's space: a config (type 'LinearProjection' unless named; its
            ``in_channels`` is found, its ``checkpoint`` is loaded), or the path of
            a linear map's state dict. Defaults to None.
        checkpoint (str, optional): An mmpretrain checkpoint, file or URL: its
            ``backbone.*`` and ``neck.*`` must fit whole. None leaves random weights
            and warns. Defaults to None.
        text_encoder (dict, optional): Arguments of an :class:`OpenCLIPTeacher`
            whose text tower is taken. Defaults to None: no text.
        image_mean (Sequence[float]): Mean of R, G and B, 0 to 255. Defaults to
            ImageNet's.
        image_std (Sequence[float]): Standard deviation of R, G and B, 0 to 255.
            Defaults to ImageNet's.
        image_size (int): Side of the input, in pixels. Defaults to 224.
        precision (str): See :class:`BaseTeacher`. Defaults to 'auto'.

    Raises:
        ConfigError: Options that contradict one another.
        TeacherError: Weights that cannot be read or do not fit, features that are
            not (B, C), or a width that is not the text tower's.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        projection: dict | str | None = None,
        checkpoint: str | None = None,
        text_encoder: dict | None = None,
        image_mean: Sequence[float] = (123.675, 116.28, 103.53),
        image_std: Sequence[float] = (58.395, 57.12, 57.375),
        image_size: int = 224,
        precision: str = 'auto',
    ) -> None:
        super().__init__(precision)
        self.image_mean = [float(value) for value in image_mean]
        self.image_std = [float(value) for value in image_std]
        self.image_size = image_size
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        self.projection = None
        kind = str(backbone['type']).split('.')[-1]
        label = Path(checkpoint).name if checkpoint else 'random'
        self._name = f'mmpretrain/{kind}/{label}'
        self._load(checkpoint)
        self.embed_dims = self._probe()
        if projection is not None:
            self.projection = _build_projection(projection, self.embed_dims)
            self.embed_dims = self._probe()
        if text_encoder is not None:
            self.text = MODELS.build({'type': OpenCLIPTeacher, **text_encoder}).text
            self._check_widths()
        self.freeze()

    def image_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, H, W)."""
        features = self.backbone(inputs)
        if self.neck is not None:
            features = self.neck(features)
        while isinstance(features, (tuple, list)):
            features = features[-1]
        return features if self.projection is None else self.projection(features)

    def _load(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            if getattr(self.backbone, 'init_cfg', None):
                _refuse_pretrained(self.backbone.init_cfg)
            _warn_random(self._name)
            return
        weights = read_state_dict(checkpoint)
        for part in ('backbone', 'neck'):
            module = getattr(self, part)
            prefix = f'{part}.'
            own = {
                key.removeprefix(prefix): value
                for key, value in weights.items()
                if key.startswith(prefix)
            }
            if module is not None:
                load_whole(module, own, f'{part} of {self._name} from {checkpoint}')

    @torch.no_grad()
    def _probe(self) -> int:
        """Width C of the features (B, C), from one black image in eval mode."""
        self.train(False)
        features = self.image_features(torch.zeros(1, 3, *[self.image_size] * 2))
        if features.dim() != 2:
            raise TeacherError(
                f'{self._name} gives features of shape {tuple(features.shape)}, not '
                "(B, C). Set neck=dict(type='mmpretrain.GlobalAveragePooling') for "
                "feature maps, out_type='cls_token' of the backbone for token lists."
            )
        return features.shape[1]

    def _check_widths(self) -> None:
        if self.embed_dims == self.text.embed_dims:
            return
        raise TeacherError(
            f'Embedding widths differ: {self._name} gives {self.embed_dims}, the text '
            f'tower {self.text.name} gives {self.text.embed_dims}. Set projection to '
            f'a map to {self.text.embed_dims} that was trained for this pair, or take '
            'a text_encoder of that width.'
        )


def _build_projection(projection: dict | str, width: int) -> torch.nn.Module:
    """Builds the projection for features of a width, and loads its weights."""
    if isinstance(projection, str):
        projection = dict(checkpoint=projection)
    cfg = {'type': 'LinearProjection', 'in_channels': width, **projection}
    if cfg['in_channels'] != width:
        raise ConfigError(
            f'projection.in_channels is {cfg["in_channels"]}, but the features are '
            f'{width} wide. Leave it out: it is found.'
        )
    checkpoint = cfg.pop('checkpoint', None)
    if checkpoint is None:
        _warn_random('The projection of MMPretrainTeacher')
        return MODELS.build(cfg)
    weights = {
        key.removeprefix('projection.'): value
        for key, value in read_state_dict(checkpoint).items()
    }
    if cfg['type'] == 'LinearProjection' and 'weight' in weights:
        cfg.setdefault('out_channels', weights['weight'].shape[0])
        cfg.setdefault('bias', 'bias' in weights)
    module = MODELS.build(cfg)
    load_whole(module, weights, f'projection from {checkpoint}')
    return module


def _refuse_pretrained(init_cfg: dict | list) -> None:
    entries = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    if any(entry.get('type') == 'Pretrained' for entry in entries):
        raise ConfigError(
            'A teacher is never initialised, so backbone.init_cfg=Pretrained would be '
            'ignored. Give the file as checkpoint of MMPretrainTeacher.'
        )


def _warn_random(name: str) -> None:
    print_log(
        f'{name} has random weights, since no checkpoint is set: good for tests only.',
        logger='current',
        level=logging.WARNING,
    )
