"""The members of a tar file, without extracting anything."""

import tarfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mmlgd.errors import DataError
from mmlgd.utils.printable import printable

#: Bytes of a header, and the unit of a tar file.
BLOCK = 512
#: Longest extended header (of a long name, for example) that is read.
_MAX_EXTENDED = 2**20
_LONG_NAME, _PAX = tarfile.GNUTYPE_LONGNAME, (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_COMPRESSED = {
    b'\x1f\x8b': 'gzip',
    b'BZh': 'bzip2',
    b'\xfd7zXZ': 'xz',
    b'(\xb5/\xfd': 'zstd',
}

#: Reads bytes [start, end) of a tar file; shorter only if the file ends.
Read = Callable[[int, int], bytes]


class Member(NamedTuple):
    """A regular file in a tar file: name, offset of its data, size in bytes."""

    name: str
    offset: int
    size: int


def list_members(read: Read, size: int, path: str) -> Iterator[Member]:
    """Regular files of a tar file, in their order.

    Only headers are read. Names are not interpreted in any way. The time is at most
    proportional to the size of the file, whatever it contains.

    Args:
        read: Reads the file.
        size: Its size in bytes.
        path: Its path or URL, for messages.

    Raises:
        DataError: The file is not a tar file, is compressed, truncated or damaged, or
            has sparse members.
    """
    position = 0
    extended: dict[str, str] = {}
    while True:
        block = read(position, min(position + BLOCK, size))
        if len(block) < BLOCK:
            raise _truncated(path, f'there is no end mark at its end, {size} bytes')
        if not any(block):
            return
        header = parse_header(block, position, path)
        is_regular = header.isreg()
        try:
            length = int(extended.get('size', header.size))
        except ValueError as error:
            raise _damaged(path, position, 'a size is not a number') from error
        # Links and folders have no data, whatever their size says.
        has_data = is_regular or header.type not in tarfile.SUPPORTED_TYPES
        if not (0 <= length and has_data) and header.type not in (_LONG_NAME, *_PAX):
            length = 0
        data, position = position + BLOCK, position + BLOCK + _round_up(length)
        if position > size:
            raise _truncated(
                path,
                f'its member at byte {data - BLOCK} ends at byte {position}, but it '
                f'has {size} bytes',
            )
        if header.type == _LONG_NAME:
            text = _read_extended(read, data, length, path)
            extended['path'] = text.split(b'\0')[0].decode('utf-8', 'surrogateescape')
        elif header.type in _PAX:
            extended |= _pax_records(_read_extended(read, data, length, path))
        elif header.type not in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
            if header.type == tarfile.GNUTYPE_SPARSE or _is_sparse(extended):
                raise DataError(
                    f'The shard {path} has a sparse member at byte {data - BLOCK}, which '
                    'cannot be read at random: write it again without --sparse.'
                )
            if is_regular:
                yield Member(extended.get('path', header.name), data, length)
            extended = {}


def parse_header(block: bytes, position: int, path: str) -> tarfile.TarInfo:
    """Parse the header of a member.

    Args:
        block: Its 512 bytes.
        position: Its first byte in the file, for messages.
        path: Path of the file, for messages.

    Raises:
        DataError: The bytes are not a header with a correct checksum.
    """
    try:
        return tarfile.TarInfo.frombuf(block, 'utf-8', 'surrogateescape')
    except (tarfile.TarError, ValueError, OverflowError) as error:
        for magic, name in _COMPRESSED.items():
            if not position and block.startswith(magic):
                raise DataError(
                    f'The shard {path} is compressed with {name}; images in it cannot be '
                    'read at random. Decompress it: images are compressed already.'
                ) from error
        raise _damaged(path, position, f'no header: {error}') from error


def has_size(block: bytes, size: int) -> bool:
    """Whether 512 bytes are a usual header of a member of a size, checksum apart.

    Takes a microsecond; :func:`parse_header`, which also knows unusual ones, takes 20.
    """
    try:
        return block[257:262] == b'ustar' and int(block[124:135], 8) == size
    except ValueError:
        return False


def _read_extended(read: Read, start: int, length: int, path: str) -> bytes:
    if length > _MAX_EXTENDED:
        raise _damaged(path, start - BLOCK, f'an extended header of {length} bytes')
    return read(start, start + length)


def _pax_records(text: bytes) -> dict[str, str]:
    """Records 'length key=value' of a pax header, as far as they are valid."""
    records = {}
    while (space := text.find(b' ')) > 0 and text[:space].isdigit() and space < 12:
        length = int(text[:space])
        key, _, value = text[space + 1 : length - 1].partition(b'=')
        records[key.decode('utf-8', 'replace')] = value.decode(
            'utf-8', 'surrogateescape'
        )
        text = text[max(length, space + 1) :]
    return records


def _is_sparse(extended: dict[str, str]) -> bool:
    return any(key.startswith('GNU.sparse') for key in extended)


def _round_up(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _truncated(path: str, reason: str) -> DataError:
    return DataError(
        f'The shard {printable(path)} is truncated: {reason}. Copy or write it again.'
    )


def _damaged(path: str, position: int, reason: str) -> DataError:
    return DataError(
        f'The shard {printable(path)} is not a tar file or is damaged at byte {position} '
        f'({printable(reason)}). Copy or write it again.'
    )
