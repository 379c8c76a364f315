"""Formats of names files that are read, and errors for others."""

import json
import os
from pathlib import Path

import pytest

from mmlgd.datasets import (
    available_category_sets,
    available_template_sets,
    load_category_names,
    load_templates,
)
from mmlgd.errors import ConfigError


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    'content',
    [
        '["cat", "guide dog"]',
        '{"0": "cat", "1": "guide dog"}',
        '{"1": "guide dog", "0": "cat"}',
        '{"guide dog": 1, "cat": 0}',
        '{"classes": ["cat", "guide dog"], "palette": [[1, 2, 3]]}',
        '{"categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "guide dog"}]}',
        '{"images": [], "annotations": [{"id": 1}], "categories": '
        '[{"id": 1, "name": "cat", "supercategory": "pet"}, {"id": 2, "name": "guide dog"}]}',
        '{"id2label": {"0": "cat", "1": "guide dog"}, "label2id": {"cat": 0}}',
    ],
)
def test_json_is_read(tmp_path, content):
    path = write(tmp_path / 'names.json', content)
    assert load_category_names(path) == ['cat', 'guide dog']
    # JSON is YAML, too.
    path = write(tmp_path / 'names.yml', content)
    assert load_category_names(str(path)) == ['cat', 'guide dog']


@pytest.mark.parametrize(
    'content',
    [
        '- cat\n- guide dog\n',
        '# pets\n- cat\n- "guide dog"\n',
        'path: data\nnames:\n  0: cat\n  1: guide dog\n',
        'cat: 0\nguide dog: 1\n',
    ],
)
def test_yaml_is_read(tmp_path, content):
    path = write(tmp_path / 'names.yaml', content)
    assert load_category_names(path) == ['cat', 'guide dog']


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('a.json', '["cat", 3]', r'a\.json, index 1 is int'),
        ('a.json', '["cat", ["dog"]]', 'index 1 is list'),
        ('a.json', '"cat"', 'contains str'),
        ('a.json', '["cat",', 'is not JSON'),
        ('a.json', '{"1": "cat", "2": "dog"}', 'indices 0 to C - 1'),
        ('a.json', '{"0": "cat", "0": "dog"}', 'a key occurs twice'),
        ('a.json', '{"cat": 0, "dog": 0}', 'indices 0 to C - 1'),
        (
            'a.json',
            '{"images": [], "annotations": []}',
            r'mapping \(images, annotations',
        ),
        ('a.json', '{}', 'indices 0 to C - 1'),
        ('a.json', '[]', 'contains no category name'),
        ('a.json', '[" "]', 'index 0: blank'),
        ('a.json', '[' * 100_000, 'is not JSON'),
        (
            'a.json',
            '[{"id": 2, "name": "cat"}, {"id": 1, "name": "dog"}]',
            'Sort them by id',
        ),
        ('a.yaml', '- cat\n- no\n', 'index 1 is bool.*quote it'),
        ('a.yaml', '- cat\n- 12\n', 'index 1 is int.*quote it'),
        ('a.yaml', '0: cat\n0: dog\n', 'a key occurs twice'),
        ('a.yaml', 'a: &x [cat]\nb: *x\n', 'aliases'),
        ('a.yaml', '- !!python/name:os.system\n', 'is not YAML of plain'),
        ('a.yaml', 'cat\ndog\n', 'contains str'),
    ],
)
def test_other_json_and_yaml_is_refused(tmp_path, name, content, message):
    with pytest.raises(ConfigError, match=message):
        load_category_names(write(tmp_path / name, content))


def test_yaml_executes_nothing(tmp_path):
    made = tmp_path / 'made'
    path = write(
        tmp_path / 'a.yaml', f'- !!python/object/apply:os.mkdir ["{made}"]\n- cat\n'
    )
    with pytest.raises(ConfigError, match='is not YAML of plain'):
        load_category_names(path)
    assert not made.exists()


@pytest.mark.parametrize('name', ['names.csv', 'names.TSV'])
def test_tables_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match='is a table.*Save this column'):
        load_category_names(write(tmp_path / name, 'id,name\n0,cat\n1,dog\n'))


@pytest.mark.parametrize(
    'content, message',
    [
        ('["cat", "dog"]', 'JSON or Python list'),
        ('[\n  "cat",\n  "dog"\n]\n', 'JSON or Python list'),
        ("['cat', 'dog']", 'JSON or Python list'),
        ('{"0": "cat", "1": "dog"}', 'JSON or Python list'),
        ('"cat",\n"dog"\n', 'line 1 is in quotes'),
        ('- cat\n- dog\n', 'line 1 starts with a list mark.*yaml'),
        ('cat\n# pets\ndog\n', 'line 2 is a comment'),
        ('<names><n>cat</n></names>', 'line 1 is markup'),
        ('[pets]\ncat\ndog\n', 'line 1 is a section heading'),
        ('import os\nnames=["cat"]\n', 'line 2 is a setting'),
        ('cat,dog,bird\n', 'everything on one line'),
        ('cat; dog; bird', 'everything on one line'),
        ('n02123045 tabby\nn02123159 tiger cat\n', 'line 1 starts with a WordNet'),
        ('n02123045\nn02123159\n', 'line 1 starts with a WordNet'),
        ('0\tcat\n1\tdog\n', 'lines are numbered'),
        ('0 cat\n1 dog\n', 'lines are numbered'),
        ('1: cat\n2: dog\n3: cow\n', 'lines are numbered'),
        ('1. cat\n2. dog\n', 'lines are numbered'),
        ('1 person\n2 bicycle\n13 stop sign\n', 'lines are numbered'),
        ('cat 0\ndog 1\n', 'lines are numbered'),
        ('id,name\n0,cat\n1,dog\n', 'lines are numbered'),
        ('cat,pet\ncow,farm\n', 'several columns'),
        ('cat\tpet\ncow\tfarm\n', r'line 1: .*U\+0009'),
        ('cat\nd\x00g\n', 'is NUL'),
        ('cat\nd\x07g\n', r'line 2: .*U\+0007'),
        ('cat\ndog\u200b\n', r'line 2: .*U\+200B at position 3'),
        ('cat\nd\u2028g\n', r'line 2: .*U\+2028'),
        ('cat\nd\ufffdg\n', r'line 2: .*U\+FFFD'),
        ('cat\n' + 'dog ' * 300, 'line 2: 1199 characters'),
        ('cat\ndog\n'.encode('utf-16'), 'UTF-16'),
        ('cat\ndog\n'.encode('utf-16-le'), 'is NUL'),
        (b'\x80\x04\x95', r'not UTF-8 text \(byte 0\)'),
    ],
)
def test_text_of_another_format_is_refused(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message) as error:
        load_category_names(write(tmp_path / 'names.txt', content))
    assert 'names.txt' in str(error.value)


@pytest.mark.parametrize(
    'names',
    [
        ['1 finger', '2 fingers', '3 fingers'],
        ['1 rupee', '2 rupee', '5 rupee', '10 rupee'],
        ['0', '1', '2'],
        ['class 0', 'class 1'],
        ['Boeing 737-200', 'Boeing 747', 'A320'],
        ['cat, a pet', 'cow, of a farm'],
        ['[', ']'],
        ['+', '-', '*'],
        ["'s-Hertogenbosch", 'rock & roll', '#3 (odd)'],
        ['می\u200cخواهم', '👩\u200d🚀', '猫'],
    ],
)
def test_names_that_look_odd_are_read(tmp_path, names):
    path = write(tmp_path / 'names.txt', '\n'.join(names) + '\n')
    assert load_category_names(path) == names


def test_old_macintosh_line_ends(tmp_path):
    assert load_category_names(write(tmp_path / 'names', 'cat\rdog\r')) == [
        'cat',
        'dog',
    ]


def test_a_list_may_not_hold_control_characters():
    with pytest.raises(ConfigError, match=r'index 1: .*U\+000A'):
        load_category_names(['cat', 'dog\ncow'])
    with pytest.raises(ConfigError, match=r'index 0: .*U\+DC80'):
        load_category_names(['\udc80', 'cat'])


def test_letters_that_the_tokenizer_tells_apart_are_not_one_name():
    assert load_category_names(['Straße', 'Strasse']) == ['Straße', 'Strasse']


def test_entities_and_accents_are_one_name():
    with pytest.raises(ConfigError, match=r"'R&D' \(index 0, index 2\)"):
        load_category_names(['R&D', 'cat', 'r&amp;d'])
    with pytest.raises(ConfigError, match='index 0, index 1'):
        load_category_names(['caf\u00e9', 'cafe\u0301'])


def test_templates_are_read_and_refused_alike(tmp_path):
    content = ['a photo of a {}, a type of pet.', '{}']
    assert load_templates(write(tmp_path / 'a.json', json.dumps(content))) == content
    assert load_templates(write(tmp_path / 'a.yaml', '- the {}.')) == ['the {}.']
    assert load_templates(write(tmp_path / 'a.txt', '{}')) == ['{}']
    with pytest.raises(ConfigError, match='JSON or Python list'):
        load_templates(write(tmp_path / 'b.txt', '["a photo of a {}."]'))
    with pytest.raises(ConfigError, match='line 2 is a comment'):
        load_templates(write(tmp_path / 'c.txt', 'a {}.\n# odd {}\n'))


def test_names_path_that_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe.txt')
    with pytest.raises(ConfigError, match='not a regular file'):
        load_category_names(tmp_path / 'pipe.txt')
    with pytest.raises(ConfigError, match='not a regular file'):
        load_category_names('/dev/zero')
    for path in ('a\0.txt', Path('a\0.txt')):
        with pytest.raises(ConfigError, match='null character'):
            load_category_names(path)
    with pytest.raises(ConfigError, match='~nobody_of_this_name'):
        load_category_names('~nobody_of_this_name/names.txt')
    with pytest.raises(ConfigError, match='No such file'):
        load_category_names('absent.json')
    with pytest.raises(ConfigError, match='16 MiB'):
        load_category_names(write(tmp_path / 'big.txt', b'cat\n' * 2**23))


def test_built_in_sets_pass_their_own_checks():
    for name in available_category_sets():
        assert len(load_category_names(name)) > 1
    for name in available_template_sets():
        assert load_templates(name)
