"""Teachers that are backbones of mmpretrain, with or without text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmpretrain.models.necks import GlobalAveragePooling
from torch import Tensor

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.pooled_features import last_of, pool_features, probe_pooling
from mmlgd.registry import MODELS

from .base import BaseTeacher, fingerprint
from .open_clip_teacher import OpenCLIPTeacher
from .projection import build_projection, check_target, check_teacher, warn_random
from .weight_files import load_whole, read_weights_and_meta


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
            a linear map's state dict. A file that ``tools/align_teacher.py`` wrote
            knows the models it was fitted for; others are refused. Computed in
            float32 under any ``precision``. Defaults to None.
        checkpoint (str, optional): An mmpretrain checkpoint, file or URL: its
            ``backbone.*`` must fit whole, and so must ``neck.*`` where the neck has
            weights. None leaves random weights and warns. Defaults to None.
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
            not (B, C), a width that is not the text tower's, or a projection that
            was fitted for other models.
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
        self._feature_identity: str | None = None
        kind = str(backbone['type']).split('.')[-1]
        label = Path(checkpoint).name if checkpoint else 'random'
        self._name = f'mmpretrain/{kind}/{label}'
        self._load(checkpoint)
        self.embed_dims = self._probe()
        meta: dict[str, Any] = {}
        if projection is not None:
            self.projection, meta = build_projection(projection, self.embed_dims)
            check_teacher(meta, self)
            self.embed_dims = self._probe()
        if text_encoder is not None:
            encoder = MODELS.build({'type': OpenCLIPTeacher, **text_encoder})
            self.text = encoder.text
            self._check_widths()
            check_target(meta, encoder)
        self.freeze()

    @property
    def feature_identity(self) -> str:
        """As ``identity``, without the projection: what one is fitted for."""
        if self._feature_identity is None:
            tensors = [
                (key, value)
                for key, value in self._image_tensors()
                if not key.startswith('projection.')
            ]
            self._feature_identity = f'{self._name}#{fingerprint(tensors)[:8]}'
        return self._feature_identity

    def _remember_identity(self) -> None:
        super()._remember_identity()
        self._feature_identity = self.feature_identity

    def image_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, H, W)."""
        return self._pool(self.backbone(inputs))

    def map_features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and the backbone's last feature map (B, C, h, w).

        Raises:
            TeacherError: The backbone gives vectors or tokens.
        """
        if not self._gives_maps:
            return super().map_features(inputs)
        outputs = self.backbone(inputs)
        return self._pool(outputs), last_of(outputs)

    def dense_features(self, feature_map: Tensor) -> Tensor:
        """Embeddings (B, D, h, w) of the places, whose mean is the image's.

        Raises:
            TeacherError: The neck does not just average, or the projection is
                not linear.
        """
        linear = isinstance(self.projection, (torch.nn.Linear, type(None)))
        if not (linear and isinstance(self.neck, GlobalAveragePooling)):
            return super().dense_features(feature_map)
        return self._project(feature_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _pool(self, outputs: Tensor | tuple | list) -> Tensor:
        return self._project(pool_features(self.neck, outputs))

    def _project(self, features: Tensor) -> Tensor:
        if self.projection is None:
            return features
        # A fitted map may have entries that cancel: half precision would show.
        with torch.autocast(features.device.type, enabled=False):
            return self.projection(features.float())

    def _load(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            if getattr(self.backbone, 'init_cfg', None):
                _refuse_pretrained(self.backbone.init_cfg)
            warn_random(self._name)
            return
        weights, _ = read_weights_and_meta(checkpoint)
        for part in ('backbone', 'neck'):
            module = getattr(self, part)
            prefix = f'{part}.'
            own = {
                key.removeprefix(prefix): value
                for key, value in weights.items()
                if key.startswith(prefix)
            }
            # A pooling neck has none, while a self-supervised checkpoint holds the
            # neck of its own pretext task.
            if module is not None and module.state_dict():
                load_whole(module, own, f'{part} of {self._name} from {checkpoint}')

    def _probe(self) -> int:
        """Width C of the features (B, C), from one black image in eval mode."""
        self.train(False)
        features, maps = probe_pooling(
            self.backbone,
            self.neck,
            torch.zeros(1, 3, *[self.image_size] * 2),
            self._name,
            TeacherError,
        )
        self._gives_maps = bool(maps)
        return self._project(features).shape[1]

    def _check_widths(self) -> None:
        assert self.text is not None  # called where there is a text tower
        if self.embed_dims == self.text.embed_dims:
            return
        raise TeacherError(
            f'Embedding widths differ: {self._name} gives {self.embed_dims}, the text '
            f'tower {self.text.name} gives {self.text.embed_dims}. Set projection to '
            f'a map to {self.text.embed_dims} that was trained for this pair, or take '
            'a text_encoder of that width.'
        )


def _refuse_pretrained(init_cfg: dict | list) -> None:
    entries = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    if any(entry.get('type') == 'Pretrained' for entry in entries):
        raise ConfigError(
            'A teacher is never initialised, so backbone.init_cfg=Pretrained would be '
            'ignored. Give the file as checkpoint of MMPretrainTeacher.'
        )
