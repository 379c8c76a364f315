"""The text side of a CLIP, held apart so that it can be dropped from memory."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlgd.errors import ConfigError, TeacherError

from .weight_files import first_lines

# What a CLIP has beside its text modules. A CoCa's decoder writes captions.
_NOT_TEXT = ('visual', 'logit_scale', 'logit_bias', 'text_decoder')


class TextTower(nn.Module):
    """Tokenizer and text modules of an open_clip model.

    Args:
        model (nn.Module): An open_clip model with ``encode_text``. Its image tower
            is removed from it.
        get_tokenizer (Callable): Returns the tokenizer. Called at the first text,
            since some tokenizers come from a hub, and a bank file needs none.
        embed_dims (int): Size D of the embeddings.
        name (str): What it is called in ``text_identity``.
        batch_size (int): Texts encoded at once. Defaults to 256.
    """

    def __init__(
        self,
        model: nn.Module,
        get_tokenizer: Callable[[], Callable],
        embed_dims: int,
        name: str,
        batch_size: int = 256,
    ) -> None:
        super().__init__()
        for part in _NOT_TEXT:
            if hasattr(model, part):
                delattr(model, part)
        self.model = model
        self.embed_dims = embed_dims
        self.name = name
        self.batch_size = batch_size
        self._get_tokenizer = get_tokenizer
        self._tokenizer: Callable | None = None

    @torch.no_grad()
    def forward(self, texts: Sequence[str]) -> Tensor:
        """Encodes N texts into (N, D) float32 unit rows, without gradient.

        Raises:
            ConfigError: ``texts`` is one string, or empty.
            TeacherError: The tokenizer cannot be had.
        """
        if isinstance(texts, str) or not len(texts):
            raise ConfigError(
                f'encode_text needs a non-empty list of strings, but got {texts!r}.'
            )
        device = next(self.parameters()).device
        rows = []
        with torch.autocast(device.type, enabled=False):
            for start in range(0, len(texts), self.batch_size):
                batch = list(texts[start : start + self.batch_size])
                tokens = self.tokenize(batch).to(device)
                features = self.model.encode_text(tokens)
                rows.append(F.normalize(features.float(), dim=-1))
        return torch.cat(rows)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """What the encoder sees of N texts: token ids (N, context length), int64.

        Raises:
            TeacherError: The tokenizer cannot be had.
        """
        return self._load_tokenizer()(list(texts))

    def find_cut(self, texts: Sequence[str]) -> list[int]:
        """Indices of the texts that are longer than the context, whose end is cut off.

        Raises:
            TeacherError: The tokenizer cannot be had.
        """
        tokenizer = self._load_tokenizer()
        length = getattr(tokenizer, 'context_length', None)
        if not length:
            return []
        # A token is a byte or more, and two mark the ends: most texts need no look.
        long = [i for i, text in enumerate(texts) if len(text.encode()) + 2 > length]
        if not long:
            return []
        # A text that fits is the same in a longer context, but for one more padding
        # token. One letter fits: where it does not stay, padding says nothing.
        asked = ['a', *(texts[i] for i in long)]
        wider = tokenizer(asked, context_length=length + 1)[:, :length]
        first, *differ = (wider != tokenizer(asked)).any(dim=1).tolist()
        return [] if first else [i for i, is_cut in zip(long, differ) if is_cut]

    def _load_tokenizer(self) -> Callable:
        if self._tokenizer is None:
            try:
                self._tokenizer = self._get_tokenizer()
            except Exception as error:
                raise TeacherError(
                    f'The tokenizer of {self.name} cannot be loaded: '
                    f'{first_lines(error)}\nInstall the package that it names '
                    '("transformers<5", for the tokenizers of a hub: mmpretrain fails '
                    'beside later ones). Without network, copy the tokenizer here and '
                    'set tokenizer of OpenCLIPTeacher to its folder; or load a bank file '
                    'that tools/build_text_bank.py wrote elsewhere.'
                ) from error
        return self._tokenizer
