import pytest
from mmengine.config import Config

from mmlgd.utils.config_text import read_config_text


def test_a_dump_of_mmengine_is_read_as_it_was():
    settings = dict(
        model=dict(type='A', lr=-0.5, sizes=(1, 2), names=["it's", 'b"c'], none=None),
        odd={'a-b': {'c d': True}, 3: 'three'},
        custom_imports=dict(imports=['os'], allow_failed_imports=False),
    )
    assert read_config_text(Config(settings).pretty_text) == settings


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = 1\n__import__("os").system("true")',
        'a = __import__("os")',
        'a = dict(b=open("x"))',
        'a = dict(**b)',
        'a = dict([("b", 1)])',
        'a = [x for x in (1, 2)]',
        'a = lambda: 1',
        'a = 2 ** 10 ** 10',
        'a = f"{1}"',
        'a = b = 1',
        'a.b = 1',
        'a: int = 1',
        'a += 1',
        'a = b"x"',
        'a = ...',
        'a = 1j',
        'a = {**{}}',
        'a = not 1',
        'a = -"x"',
        'a = dict.fromkeys("x")',
        'def f(): pass',
        'a = ',
        'a = ' + '(' * 10_000,
        'a = ' + '-' * 50_000 + '1',
        'a = "\0"',
        'a = 1\n' * 1_000_000,
        None,
        b'a = 1',
    ],
    ids=lambda text: repr(text)[:30],
)
def test_everything_else_is_refused(text):
    with pytest.raises(ValueError):
        read_config_text(text)
