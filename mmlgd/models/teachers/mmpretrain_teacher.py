"""Teachers that are backbones of mmpretrain, with or without text."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmpretrain.models.necks import GlobalAveragePooling
from torch import Tensor

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.pooled_features import last_of, pool_features, probe_pooling
from mmlgd.registry import MODELS

from .projected import ProjectedTeacher
from .projection import warn_random
from .weight_files import load_exact, read_weights_and_meta


@MODELS.register_module()
class MMPretrainTeacher(ProjectedTeacher):
    """A frozen mmpretrain backbone, with text from an open_clip text tower.

    Args:
        backbone (dict): Config of the backbone, as ``mmpretrain.ResNet``.
        neck (dict, optional): Config of a neck that pools to (B, C). None if the
            backbone does. Defaults to None.
        projection (dict | str, optional): See :meth:`ProjectedTeacher.borrow_text`.
            Computed in float32 for any ``precision``. Defaults to None.
        checkpoint (str, optional): An mmpretrain checkpoint, file or URL. All keys of
            ``backbone.*`` must match, and those of ``neck.*`` if the neck has weights.
            None keeps random weights and warns. Defaults to None.
        text_encoder (dict, optional): Arguments of an :class:`OpenCLIPTeacher` whose
            text tower is used. Defaults to None: no text.
        image_mean (Sequence[float]): Mean of R, G and B, 0 to 255. Defaults to
            ImageNet's.
        image_std (Sequence[float]): Standard deviation of R, G and B, 0 to 255.
            Defaults to ImageNet's.
        image_size (int): Side of the input, in pixels. Defaults to 224.
        precision (str): See :class:`BaseTeacher`. Defaults to 'auto'.

    Raises:
        ConfigError: Options contradict each other.
        TeacherError: Weights cannot be read or do not match, features are not (B, C),
            the width is not the text tower's, or the projection was fitted for other
            models.
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
        kind = str(backbone['type']).split('.')[-1]
        label = Path(checkpoint).name if checkpoint else 'random'
        self._name = f'mmpretrain/{kind}/{label}'
        self._load(checkpoint)
        self.embed_dims = self._probe()
        self.borrow_text(projection, text_encoder)
        self.freeze()

    def image_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, H, W)."""
        return self._pool(self.backbone(inputs))

    def map_features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and the backbone's last feature map (B, C, h, w).

        Raises:
            TeacherError: The backbone returns vectors or tokens.
        """
        if not self._gives_maps:
            return super().map_features(inputs)
        outputs = self.backbone(inputs)
        return self._pool(outputs), last_of(outputs)

    def dense_features(self, feature_map: Tensor) -> Tensor:
        """Embeddings (B, D, h, w) of the locations; their mean is the image's.

        Raises:
            TeacherError: The neck is not average pooling, or the projection is not
                linear.
        """
        if not (
            self.projects_locations and isinstance(self.neck, GlobalAveragePooling)
        ):
            return super().dense_features(feature_map)
        return self.project(feature_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _pool(self, outputs: Tensor | tuple | list) -> Tensor:
        return self.project(pool_features(self.neck, outputs))

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
            # Keys of a self-supervised checkpoint's neck are ignored if the teacher's
            # neck has no weights.
            if module is not None and module.state_dict():
                load_exact(module, own, f'{part} of {self._name} from {checkpoint}')

    def _probe(self) -> int:
        """Width C of the features (B, C), determined with one black image."""
        self.train(False)
        features, maps = probe_pooling(
            self.backbone,
            self.neck,
            torch.zeros(1, 3, *[self.image_size] * 2),
            self._name,
            TeacherError,
        )
        self._gives_maps = bool(maps)
        return features.shape[1]


def _refuse_pretrained(init_cfg: dict | list) -> None:
    entries = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    if any(entry.get('type') == 'Pretrained' for entry in entries):
        raise ConfigError(
            'A teacher is never initialised, so backbone.init_cfg=Pretrained would be '
            'ignored. Set checkpoint of MMPretrainTeacher to the file.'
        )
