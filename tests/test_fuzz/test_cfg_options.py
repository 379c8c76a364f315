"""--cfg-options: values are parsed back, and as in mmengine where it is correct."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mmengine.config import DictAction

from mmlgd.errors import ConfigError
from mmlgd.utils.config_options import parse_options, parse_value

texts = st.text(
    st.characters(exclude_categories=['Cs']) | st.sampled_from(' ,[]()\'"{}=.\\'),
    max_size=12,
)
nested = st.recursive(
    texts | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.from_regex('[a-z_]{1,5}', fullmatch=True), inner, max_size=3
        )
    ),
    max_leaves=12,
)
words = st.from_regex(r'[A-Za-z_/][A-Za-z0-9_./:-]{0,8}', fullmatch=True)
plain = st.recursive(
    words | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)


def render(value: object, blank: str = ' ') -> str:
    """Write a value by the grammar; a string in the quotes that it does not contain."""
    if isinstance(value, str):
        assume(not {'"', "'"} <= set(value))
        quote = "'" if '"' in value else '"'
        return f'{quote}{value}{quote}'
    if isinstance(value, dict):
        inner = (f'{key}={render(each, blank)}' for key, each in value.items())
        return f'dict({f",{blank}".join(inner)})'
    if isinstance(value, (list, tuple)):
        inner = f',{blank}'.join(render(each, blank) for each in value)
        # An empty text before a closing bracket needs its comma.
        opening, closing = '[]' if isinstance(value, list) else '()'
        return f'{opening}{blank}{inner}{blank}{closing}'
    return str(value)


@pytest.mark.slow
@given(nested)
@example(['a photo of a {}.', "the dog's, [cat]", 'say "hi"'])
@example(dict(a=['x, y'], b=('=',)))
def test_rendered_options_are_parsed_back(value):
    text = render(value)
    # Quotes around a whole list are those of a shell.
    assume(not isinstance(value, str) or value.strip()[:1] not in ('[', '('))
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@given(plain)
def test_without_blanks_and_quotes_it_reads_as_mmengine_does(value):
    text = render_plain(value)
    assert parse_value(text) == DictAction._parse_iterable(text)
    assert parse_value(text) == value


def render_plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        opening, closing = '[]' if isinstance(value, list) else '()'
        return f'{opening}{",".join(map(render_plain, value))}{closing}'
    assume(not isinstance(value, str) or is_word(value))
    return str(value)


def is_word(text: str) -> bool:
    return DictAction._parse_int_float_bool(text) == text


@given(st.lists(words.filter(is_word), min_size=2, max_size=4))
def test_words_with_blanks_inside_stay_whole(parts):
    assert parse_value(' '.join(parts)) == ' '.join(parts)
    assert parse_value(f'[{" ".join(parts)}, x]') == [' '.join(parts), 'x']


@given(st.text(max_size=40) | st.text('[](),\'"= a1dict', max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        parse_options([f'key={text}'])
    except ConfigError as error:
        assert 'key=' in str(error)


@pytest.mark.parametrize('depth', [49, 5000])
def test_deep_nesting_is_read_or_refused(depth):
    text = '[' * depth + ']' * depth
    if depth == 49:
        assert parse_value(text) is not None
    else:
        with pytest.raises(ConfigError, match='deeper than 50'):
            parse_value(text)
