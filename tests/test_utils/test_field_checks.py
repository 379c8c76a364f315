"""Checks of what a file gave for the fields of a dataclass."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest

from mmlgd.utils.field_checks import (
    check_fields,
    each,
    is_number,
    is_whole,
    read_json_object,
)


@dataclass
class Record:
    name: str
    sizes: Annotated[list, each(is_whole(1, 9), 2)]
    mean: Annotated[float | int | None, is_number] = 0.5
    notes: dict = field(default_factory=dict)


def test_contents_that_fit_are_returned():
    for more in ({}, dict(mean=2), dict(mean=None), dict(mean=1.5, notes={'a': 1})):
        contents = dict(name='a', sizes=[1, 9], **more)
        assert check_fields(Record, contents) == contents


@pytest.mark.parametrize(
    ('contents', 'message'),
    [
        ([1], 'it contains list, not a dict'),
        (dict(name='a'), r"missing keys \['sizes'\], unexpected \[\]"),
        (dict(name='a', sizes=[1, 2], x=1), r"missing keys \[\], unexpected \['x'\]"),
        (dict(name=1, sizes=[1, 2]), 'name is int, not str'),
        (dict(name='a', sizes=[1]), r'sizes cannot be \[1\]'),
        (dict(name='a', sizes=[1, 10]), r'sizes cannot be \[1, 10\]'),
        (dict(name='a', sizes=[1, 2.0]), r'sizes cannot be \[1, 2.0\]'),
        (dict(name='a', sizes=[1, True]), r'sizes cannot be \[1, True\]'),
        (dict(name='a', sizes=[1, 2], mean=float('nan')), 'mean cannot be nan'),
        (dict(name='a', sizes=[1, 2], mean=10**400), 'mean cannot be 1000'),
        (dict(name='a', sizes=[1, 2], mean=True), 'mean cannot be True'),
    ],
)
def test_other_contents_are_refused_by_name(contents, message):
    with pytest.raises(ValueError, match=message):
        check_fields(Record, contents)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[1]', 'a list instead of an object'),
        ('{"a": ', 'Expecting value'),
        ('[' * 10**6, 'nested too deeply'),
        (' ' * (2**24 + 1), 'more than 16777216 bytes'),
    ],
    ids=['list', 'cut off', 'deep', 'large'],
)
def test_files_that_are_not_a_json_object_are_refused(tmp_path, text, message):
    path = tmp_path / 'file.json'
    path.write_text('{"a": [1]}')
    assert read_json_object(path) == {'a': [1]}
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_json_object(path)
