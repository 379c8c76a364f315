"""The text tower of a CLIP, separate so that its memory can be freed."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlgd.errors import ConfigError, TeacherError

from .weight_files import first_lines

# Parts of a CLIP other than its text modules. CoCa's decoder generates captions.
_NOT_TEXT = ('visual', 'logit_scale', 'logit_bias', 'text_decoder')


class TextTower(nn.Module):
    """Tokenizer and text modules of an open_clip model.

    Args:
        model (nn.Module): An open_clip model with ``encode_text``. Its image tower
            is removed.
        get_tokenizer (Callable): Returns the tokenizer. It is called at the first text,
            since some tokenizers come from a hub, and a bank file needs none.
        embed_dims (int): Size D of the embeddings.
        name (str): Name in ``text_identity``.
        batch_size (int): Texts per forward pass. Defaults to 256.
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
        """Encode N texts to (N, D) float32 unit rows, without gradient.

        Raises:
            ConfigError: ``texts`` is a single string, or empty.
            TeacherError: The tokenizer is not available.
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
        """Tokenize N texts to token ids (N, context length), int64.

        Raises:
            TeacherError: The tokenizer is not available.
        """
        return self._load_tokenizer()(list(texts))

    def find_truncated(self, texts: Sequence[str]) -> list[int]:
        """Indices of the texts that exceed the context length and are truncated.

        Raises:
            TeacherError: The tokenizer is not available.
        """
        tokenizer = self._load_tokenizer()
        length = getattr(tokenizer, 'context_length', None)
        if not length:
            return []
        # A token has at least one byte, and there are two end tokens, so shorter texts
        # need no check.
        long = [i for i, text in enumerate(texts) if len(text.encode()) + 2 > length]
        if not long:
            return []
        # In a longer context, a text that fits only gets one more padding token. If even
        # a single letter changes, padding is not at the end and the check is skipped.
        checked = ['a', *(texts[i] for i in long)]
        wider = tokenizer(checked, context_length=length + 1)[:, :length]
        first, *differ = (wider != tokenizer(checked)).any(dim=1).tolist()
        return [] if first else [i for i, truncated in zip(long, differ) if truncated]

    def _load_tokenizer(self) -> Callable:
        if self._tokenizer is None:
            try:
                self._tokenizer = self._get_tokenizer()
            except Exception as error:
                raise TeacherError(
                    f'The tokenizer of {self.name} cannot be loaded: '
                    f'{first_lines(error)}\nInstall the missing package '
                    '("transformers<5" for the tokenizers of a hub: mmpretrain fails '
                    'with later ones). Without network, copy the tokenizer here and '
                    'set tokenizer of OpenCLIPTeacher to its folder; or load a bank file '
                    'written elsewhere by tools/build_text_bank.py.'
                ) from error
        return self._tokenizer
