import os

import pytest

from mmlgd.utils.printable import describe_error, printable


@pytest.mark.parametrize('text', ['', 'a/b c.jpg', 'größe/日本.png', "it's \\x41"])
def test_printable_text_stays(text):
    assert printable(text) == text


def test_bytes_that_are_not_utf8_and_line_breaks_are_escaped():
    name = os.fsdecode(b'caf\xe9\n.jpg')
    assert printable(name) == r'caf\udce9\n.jpg'
    printable(name).encode('utf-8')


def test_an_error_is_described_in_one_line():
    error = ValueError('the size\n    is odd')
    assert describe_error(error) == 'ValueError: the size is odd'
    assert describe_error(error, limit=8) == 'ValueError: the size'
