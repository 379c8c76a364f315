"""Checks for names that a text encoder cannot distinguish or truncates."""

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
# 1 - cosine below which two rows are equal; one text in two batches stays below it.
_SAME_ROW = 1e-6
_ROWS_AT_ONCE = 4096
_STRAIGHT_QUOTES = str.maketrans('‘’‚‛“”„‟', '\'\'\'\'""""')
# Normalisations of a text that tokenizers of open_clip apply.
_NORMALISATIONS = {
    'they differ in case and whitespace only': lambda t: ' '.join(t.lower().split()),
    'one has an HTML entity, which the tokenizer decodes': lambda t: html.unescape(
        html.unescape(t)
    ),
    'they differ in composed and decomposed accents only': lambda t: (
        unicodedata.normalize('NFC', t)
    ),
    'they differ in straight and curly quotes only': lambda t: t.translate(
        _STRAIGHT_QUOTES
    ),
    'they differ in the width or form of characters only': lambda t: (
        unicodedata.normalize('NFKC', t).lower()
    ),
}


def check_tokens(
    tower: nn.Module, names: Sequence[str], templates: Sequence[str]
) -> None:
    """Check that no two names have the same tokens under every template.

    Prompts longer than the encoder's context are truncated. Names that still differ
    from all others after truncation only cause a warning.

    Args:
        tower (TextTower): Provides ``tokenize`` and ``find_truncated``.
        names (Sequence[str]): C names.
        templates (Sequence[str]): The templates.

    Raises:
        BankError: Two names share all token rows.
        TeacherError: The tokenizer is not available.
    """
    truncated = _truncated_names(tower, names, templates)
    groups = [list(range(len(names)))]
    # The first template distinguishes almost all names, so the others are cheap.
    for template in templates:
        groups = [
            part
            for group in groups
            for part in _group_by_tokens(
                tower, [template.format(names[i]) for i in group], group
            )
        ]
    if groups:
        _raise_collisions([group[:2] for group in groups], names, truncated)
    if truncated:
        print_log(
            f'{len(truncated)} of {len(names)} names, in their templates, exceed the '
            'context length of the text encoder and are truncated: '
            f'{_listed(truncated, names)}. Shorten them.',
            'current',
            level=logging.WARNING,
        )


def check_rows(rows: torch.Tensor, names: Sequence[str], source: str) -> None:
    """Check that embeddings are finite and pairwise different.

    Args:
        rows (torch.Tensor): (C, D) float, of any norm.
        names (Sequence[str]): The C names.
        source (str): Where the rows come from, for the message.

    Raises:
        BankError: They are not; the message lists the names.
    """
    broken = (~rows.isfinite()).any(dim=1).nonzero().flatten().tolist()
    if broken:
        raise BankError(
            f'The textual bank from {source} has rows that are not finite: '
            f'{_listed(broken, names)}. Build it again, with a text encoder whose '
            'weights are intact.'
        )
    pairs = list(_same_rows(rows))
    if pairs:
        _raise_collisions(pairs, names, (), source)


def _group_by_tokens(
    tower: nn.Module, texts: list[str], indices: list[int]
) -> list[list[int]]:
    """Indices of texts with the same tokens, in groups of two or more."""
    groups = defaultdict(list)
    for index, row in zip(indices, tower.tokenize(texts).cpu().numpy()):
        groups[row.tobytes()].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _truncated_names(
    tower: nn.Module, names: Sequence[str], templates: Sequence[str]
) -> list[int]:
    """Indices of the names that are truncated under at least one template."""
    truncated: set[int] = set()
    for template in templates:
        prompts = [template.format(name) for name in names]
        truncated.update(tower.find_truncated(prompts))
    return sorted(truncated)


def _same_rows(rows: torch.Tensor) -> Iterator[tuple[int, int]]:
    """Index pairs of equal rows: the first such row, and the later one."""
    # On the CPU: products in reduced precision (TF32) would make rows equal.
    rows = F.normalize(rows.detach().cpu().float(), dim=1)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        # Each row against all rows before it.
        equal = (part @ rows[: start + len(part)].T > 1 - _SAME_ROW).tril(start - 1)
        for index in equal.any(dim=1).nonzero().flatten().tolist():
            yield int(equal[index].int().argmax()), start + index


def _raise_collisions(
    pairs: Sequence[Sequence[int]],
    names: Sequence[str],
    truncated: Sequence[int],
    source: str = "the teacher's text tower",
) -> None:
    listed = [
        f'{_listed([first], names)} and {_listed([second], names)}: '
        f'{_reason(names[first], names[second], {first, second} <= set(truncated))}'
        for first, second in pairs[:_MAX_LISTED]
    ]
    if len(pairs) > _MAX_LISTED:
        listed.append(f'and {len(pairs) - _MAX_LISTED} more')
    raise BankError(
        f'Category names have the same embedding in the bank from {source}, so they '
        f'would share one text anchor: {"; ".join(listed)}. Rename or remove one of each '
        'pair.'
    )


def _reason(first: str, second: str, is_truncated: bool) -> str:
    for reason, normalise in _NORMALISATIONS.items():
        if normalise(first) == normalise(second):
            return reason
    if is_truncated:
        return "they differ only after the encoder's context length"
    return 'the encoder does not distinguish them'


def _listed(indices: Sequence[int], names: Sequence[str]) -> str:
    shown = [f'{names[i][:80]!r} (index {i})' for i in indices[:_MAX_LISTED]]
    return ', '.join(shown) + (', ...' if len(indices) > _MAX_LISTED else '')
