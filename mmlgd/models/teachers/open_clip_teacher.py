"""CLIP teachers from open_clip: any model, any tag, any local weight file."""

from torch import Tensor

from mmlgd.errors import TeacherError
from mmlgd.registry import MODELS

from .base import BaseTeacher
from .open_clip_maps import embed_locations, features_and_map, has_map
from .open_clip_source import OpenCLIPSource
from .text_tower import TextTower


@MODELS.register_module()
class OpenCLIPTeacher(BaseTeacher):
    """A frozen CLIP of open_clip.

    OpenAI's weights were trained with QuickGELU, and many others with GELU. The wrong
    activation corrupts the text embeddings without an error. It is determined by, in
    this order: ``force_quick_gelu``; a model config with QuickGELU (all ``*-quickgelu``
    names); the tag; OpenAI's TorchScript format (always QuickGELU); for any other weight
    file, the tags of that model name if all use QuickGELU, with a warning; otherwise
    GELU.

    Mean and standard deviation come from the tag or the folder. For weight files and
    random weights, they come from the tags of that model name if these agree; otherwise
    they are OpenAI's.

    Args:
        model_name (str): An open_clip model, 'hf-hub:org/repo', 'local-dir:path',
            or the stem of ``model_config``.
        pretrained (str, optional): A tag of that model, or a weight file: OpenAI's
            TorchScript archive, a state dict (also under 'state_dict', also with
            'module.' before its keys), safetensors. None keeps random weights and
            warns. Must be None with 'hf-hub:' and 'local-dir:', which have their own
            weights. Defaults to None.
        model_config (str, optional): A custom open_clip model JSON, registered under
            its stem. Defaults to None.
        precision (str): 'auto', 'fp16', 'bf16' or 'fp32', see
            :class:`BaseTeacher`. Text is always encoded in float32. Defaults to
            'auto'.
        force_quick_gelu (bool, optional): Overrides the activation. Defaults to
            None: determined as described above.
        image_size (int, optional): Overrides the model's input size, in pixels.
            Defaults to None.
        tokenizer (str, optional): Local folder of the tokenizer, for a model whose
            tokenizer is on a hub (SigLIP). Defaults to None: it is downloaded at the
            first text.

    Raises:
        ConfigError: The model, tag or config is unknown, or options contradict.
        TeacherError: The weights are not available, cannot be read or do not match the
            model, or the folder has no tokenizer.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: str | None = None,
        model_config: str | None = None,
        precision: str = 'auto',
        force_quick_gelu: bool | None = None,
        image_size: int | None = None,
        tokenizer: str | None = None,
    ) -> None:
        super().__init__(precision)
        source = OpenCLIPSource(
            model_name, pretrained, model_config, force_quick_gelu, tokenizer
        )
        model = source.create_model(image_size)
        self.embed_dims = source.embed_dims
        self._set_preprocessing(source.preprocessing(model))
        self._name = f'open_clip/{source.name}/{source.label}'
        self.visual = model.visual
        self.logit_scale = model.logit_scale.item()
        self.text = TextTower(
            model, source.tokenizer, self.embed_dims, f'open_clip/{source.name}/text'
        )
        self.freeze()

    def _set_preprocessing(self, preprocessing: dict) -> None:
        self.image_mean = [255.0 * value for value in preprocessing['mean']]
        self.image_std = [255.0 * value for value in preprocessing['std']]
        size = preprocessing['size']
        height, width = (size, size) if isinstance(size, int) else size
        if height != width:
            raise TeacherError(
                f'This CLIP expects images of {height}x{width} pixels, but a teacher '
                'needs square ones. Set image_size of OpenCLIPTeacher.'
            )
        self.image_size = height

    def image_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, image_size, image_size).

        Raises:
            TeacherError: The images have another size.
        """
        self._check_size(inputs)
        features = self.visual(inputs)
        # Some towers (CoCa's) also return tokens.
        return features[0] if isinstance(features, tuple) else features

    def map_features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and feature map (B, C, h, w) of images.

        Raises:
            TeacherError: The images have another size, or the tower has no map.
        """
        self._check_size(inputs)
        if not has_map(self.visual):
            return super().map_features(inputs)
        return features_and_map(self.visual, inputs)

    def dense_features(self, feature_map: Tensor) -> Tensor:
        """Embeddings (B, D, h, w) of the locations; see :func:`embed_locations`."""
        return embed_locations(self.visual, feature_map, self._name)

    def _check_size(self, inputs: Tensor) -> None:
        if tuple(inputs.shape[-2:]) != (self.image_size, self.image_size):
            raise TeacherError(
                f'{self._name} expects images of {self.image_size}x{self.image_size} '
                f'pixels, but got {tuple(inputs.shape)}. Crop to that size in the '
                'pipeline, or set image_size of the teacher.'
            )
