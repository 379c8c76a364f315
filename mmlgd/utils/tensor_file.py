"""Small files of tensors and strings, read weights-only and validated."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, TypeVar

import torch

from mmlgd.errors import MMLGDError

from .atomic import replace_file
from .field_checks import check_fields
from .weights_only import why_unreadable

_File = TypeVar('_File', bound='TensorFile')


@dataclass
class TensorFile:
    """A dataclass of tensors, strings and lists of strings that is saved in a file.

    A subclass adds fields of the types ``torch.Tensor``, ``str`` and ``list``, and
    checks their values in :meth:`validate`.

    Attributes:
        KIND (str): Name of such a file in messages.
        TOOL (str): The tool that writes one.
        ERROR (type): Type of the error for a bad file.
    """

    KIND: ClassVar[str]
    TOOL: ClassVar[str]
    ERROR: ClassVar[type[MMLGDError]]

    def validate(self) -> None:
        """Check the values of the fields, whose types are already checked.

        Raises:
            ValueError: A value is invalid, for example an index out of range.
        """

    def save(self, path: str | Path) -> None:
        """Write a complete file that ``torch.load`` reads weights-only, or none.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        with replace_file(path) as part:
            torch.save(
                {each.name: getattr(self, each.name) for each in fields(self)}, part
            )

    @classmethod
    def read(cls: type[_File], path: str | Path) -> _File:
        """Read a file and check its contents.

        Raises:
            MMLGDError: Of type ``ERROR``: the file is missing, truncated, of another
                kind, or its contents are invalid.
        """
        path = Path(path)
        if not path.is_file():
            raise cls.ERROR(
                f'There is no {cls.KIND} {path}; write one with '
                f'`python {cls.TOOL} CONFIG --out {path}`.'
            )
        try:
            contents = torch.load(path, map_location='cpu', weights_only=True)
            found = cls(**check_fields(cls, contents))
            for name, value in contents.items():
                items = value if isinstance(value, list) else []
                if not all(isinstance(item, str) for item in items):
                    raise ValueError(f'{name} contains values other than strings')
            found.validate()
        except Exception as error:  # The unpickler raises anything on broken bytes.
            raise cls.ERROR(
                f'{path} is not a complete {cls.KIND} ({why_unreadable(error)}); '
                f'write it again with {cls.TOOL}.'
            ) from error
        return found


def check_tensor(
    name: str, tensor: torch.Tensor, dtype: torch.dtype, num_dims: int
) -> None:
    """Check the dtype and the number of dimensions of a tensor.

    Raises:
        ValueError: They differ, or the tensor is empty or not contiguous.
    """
    if tensor.dtype != dtype or tensor.dim() != num_dims or not tensor.numel():
        raise ValueError(
            f'{name} is {tensor.dtype} of shape {tuple(tensor.shape)}, not {dtype} of '
            f'{num_dims} dimensions'
        )
    # A stride of 0 would make a huge tensor of a small file.
    if tensor.layout != torch.strided or not tensor.is_contiguous():
        raise ValueError(f'{name} is not contiguous')
