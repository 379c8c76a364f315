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
from mmlgd.errors import BankError
from mmlgd.registry import MODELS
from mmlgd.utils.atomic import replace_file

from .bank_file import BankFile, check_same_names, check_same_templates

Names = str | Path | Sequence[str] | Mapping


@MODELS.register_module()
class TextualSemanticsBank(nn.Module):
    """Text embeddings of the category names, averaged over prompt templates.

    The rows are computed once, by :meth:`build` or :meth:`load`, and constant
    after. They are saved with the checkpoint together with names and templates; a
    state of others is refused on load.

    Args:
        categories (str | Path | Sequence[str] | Mapping): A built-in name set,
            a text file with one name a line, the names, or a data set's metainfo.
        embed_dims (int): D.
        templates (str | Path | Sequence[str]): A built-in template set, a text
            file, or the templates. Defaults to 'imagenet' (80 templates).
        persistent (bool): Whether the bank goes into checkpoints. Defaults to
            True.

    Attributes:
        embeddings (torch.Tensor): T, (C, D) float32 unit rows; zeros until
            :attr:`built`.
        category_names (list[str]): The C names.
        templates (list[str]): The templates.
        built (bool): Whether the rows are there.

    Raises:
        ConfigError: Names or templates are unknown, blank or colliding.

    Source: arXiv 2406.11689, textual semantics bank.
    """

    def __init__(
        self,
        categories: Names,
        embed_dims: int,
        templates: Names = 'imagenet',
        persistent: bool = True,
    ) -> None:
        super().__init__()
        self.category_names = load_category_names(categories)
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
        """Compute the rows with the teacher's text tower, or take them from a cache.

        Args:
            teacher (BaseTeacher): Gives ``encode_text`` and ``text_identity``.
            cache_dir (str | Path, optional): Folder with one file for each
                (text encoder and its weights, names, templates). Defaults to
                None: nothing is cached.

        Raises:
            BankError: The text tower's width is not D.
            TeacherError: The teacher has no text tower.
        """
        cached = self._cache_file(teacher, cache_dir) if cache_dir else None
        if cached and cached.is_file():
            try:
                self.load(cached, teacher)
            except BankError as error:
                print_log(f'{error} It is computed anew.', 'current', level=30)
            else:
                print_log(f'Textual semantics bank taken from {cached}.', 'current')
                return
        rows = [self._encode(teacher, name) for name in self.category_names]
        self._set_rows(torch.stack(rows), source="the teacher's text tower")
        if cached:
            self._write_cache(cached, teacher)

    def save(self, path: str | Path, teacher: nn.Module) -> None:
        """Write the bank to a file that :meth:`load` reads without a text tower.

        Raises:
            BankError: The bank was not built yet.
        """
        if not self.built:
            raise BankError(
                f'The textual bank is empty; build it before saving {path}.'
            )
        contents = BankFile(
            self.embeddings.cpu(),
            self.category_names,
            self.templates,
            teacher.text_identity,
        )
        with replace_file(path) as part:
            torch.save(contents.to_dict(), part)

    def load(self, path: str | Path, teacher: nn.Module | None = None) -> None:
        """Read the rows from a file written by :meth:`save`.

        Args:
            path (str | Path): The bank file.
            teacher (BaseTeacher, optional): Where it has a text tower, the file
                must come from the same one. Defaults to None.

        Raises:
            BankError: The file is absent or broken, or holds other names,
                templates, another encoder or another width.
        """
        contents = BankFile.read(path)
        has_tower = teacher is not None and teacher.has_text_tower
        contents.check(
            path,
            self.category_names,
            self.templates,
            self.embeddings.shape[1],
            teacher.text_identity if has_tower else None,
        )
        self._set_rows(contents.embeddings, source=str(path))

    def _encode(self, teacher: nn.Module, name: str) -> torch.Tensor:
        prompts = [template.format(name) for template in self.templates]
        return F.normalize(teacher.encode_text(prompts).float().mean(dim=0), dim=0)

    def _set_rows(self, rows: torch.Tensor, source: str) -> None:
        if rows.shape != self.embeddings.shape:
            raise BankError(
                f'The textual bank from {source} is {tuple(rows.shape)}, but '
                f"{len(self.category_names)} names and the teacher's image embeddings "
                f'need {tuple(self.embeddings.shape)} (C, D); use the text tower that '
                'belongs to the image tower.'
            )
        self.embeddings.copy_(rows)
        self.built = True

    def _cache_file(self, teacher: nn.Module, cache_dir: str | Path) -> Path:
        key = json.dumps([teacher.text_identity, self.category_names, self.templates])
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        return Path(cache_dir).expanduser() / f'text_bank_{digest}.pth'

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
                # An older state; its templates are taken to be the config's.
                state_dict = {
                    **state_dict,
                    prefix + 'encoded_templates': self.encoded_templates,
                }
            else:
                check_same_templates(self.templates, _decode_texts(templates), place)
            # One that was saved before it was built has zeros.
            self.built = rows is not None and bool(rows.any())
        super()._load_from_state_dict(state_dict, prefix, *args)


def _encode_texts(texts: list[str]) -> torch.Tensor:
    """Texts as a tensor: many tools expect nothing else in a state dict."""
    return torch.tensor(list(json.dumps(texts).encode()), dtype=torch.uint8)


def _decode_texts(encoded: torch.Tensor) -> list[str]:
    return json.loads(bytes(encoded.tolist()))
