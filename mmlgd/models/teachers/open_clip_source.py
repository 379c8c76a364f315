"""Models of open_clip. Only this module imports it, when a teacher is built."""

import difflib
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.utils.paths import expand_user
from mmlgd.utils.quiet import without_root_messages

from .model_config import needs_quick_gelu, read_model_config
from .weight_files import check_weight_file, first_lines, is_torchscript

#: Endings of weight files.
WEIGHT_SUFFIXES = ('.pt', '.pth', '.bin', '.safetensors', '.npz', '.ckpt')


class OpenCLIPSource:
    """A model of open_clip with its weights, preprocessing and tokenizer.

    For arguments and errors see :class:`OpenCLIPTeacher`.

    Attributes:
        embed_dims (int): Size D of the embeddings.
        label (str): The tag, the weight file's name, 'own' or 'random'.
        quick_gelu (bool): Whether the model is built with QuickGELU.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: str | None,
        model_config: str | None,
        force_quick_gelu: bool | None,
        tokenizer: str | None = None,
    ) -> None:
        self.model_name = model_name
        self.own_weights = model_name.startswith(('hf-hub:', 'local-dir:'))
        self.label = 'own' if self.own_weights else 'random'
        if self.own_weights and pretrained is not None:
            raise ConfigError(
                f'{model_name!r} has its own weights, so pretrained={pretrained!r} '
                'would be ignored. Remove one of the two.'
            )
        if model_config is not None:
            config = Path(expand_user(model_config, 'the config of the model'))
            _register_config(config.absolute(), model_name)
        self._config = self._find_config()
        self._tokenizer_folder = tokenizer and self._find_tokenizer(tokenizer)
        self.embed_dims: int = self._config['embed_dim']
        self._tags = self._published_tags()
        self._tag_cfg: dict = {}
        self._file: Path | None = None
        if pretrained is not None:
            self._find_weights(pretrained)
        self.quick_gelu = needs_quick_gelu(
            model_name,
            force_quick_gelu,
            in_config=bool(self._config.get('quick_gelu')),
            in_tag=bool(self._tag_cfg.get('quick_gelu')),
            file=self._file,
            siblings={tag: bool(c.get('quick_gelu')) for tag, c in self._tags.items()},
        )

    @property
    def image_size(self) -> int | tuple[int, int]:
        """The model's input size in pixels: the side, or height and width."""
        return self._config['vision_cfg'].get('image_size', 224)

    @property
    def name(self) -> str:
        """The model's name without folders, with '-quickgelu' if it is used."""
        name = self.model_name.split(':')[-1].rstrip('/').split('/')[-1]
        plain = name.removesuffix('-quickgelu')
        return f'{plain}-quickgelu' if self.quick_gelu else name

    def _find_config(self) -> dict:
        import open_clip

        if self.own_weights:
            try:
                return open_clip.get_model_config(self.model_name)
            except Exception as error:
                raise TeacherError(self._explain(error)) from error
        config = open_clip.get_model_config(self.model_name.replace('/', '-'))
        if config is not None:
            return config
        close = difflib.get_close_matches(self.model_name, open_clip.list_models())
        raise ConfigError(
            f'open_clip has no model {self.model_name!r}. Close names: '
            f'{", ".join(close) or "none"}; open_clip.list_models() lists all. A custom '
            'model needs model_config, the path of its JSON.'
        )

    def _find_tokenizer(self, tokenizer: str) -> Path:
        folder = Path(expand_user(tokenizer, 'the tokenizer')).absolute()
        if not self._config['text_cfg'].get('hf_tokenizer_name'):
            raise ConfigError(
                f"{self.model_name} uses open_clip's built-in tokenizer, so "
                f'tokenizer={tokenizer!r} would be ignored. Omit it.'
            )
        if not (folder / 'tokenizer_config.json').is_file():
            raise TeacherError(
                f'tokenizer {tokenizer!r} is not the folder of a tokenizer: there is no '
                f'{folder / "tokenizer_config.json"}. Download '
                f'{self._config["text_cfg"]["hf_tokenizer_name"]} on a machine with '
                'network, and copy tokenizer_config.json and tokenizer.json here.'
            )
        return folder

    def _published_tags(self) -> dict[str, dict]:
        import open_clip

        name = self.model_name.replace('/', '-')
        tags = open_clip.list_pretrained_tags_by_model(name)
        return {tag: open_clip.get_pretrained_cfg(name, tag) for tag in tags}

    def _find_weights(self, pretrained: str) -> None:
        # open_clip normalises tags in the same way: 'laion2b-e16' is 'laion2b_e16'.
        tag = pretrained.lower().replace('-', '_')
        if tag in self._tags:
            self.label, self._tag_cfg = tag, self._tags[tag]
            return
        path = Path(expand_user(pretrained, 'the weights'))
        is_path = len(path.parts) > 1 or path.suffix in WEIGHT_SUFFIXES
        if not is_path and not path.is_file():
            raise ConfigError(
                f'{pretrained!r} is neither a tag of {self.model_name} (its tags: '
                f'{", ".join(self._tags) or "none"}) nor a file. Set pretrained to '
                'one of these tags or to the path of a weight file.'
            )
        self._file = check_weight_file(path)
        self.label = self._file.name

    def create_model(self, image_size: int | None) -> nn.Module:
        """Create the model with its weights, in float32 on the CPU.

        Args:
            image_size (int, optional): Overrides the input size, in pixels.
        """
        import open_clip

        weights = self.label if self._tag_cfg else self._file and str(self._file)
        trained = self.own_weights or weights is not None
        if not trained:
            print_log(
                f'Teacher {self.model_name} has random weights, since pretrained is '
                'None: suitable for tests only.',
                logger='current',
                level=logging.WARNING,
            )
        try:
            with warnings.catch_warnings(), without_root_messages():
                warnings.filterwarnings('ignore', message='.*TorchScript archive')
                return open_clip.create_model(
                    self.model_name,
                    pretrained=weights,
                    force_quick_gelu=self.quick_gelu,
                    force_image_size=image_size,
                    force_preprocess_cfg=self._published_preprocessing(),
                    pretrained_text=False,
                    require_pretrained=trained,
                    # Otherwise OpenAI's archives are refused. torch reads them with its
                    # TorchScript reader, which unpickles no foreign classes.
                    weights_only=not (self._file and is_torchscript(self._file)),
                )
        except Exception as error:
            raise TeacherError(self._explain(error)) from error

    def _published_preprocessing(self) -> dict | None:
        """Mean and std without a tag: those of the model's tags if they agree."""
        pairs = {(cfg['mean'], cfg['std']) for cfg in self._tags.values()}
        if self._tag_cfg or len(pairs) != 1:
            return None
        return dict(zip(('mean', 'std'), pairs.pop()))

    def _explain(self, error: Exception) -> str:
        if self.model_name.startswith('local-dir:'):
            advice = 'The folder needs open_clip_config.json and a weight file.'
        elif self.own_weights or self._tag_cfg:
            advice = (
                'Without network, export HF_HUB_OFFLINE=1 to use the hub cache '
                'immediately, or copy the files here: set pretrained to the path of a '
                f'weight file (mmlgd distill --teacher {self.model_name}/FILE), or '
                "model_name='local-dir:path' to a folder."
            )
        elif self._file is not None:
            advice = (
                f'Weight file: {self._file}. If it is of another architecture, set '
                'model_name; if it is truncated, copy it again.'
            )
        else:
            advice = "Check the model's config."
        reason = first_lines(error)
        return f'Teacher {self.model_name} ({self.label}) failed: {reason}\n{advice}'

    def preprocessing(self, model: nn.Module) -> dict:
        """open_clip's preprocessing config of a model: 'mean', 'std', 'size'."""
        import open_clip

        return open_clip.get_model_preprocess_cfg(model)

    def tokenizer(self) -> Callable:
        """The model's tokenizer, from texts to token ids (N, context length), int64.

        Raises:
            TeacherError: The tokenizer in the folder has more tokens than the model.
        """
        import open_clip

        if self._tokenizer_folder is None:
            return open_clip.get_tokenizer(self.model_name)
        from open_clip.tokenizer import HFTokenizer

        config = self._config['text_cfg']
        tokenizer = HFTokenizer(
            str(self._tokenizer_folder),
            context_length=config.get('context_length', 77),
            tokenizer_mode=config.get('tokenizer_mode'),
            # No code of the folder is executed, and nothing is downloaded.
            trust_remote_code=False,
            local_files_only=True,
            **config.get('tokenizer_kwargs', {}),
        )
        found, most = len(tokenizer.tokenizer), config.get('vocab_size')
        if most and found > most:
            raise TeacherError(
                f'it has {found} tokens, but {self.model_name} has embeddings of {most}. '
                f'Set the folder of {config["hf_tokenizer_name"]}'
            )
        return tokenizer


def cast_matmul_weights(module: nn.Module, dtype: torch.dtype) -> None:
    """Cast the weights of convolutions, matrix products and attention in place.

    Norms and other weights are not changed. Under autocast to the same dtype, the module
    computes the same results. In half precision, convolutions are converted to
    channels-last, which has faster kernels.

    Args:
        module: A frozen module, of open_clip or not.
        dtype: float16, bfloat16, or float32 to convert back; rounding is not reverted.
    """
    import open_clip

    open_clip.convert_weights_to_lp(module, dtype)
    if dtype != torch.float32:
        module.to(memory_format=torch.channels_last)


def _register_config(path: Path, model_name: str) -> None:
    """Register a model JSON with open_clip under its stem."""
    import open_clip

    config = read_model_config(path, model_name)
    built_in = Path(open_clip.__file__).parent / 'model_configs' / path.name
    if built_in.exists():
        raise ConfigError(
            f"model_config {path} would replace open_clip's own {path.stem!r}. "
            'Rename the file.'
        )
    if open_clip.get_model_config(model_name) != config:
        open_clip.add_model_config(path)
