"""Any names file gives names or an error that describes the fault."""

import json

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mmlgd.datasets import load_category_names, load_templates
from mmlgd.errors import ConfigError

SUFFIXES = st.sampled_from(['.txt', '.json', '.yaml', '.csv', '', '.names'])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
TREES = st.recursive(
    SCALARS,
    lambda each: (
        st.lists(each, max_size=4)
        | st.dictionaries(
            st.sampled_from(['classes', 'names', 'categories', 'name', 'id', '0', '1'])
            | st.text(max_size=8),
            each,
            max_size=4,
        )
    ),
    max_leaves=12,
)
# What files of names are made of, right and wrong.
LINES = st.lists(
    st.text(max_size=30)
    | st.sampled_from(
        ['cat', '0 cat', '- cat', '"cat",', '# x', '[', '{}', 'a,b', '\t']
    )
    | st.builds(
        '{}{}{}'.format, st.integers(0, 99), st.sampled_from(' \t:,.'), st.text()
    ),
    max_size=8,
)


def check(load, source):
    try:
        texts = load(source)
    except ConfigError:
        return
    assert texts and all(type(text) is str and text == text.strip() for text in texts)
    assert all(texts) and not any('\n' in text or '\0' in text for text in texts)
    # A tokenizer needs them as UTF-8.
    assert all(text.encode() for text in texts)


@given(st.binary(max_size=300), SUFFIXES)
@example(b'\xff\xfec\x00a\x00t\x00', '.txt')
@example(b'[' * 5000, '.json')
@example(b'[' * 5000, '.yaml')
@example(b'0x' + b'f' * 20_000, '.yaml')
@example(b'{? [a] : b}', '.yaml')
@example(b'2024-99-99', '.yaml')
@example(b'"' * 200_000, '.txt')
@example(b'1 ,' * 60_000, '.txt')
def test_any_bytes(tmp_path, data, suffix):
    path = tmp_path / f'names{suffix}'
    path.write_bytes(data)
    check(load_category_names, path)
    check(load_templates, path)


@given(LINES, SUFFIXES, st.sampled_from(['\n', '\r\n', '\r']))
def test_any_lines(tmp_path, lines, suffix, end):
    path = tmp_path / f'names{suffix}'
    path.write_bytes(end.join(lines).encode(errors='surrogatepass'))
    check(load_category_names, path)


@given(TREES)
def test_any_json_and_yaml(tmp_path, tree):
    (tmp_path / 'names.json').write_text(json.dumps(tree))
    check(load_category_names, tmp_path / 'names.json')
    (tmp_path / 'names.yaml').write_text(yaml.safe_dump(tree))
    check(load_category_names, tmp_path / 'names.yaml')
    # A name that is no file and no set is refused, too.
    (tmp_path / 'names.txt').write_text(json.dumps(tree))
    check(load_category_names, tmp_path / 'names.txt')


@given(TREES | st.text() | st.binary())
def test_any_value(value):
    check(load_category_names, value)
    check(load_templates, value)


@given(
    st.lists(
        st.text('abcdefghij ü猫\'"&;#-', min_size=1, max_size=20),
        min_size=2,
        max_size=6,
    )
)
def test_a_json_list_gives_its_own_names(tmp_path, names):
    """The names of a list of strings are never changed."""
    path = tmp_path / 'names.json'
    path.write_text(json.dumps(names))
    try:
        found = load_category_names(path)
    except ConfigError:
        return
    assert found == [name.strip() for name in names]
