"""A damaged bank or bag file is read correctly, or refused with an mmlgd error."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmlgd.datasets import Bags
from mmlgd.errors import BankError, DataError
from mmlgd.models.banks.bank_file import BankFile

BANK = dict(
    embeddings=torch.eye(3, 5),
    category_names=['cat', 'dog', 'cow'],
    templates=['a {}.'],
    text_identity='net#0123456789abcdef',
)
BAGS = dict(
    neighbours=torch.tensor([[1, 2], [2, 0], [0, 1]], dtype=torch.int32),
    teacher='net#01234567',
    images='0' * 64,
)
KINDS = [(BankFile, BANK, BankError), (Bags, BAGS, DataError)]
VALUES = st.sampled_from(
    [
        None,
        '',
        'cat',
        [],
        ['cat'],
        [1],
        {},
        2.5,
        torch.zeros(()),
        torch.zeros(0, 0),
        torch.full((3, 5), torch.nan),
        torch.eye(3, 5).half(),
        torch.eye(3, 5).to_sparse(),
        torch.eye(5, 3).T,
        torch.ones(1, 1).expand(10**6, 10**6),
        torch.ones(1, dtype=torch.int32).expand(10**6, 10**6),
        torch.full((3, 2), 3, dtype=torch.int32),
        torch.zeros(3, 2, dtype=torch.int64),
        torch.nn.Parameter(torch.eye(3, 5)),
    ]
)


def check(kind, error, path):
    try:
        found = kind.read(path)
    except error:
        return
    if kind is BankFile:
        rows = found.embeddings
        assert rows.dtype == torch.float32 and len(rows) == len(found.category_names)
        torch.testing.assert_close(
            rows.norm(dim=1), torch.ones(len(rows)), atol=1e-3, rtol=0
        )
        assert all(isinstance(each, str) for each in found.category_names)
        assert all(isinstance(each, str) for each in found.templates)
        assert isinstance(found.text_identity, str)
    else:
        rows, size = found.neighbours, len(found.neighbours)
        assert rows.dtype == torch.int32 and rows.dim() == 2 and found.k >= 1
        assert 0 <= rows.min() and rows.max() < size
        assert isinstance(found.teacher, str) and isinstance(found.images, str)


def saved(contents) -> bytes:
    stream = io.BytesIO()
    torch.save(contents, stream)
    return stream.getvalue()


@pytest.mark.parametrize('kind, contents, error', KINDS)
@given(data=st.data())
def test_changed_bytes(tmp_path, kind, contents, error, data):
    file = bytearray(saved(contents))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(file) - 1))
        file[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del file[data.draw(st.integers(0, len(file))) :]
    (tmp_path / 'file.pth').write_bytes(bytes(file))
    check(kind, error, tmp_path / 'file.pth')


@pytest.mark.parametrize('kind, contents, error', KINDS)
@given(data=st.data())
def test_changed_fields(tmp_path, kind, contents, error, data):
    changed = dict(contents)
    for key in data.draw(st.sets(st.sampled_from([*contents, 'other', 3]), min_size=1)):
        if data.draw(st.booleans()):
            changed.pop(key, None)
        else:
            changed[key] = data.draw(VALUES)
    (tmp_path / 'file.pth').write_bytes(saved(changed))
    check(kind, error, tmp_path / 'file.pth')


@pytest.mark.parametrize('kind, contents, error', KINDS)
@given(value=VALUES | st.binary(max_size=200))
def test_other_contents(tmp_path, kind, contents, error, value):
    is_raw = isinstance(value, bytes)
    (tmp_path / 'file.pth').write_bytes(value if is_raw else saved(value))
    check(kind, error, tmp_path / 'file.pth')
