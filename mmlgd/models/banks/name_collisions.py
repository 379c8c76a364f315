"""Names that a text encoder cannot tell apart, or does not see whole."""

import html
import logging
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import nn

from mmlgd.errors import BankError

_MAX_LISTED = 10
# 1 - cosine of two rows that are one text's, encoded in two batches.
_SAME_ROW = 1e-6
_ROWS_AT_ONCE = 4096
_STRAIGHT = str.maketrans('‘’‚‛“”„‟', '\'\'\'\'""""')
# What every tokenizer of open_clip evens out before it reads a text.
_CLEANINGS = {
    'they differ in case and blanks only': lambda t: ' '.join(t.lower().split()),
    'one has an HTML entity, which the tokenizer decodes': lambda t: html.unescape(
        html.unescape(t)
    ),
    'they differ in composed and decomposed accents only': lambda t: (
        unicodedata.normalize('NFC', t)
    ),
    'they differ in straight and curly quotes only': lambda t: t.translate(_STRAIGHT),
    'they differ in the width or form of characters only': lambda t: (
        unicodedata.normalize('NFKC', t).lower()
    ),
}


def check_tokens(
    tower: nn.Module, names: Sequence[str], templates: Sequence[str]
) -> None:
    """Refuse names that are the same tokens under every template.

    Names whose prompts are longer than the encoder's context are cut off; where
    what is left still differs from all others, they are only warned about.

    Args:
        tower (TextTower): Gives ``tokenize`` and ``find_cut``.
        names (Sequence[str]): C names.
        templates (Sequence[str]): The templates.

    Raises:
        BankError: Two names share all token rows.
        TeacherError: The tokenizer cannot be had.
    """
    cut = _cut_names(tower, names, templates)
    groups = [list(range(len(names)))]
    # The first template tells almost all names apart, so the others are cheap.
    for template in templates:
        groups = [
            part
            for group in groups
            for part in _alike(tower, [template.format(names[i]) for i in group], group)
        ]
    if groups:
        _refuse([group[:2] for group in groups], names, cut)
    if cut:
        print_log(
            f'{len(cut)} of {len(names)} names, in their templates, are longer than the '
            f'text encoder reads and are cut off: {_listed(cut, names)}. Shorten them.',
            'current',
            level=logging.WARNING,
        )


def check_rows(rows: torch.Tensor, names: Sequence[str], source: str) -> None:
    """Refuse embeddings of which two are the same, or that are not finite.

    Args:
        rows (torch.Tensor): (C, D) float, of any length.
        names (Sequence[str]): The C names.
        source (str): Where the rows come from, for the message.

    Raises:
        BankError: Names the pairs.
    """
    broken = (~rows.isfinite()).any(dim=1).nonzero().flatten().tolist()
    if broken:
        raise BankError(
            f'The textual bank from {source} has rows that are not finite: '
            f'{_listed(broken, names)}. Build it again, with a text encoder whose '
            'weights are whole.'
        )
    pairs = list(_same_rows(rows))
    if pairs:
        _refuse(pairs, names, (), source)


def _alike(tower: nn.Module, texts: list[str], places: list[int]) -> list[list[int]]:
    """Places of texts that are the same tokens, in groups of two and more."""
    groups = defaultdict(list)
    for place, row in zip(places, tower.tokenize(texts).cpu().numpy()):
        groups[row.tobytes()].append(place)
    return [group for group in groups.values() if len(group) > 1]


def _cut_names(
    tower: nn.Module, names: Sequence[str], templates: Sequence[str]
) -> list[int]:
    """Indices of the names that are cut off under at least one template."""
    cut: set[int] = set()
    for template in templates:
        cut.update(tower.find_cut([template.format(name) for name in names]))
    return sorted(cut)


def _same_rows(rows: torch.Tensor) -> Iterator[tuple[int, int]]:
    """Pairs of rows, each with the first one that it equals."""
    # On the CPU: products in reduced precision (TF32) would make rows the same.
    rows = F.normalize(rows.detach().cpu().float(), dim=1)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        # A row against all before it.
        alike = (part @ rows[: start + len(part)].T > 1 - _SAME_ROW).tril(start - 1)
        for index in alike.any(dim=1).nonzero().flatten().tolist():
            yield int(alike[index].int().argmax()), start + index


def _refuse(
    pairs: Sequence[Sequence[int]],
    names: Sequence[str],
    cut: Sequence[int],
    source: str = "the teacher's text tower",
) -> None:
    listed = [
        f'{_listed([first], names)} and {_listed([second], names)}: '
        f'{_reason(names[first], names[second], {first, second} <= set(cut))}'
        for first, second in pairs[:_MAX_LISTED]
    ]
    if len(pairs) > _MAX_LISTED:
        listed.append(f'and {len(pairs) - _MAX_LISTED} more')
    raise BankError(
        f'Category names have the same embedding in the bank from {source}, so that they '
        f'would share one text anchor: {"; ".join(listed)}. Rename them so that they '
        'differ, or drop one of them.'
    )


def _reason(first: str, second: str, is_cut: bool) -> str:
    for reason, clean in _CLEANINGS.items():
        if clean(first) == clean(second):
            return reason
    if is_cut:
        return 'they differ only after the last token that the encoder reads'
    return 'the encoder reads both alike'


def _listed(indices: Sequence[int], names: Sequence[str]) -> str:
    shown = [f'{names[i][:80]!r} (index {i})' for i in indices[:_MAX_LISTED]]
    return ', '.join(shown) + (', ...' if len(indices) > _MAX_LISTED else '')
