"""Teachers that are backbones of timm."""

import logging
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.backbones import check_timm_name
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count

from .projected import ProjectedTeacher
from .projection import warn_random
from .weight_files import first_lines, read_weights_and_meta

_WEIGHT_SUFFIXES = ('.pt', '.pth', '.bin', '.safetensors', '.tar')


@MODELS.register_module()
class TIMMTeacher(ProjectedTeacher):
    """A frozen backbone of timm (DINOv3, DINOv2, EUPE, ...), without a text tower.

    Features are pooled by the timm model itself. Mean, standard deviation and resolution
    are those of timm's ``pretrained_cfg``. Category names need the text tower of a CLIP:
    fit ``projection`` with tools/align_teacher.py, and set that CLIP as
    ``text_encoder``. Spatial methods use the last feature map, after the last norm.

    Args:
        model_name (str): Name in timm, with or without a tag:
            'vit_small_patch16_dinov3.lvd1689m'. The tag selects the ``pretrained_cfg``;
            without one it is timm's default.
        pretrained (str, optional): A tag of that model, whose weights timm downloads, or
            a local weight file (state dict, also under 'state_dict', or safetensors; a
            classifier in it is ignored). None keeps random weights and warns. Defaults
            to None.
        projection (dict | str, optional): See :meth:`ProjectedTeacher.borrow_text`.
            Defaults to None.
        text_encoder (dict, optional): Arguments of an :class:`OpenCLIPTeacher` whose
            text tower is used. Defaults to None: no text.
        image_size (int, optional): Overrides the side of the input, in pixels; position
            embeddings are resized. Defaults to None: that of ``pretrained_cfg``.
        global_pool (str, optional): Overrides the pooling of the model. For DINOv3, timm
            averages the patches, while its authors use the class token ('token').
            Defaults to None: timm's pooling.
        precision (str): See :class:`BaseTeacher`. Defaults to 'auto'.

    Raises:
        ConfigError: The model, tag or option is unknown, or there are two tags.
        TeacherError: The weights are not available, cannot be read or do not match the
            model; see also :meth:`ProjectedTeacher.borrow_text`.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: str | None = None,
        projection: dict | str | None = None,
        text_encoder: dict | None = None,
        image_size: int | None = None,
        global_pool: str | None = None,
        precision: str = 'auto',
    ) -> None:
        super().__init__(precision)
        arch, tag, file = _resolve(model_name, pretrained)
        config = _pretrained_cfg(arch, tag)
        label = file.replace('\\', '/').split('/')[-1] if file else pretrained and tag
        self._name = f'timm/{arch}/{label or "random"}'
        self.image_mean = [255.0 * value for value in config['mean']]
        self.image_std = [255.0 * value for value in config['std']]
        if image_size is None:
            image_size = _side(config['input_size'], self._name)
        self.image_size = check_count('TIMMTeacher.image_size', image_size, 1)
        options: dict[str, Any] = dict(num_classes=0)
        if global_pool is not None:
            options['global_pool'] = global_pool
        if config.get('fixed_input_size'):
            options['img_size'] = self.image_size
        if pretrained is None:
            warn_random(self._name)
        elif file is None:
            options['pretrained'] = True
        else:
            options.update(_from_file(file, config))
        self.backbone = self._create(f'{arch}.{tag}' if tag else arch, options)
        self.embed_dims = self._probe()
        self.borrow_text(projection, text_encoder)
        self.freeze()

    def image_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, H, W)."""
        return self.project(self.backbone(inputs))

    def map_features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and the map (B, C, h, w) that they are pooled from.

        Raises:
            TeacherError: The backbone has no map.
        """
        outputs = self.backbone.forward_features(inputs)
        feature_map = self._as_map(outputs, inputs)
        if feature_map is None:
            return super().map_features(inputs)
        return self.project(self.backbone.forward_head(outputs)), feature_map

    def dense_features(self, feature_map: Tensor) -> Tensor:
        """Embeddings (B, D, h, w), pooled from constant maps of each location."""
        batch, _, height, width = feature_map.shape
        features = feature_map.permute(0, 2, 3, 1).flatten(0, 2)
        if self._has_tokens:
            # Also as class and register tokens, whichever the pooling uses.
            outputs = features[:, None].expand(-1, self._num_prefix_tokens + 1, -1)
        elif self._channels_last:
            outputs = features[:, None, None]
        else:
            outputs = features[:, :, None, None]
        rows = self.project(self.backbone.forward_head(outputs))
        return rows.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2)

    @property
    def _num_prefix_tokens(self) -> int:
        return getattr(self.backbone, 'num_prefix_tokens', 0)

    @property
    def _channels_last(self) -> bool:
        return str(getattr(self.backbone, 'output_fmt', 'NCHW')).endswith('NHWC')

    def _as_map(self, outputs: Tensor, inputs: Tensor) -> Tensor | None:
        """The map (B, C, h, w) in the output of ``forward_features``, if any."""
        if not isinstance(outputs, Tensor):
            return None
        if outputs.dim() == 4:
            return outputs.permute(0, 3, 1, 2) if self._channels_last else outputs
        if outputs.dim() != 3:
            return None
        tokens = outputs[:, self._num_prefix_tokens :]
        height, width = inputs.shape[-2:]
        rows = round((tokens.shape[1] * height / width) ** 0.5)
        if not rows or tokens.shape[1] % rows:
            return None
        return tokens.transpose(1, 2).unflatten(2, (rows, -1))

    @torch.no_grad()
    def _probe(self) -> int:
        """Width C of the features (B, C), determined with one black image."""
        self.train(False)
        black = torch.zeros(1, 3, self.image_size, self.image_size)
        try:
            outputs = self.backbone.forward_features(black)
            features = self.backbone.forward_head(outputs)
        except Exception as error:  # models of timm raise different types
            raise TeacherError(
                f'{self._name} does not accept images of {self.image_size} pixels: '
                f'{first_lines(error)}\nSet image_size to a size that it accepts.'
            ) from error
        if features.dim() != 2:
            raise TeacherError(
                f'{self._name} returns features of shape {tuple(features.shape)}, not '
                '(B, C). Set global_pool to one of its poolings.'
            )
        self._has_tokens = isinstance(outputs, Tensor) and outputs.dim() == 3
        return features.shape[1]

    def _create(self, name: str, options: dict) -> nn.Module:
        import timm

        try:
            return timm.create_model(name, **options)
        except Exception as error:
            shown = {k: v for k, v in options.items() if not isinstance(v, dict)}
            raise TeacherError(
                f'Teacher {self._name} failed with {shown}: {first_lines(error)}\n'
                'Without network, set pretrained to a local weight file, or export '
                'HF_HUB_OFFLINE=1 to use the hub cache immediately. If the file is of '
                'another architecture, set model_name.'
            ) from error


def _resolve(model_name: str, pretrained: str | None) -> tuple[str, str, str | None]:
    """Architecture, tag ('' for timm's default) and weight file of a teacher."""
    import timm

    arch, _, tag = model_name.partition('.')
    check_timm_name(arch, allow_sources=False)
    known = {name.partition('.')[2] for name in timm.list_pretrained(f'{arch}.*')}
    tags = ', '.join(sorted(known)) or 'none'
    if tag and tag not in known:
        raise ConfigError(
            f'timm has no weights {tag!r} of {arch} (its tags: {tags}). Set one of them '
            'in model_name, or omit the tag.'
        )
    if pretrained is None:
        return arch, tag, None
    if pretrained in known:
        if tag not in ('', pretrained):
            raise ConfigError(
                f'model_name has the tag {tag!r}, but pretrained is {pretrained!r}. '
                'Remove one of the two.'
            )
        return arch, pretrained, None
    is_path = '/' in pretrained or pretrained.endswith(_WEIGHT_SUFFIXES)
    if not is_path:
        raise ConfigError(
            f'{pretrained!r} is neither a tag of {arch} (its tags: {tags}) nor a weight '
            'file. Set pretrained to one of these tags or to the path of a file.'
        )
    return arch, tag, pretrained


def _pretrained_cfg(arch: str, tag: str) -> dict:
    """timm's ``pretrained_cfg`` of a model."""
    import timm

    config = timm.get_pretrained_cfg(f'{arch}.{tag}' if tag else arch)
    if config is None:
        raise ConfigError(
            f'timm has no preprocessing config of {arch}, so it cannot be a teacher.'
        )
    return config.to_dict()


def _side(input_size: tuple, name: str) -> int:
    _, height, width = input_size
    if height != width:
        raise TeacherError(
            f'{name} expects images of {height}x{width} pixels, but a teacher needs '
            'square ones. Set image_size of TIMMTeacher.'
        )
    return height


def _from_file(file: str, config: dict) -> dict:
    """Options that make timm load the weights of a file strictly."""
    weights, _ = read_weights_and_meta(file)
    classifiers = config.get('classifier') or ()
    names = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    heads = tuple(f'{name}.{part}' for name in names for part in ('weight', 'bias'))
    kept = {key: value for key, value in weights.items() if key not in heads}
    if len(kept) < len(weights):
        print_log(
            f'{file}: the classifier ({", ".join(names)}) is ignored.',
            'current',
            level=logging.INFO,
        )
    # timm loads strictly only if file and model have the same number of classes.
    overlay = dict(state_dict=kept, num_classes=0, source='', custom_load=False)
    return dict(pretrained=True, pretrained_cfg_overlay=overlay)
