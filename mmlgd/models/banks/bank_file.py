"""The file format of a textual semantics bank."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from mmlgd.errors import BankError
from mmlgd.utils.identity import explain_difference, same_identity
from mmlgd.utils.tensor_file import TensorFile, check_tensor


@dataclass
class BankFile(TensorFile):
    """Contents of a bank file.

    Attributes:
        embeddings (torch.Tensor): T, (C, D) float32 unit rows.
        category_names (list[str]): The C names.
        templates (list[str]): The prompt templates.
        text_identity (str): Identity of the text tower and its weights.
    """

    KIND: ClassVar[str] = 'bank file'
    TOOL: ClassVar[str] = 'tools/build_text_bank.py'
    ERROR: ClassVar[type] = BankError

    embeddings: torch.Tensor
    category_names: list
    templates: list
    text_identity: str

    def validate(self) -> None:
        """See :meth:`TensorFile.validate`."""
        check_tensor('embeddings', self.embeddings, torch.float32, 2)
        if len(self.embeddings) != len(self.category_names):
            raise ValueError(
                f'{len(self.embeddings)} rows for {len(self.category_names)} names'
            )
        lengths = self.embeddings.norm(dim=1)
        # The comparison is also false for NaN.
        if not ((lengths - 1).abs() < 1e-3).all():
            raise ValueError('embeddings are not rows of length 1')

    def check(
        self,
        path: str | Path,
        names: Sequence[str],
        templates: Sequence[str],
        embed_dims: int,
        text_identity: str | None,
    ) -> None:
        """Check that the file belongs to this bank.

        Raises:
            BankError: Names, templates, width or encoder differ.
        """
        place = f'the bank file {path}'
        check_same_names(names, self.category_names, place)
        check_same_templates(templates, self.templates, place)
        if self.embeddings.shape[1] != embed_dims:
            raise BankError(
                f'{place} has embeddings of width {self.embeddings.shape[1]}, but the '
                f'teacher embeds images in {embed_dims}; build it with this teacher.'
            )
        if text_identity is not None and not same_identity(
            self.text_identity, text_identity
        ):
            raise BankError(
                f'{place} was built with {self.text_identity}, but the teacher is '
                f'{text_identity}; build it with this teacher.'
                + explain_difference(self.text_identity, text_identity)
            )


def check_same_names(wanted: Sequence[str], found: Sequence[str], place: str) -> None:
    """Check that category names agree in number, order and spelling.

    Args:
        wanted (Sequence[str]): Names of the config.
        found (Sequence[str]): Names stored with the embeddings.
        place (str): Where they were stored, for the message.

    Raises:
        BankError: They differ.
    """
    if list(wanted) == list(found):
        return
    message = f'{place} has {len(found)} category names, the config {len(wanted)}'
    differing = [i for i, pair in enumerate(zip(wanted, found)) if pair[0] != pair[1]]
    if differing:
        first = differing[0]
        message += (
            f'; the first that differs is number {first}: {found[first]!r} there, '
            f'{wanted[first]!r} in the config'
        )
    raise BankError(
        f'{message}. Set textual_bank.categories to the stored names, or use a checkpoint '
        'and a bank with the names of the config.'
    )


def check_same_templates(
    wanted: Sequence[str], found: Sequence[str], place: str
) -> None:
    """Check that prompt templates agree in number, order and wording.

    Args:
        wanted (Sequence[str]): Templates of the config.
        found (Sequence[str]): Templates stored with the embeddings.
        place (str): Where they were stored, for the message.

    Raises:
        BankError: They differ.
    """
    if list(wanted) == list(found):
        return
    raise BankError(
        f'{place} was built with other templates ({len(found)}) than those of the config '
        f'({len(wanted)}). Set textual_bank.templates to the same ones; to predict with '
        "others, set model.zero_shot_bank=dict(type='TextualSemanticsBank', "
        'categories=..., templates=...); or build the bank again.'
    )
