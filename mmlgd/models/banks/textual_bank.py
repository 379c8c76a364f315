"""The textual semantics bank: one constant anchor for each category name."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import nn

from mmlgd.datasets.category_names import load_category_names, load_templates
from mmlgd.errors import BankError, ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.identity import identity_key
from mmlgd.utils.paths import expand_user
from mmlgd.utils.progress import shows_progress, track

from .bank_file import BankFile, check_same_names, check_same_templates
from .name_collisions import check_rows, check_tokens

Names = str | Path | Sequence[str] | Mapping
# Prompts per progress line: many full batches of the text tower.
_PROMPTS_AT_ONCE = 4096


@MODELS.register_module()
class TextualSemanticsBank(nn.Module):
    """Text embeddings of the category names, averaged over prompt templates.

    The rows are set once, by :meth:`build` or :meth:`load`, and constant afterwards.
    They are saved in the checkpoint with the names and templates. A state with other
    names or templates is refused on load.

    Args:
        categories (str | Path | Sequence[str] | Mapping): Two or more names, in a form
            that :func:`~mmlgd.datasets.load_category_names` accepts.
        embed_dims (int): D.
        templates (str | Path | Sequence[str]): A built-in template set, a text
            file, or the templates. Defaults to 'imagenet' (80 templates).
        persistent (bool): Whether the bank is saved in checkpoints. Defaults to True.

    Attributes:
        embeddings (torch.Tensor): T, (C, D) float32 unit rows; zeros until
            :attr:`built`.
        category_names (list[str]): The C names.
        templates (list[str]): The templates.
        built (bool): Whether the rows are set.

    Raises:
        ConfigError: Names or templates are unknown, blank or colliding, or there is
            only one name.

    Source: arXiv 2406.11689, textual semantics bank.
    """

    def __init__(
        self,
        categories: Names,
        embed_dims: int,
        templates: str | Path | Sequence[str] = 'imagenet',
        persistent: bool = True,
    ) -> None:
        super().__init__()
        self.category_names = load_category_names(categories)
        if len(self.category_names) < 2:
            raise ConfigError(
                f'{self.category_names[0]!r} is the only category name, and every image '
                'would be assigned to it: nothing could be learned or predicted. Set two '
                'or more names, one per line in a text file.'
            )
        self.templates = load_templates(templates)
        self.built = False
        rows = torch.zeros(len(self.category_names), embed_dims)
        self.register_buffer('embeddings', rows, persistent=persistent)
        for key, texts in (
            ('encoded_names', self.category_names),
            ('encoded_templates', self.templates),
        ):
            self.register_buffer(key, _encode_texts(texts), persistent=persistent)

    @torch.no_grad()
    def build(self, teacher: nn.Module, cache_dir: str | Path | None = None) -> None:
        """Compute the rows with the teacher's text tower, or load them from a cache.

        Args:
            teacher (BaseTeacher): Provides ``encode_text`` and ``text_identity``.
            cache_dir (str | Path, optional): Folder with one file for each combination
                of text encoder and weights, names, and templates. Defaults to None:
                nothing is cached.

        Raises:
            BankError: The text tower's width is not D, or it cannot distinguish two
                names.
            TeacherError: The teacher has no text tower.
        """
        cached = self._cache_file(teacher, cache_dir) if cache_dir else None
        if cached and cached.is_file():
            try:
                self.load(cached, teacher)
            except BankError as error:
                print_log(f'{error} It is computed again.', 'current', level=30)
            else:
                print_log(f'Textual semantics bank loaded from {cached}.', 'current')
                return
        # Checked before the prompts are encoded, which takes long. Towers that are loaded
        # at the first text, or have no tokenize, are checked by their rows only.
        if hasattr(teacher.text, 'tokenize'):
            check_tokens(teacher.text, self.category_names, self.templates)
        self._set_rows(self._encode(teacher), source="the teacher's text tower")
        if cached:
            self._write_cache(cached, teacher)

    def save(self, path: str | Path, teacher: nn.Module) -> None:
        """Write the bank to a file that :meth:`load` reads without a text tower.

        Raises:
            BankError: The bank is not built.
        """
        if not self.built:
            raise BankError(
                f'The textual bank is empty; build it before saving {path}.'
            )
        BankFile(
            self.embeddings.cpu(),
            self.category_names,
            self.templates,
            teacher.text_identity,
        ).save(path)

    def load(self, path: str | Path, teacher: nn.Module | None = None) -> None:
        """Read the rows from a file written by :meth:`save`.

        Args:
            path (str | Path): The bank file.
            teacher (BaseTeacher, optional): If it has a text tower, the file must have
                been built with the same one. Defaults to None.

        Raises:
            BankError: The file is missing or broken, or its names, templates, encoder
                or width differ.
        """
        contents = BankFile.read(path)
        has_tower = teacher is not None and teacher.has_text_tower
        contents.check(
            path,
            self.category_names,
            self.templates,
            self.embeddings.shape[1],
            teacher.text_identity if teacher is not None and has_tower else None,
        )
        self._set_rows(contents.embeddings, source=str(path))

    def _encode(self, teacher: nn.Module) -> torch.Tensor:
        """Rows (C, D) of all names, computed in chunks of prompts."""
        names, rows = self.category_names, []
        step = max(1, _PROMPTS_AT_ONCE // len(self.templates))
        for start in track(range(0, len(names), step), 'Encoding names'):
            part = names[start : start + step]
            prompts = [each.format(name) for name in part for each in self.templates]
            texts = teacher.encode_text(prompts).float()
            rows.append(texts.unflatten(0, (len(part), -1)).mean(dim=1))
            if len(names) > step and not shows_progress():
                print_log(
                    f'Textual semantics bank: {start + len(part)} of {len(names)} names '
                    f'encoded with {len(self.templates)} templates.',
                    'current',
                )
        return F.normalize(torch.cat(rows), dim=1)

    def _set_rows(self, rows: torch.Tensor, source: str) -> None:
        if rows.shape != self.embeddings.shape:
            raise BankError(
                f'The textual bank from {source} is {tuple(rows.shape)}, but '
                f"{len(self.category_names)} names and the teacher's image embeddings "
                f'need {tuple(self.embeddings.shape)} (C, D); use the text tower that '
                'belongs to the image tower.'
            )
        check_rows(rows, self.category_names, source)
        self.embeddings.copy_(rows)
        self.built = True

    def _cache_file(self, teacher: nn.Module, cache_dir: str | Path) -> Path:
        encoder = identity_key(teacher.text_identity)
        key = json.dumps([encoder, self.category_names, self.templates])
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        folder = Path(expand_user(cache_dir, 'the cache'))
        return folder / f'text_bank_{digest}.pth'

    def _write_cache(self, path: Path, teacher: nn.Module) -> None:
        try:
            self.save(path, teacher)
        except OSError as error:
            print_log(f'The textual bank is not cached: {error}.', 'current', level=30)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        keys = ('embeddings', 'encoded_names', 'encoded_templates')
        rows, names, templates = (state_dict.get(prefix + key) for key in keys)
        is_saved = 'encoded_names' not in self._non_persistent_buffers_set
        if is_saved and names is not None:
            place = 'the loaded state'
            check_same_names(self.category_names, _decode_texts(names), place)
            if templates is None:
                # An older state without templates: the config's are assumed.
                state_dict = {
                    **state_dict,
                    prefix + 'encoded_templates': self.encoded_templates,
                }
            else:
                check_same_templates(self.templates, _decode_texts(templates), place)
            # A bank that was saved before it was built has zeros.
            self.built = rows is not None and bool(rows.any())
            if rows is not None and self.built and rows.shape == self.embeddings.shape:
                check_rows(rows, self.category_names, place)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _encode_texts(texts: list[str]) -> torch.Tensor:
    """Encode texts as a tensor: many tools expect only tensors in a state dict."""
    return torch.tensor(list(json.dumps(texts).encode()), dtype=torch.uint8)


def _decode_texts(encoded: torch.Tensor) -> list[str]:
    try:
        texts = json.loads(bytes(encoded.flatten().tolist()))
    except (TypeError, ValueError, RecursionError) as error:
        raise BankError(
            'The names or templates of a textual bank in the loaded state cannot be read '
            f'({error}): the file is broken, or holds a bank of another type.'
        ) from error
    return texts if isinstance(texts, list) else [texts]
