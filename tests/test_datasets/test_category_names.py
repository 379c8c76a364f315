"""Category names and templates of users, valid and invalid."""

from pathlib import Path

import pytest
from open_clip import zero_shot_metadata as open_clip_names

from mmlgd.datasets import category_names
from mmlgd.datasets.category_names import (
    available_category_sets,
    load_category_names,
    load_templates,
)
from mmlgd.errors import ConfigError


def write(path, content, encoding='utf-8'):
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
@pytest.mark.parametrize('newline', ['\n', '\r\n'])
def test_a_file_is_read_whatever_editor_wrote_it(tmp_path, encoding, newline):
    text = newline.join([' rød katt ', 'b_c', '#3 (odd)', '', '  ', ''])
    path = write(tmp_path / 'names.txt', text, encoding)
    expected = ['rød katt', 'b_c', '#3 (odd)']
    assert load_category_names(path) == expected
    assert load_category_names(str(path)) == expected


def test_a_file_without_suffix_and_one_in_the_home_folder(tmp_path, monkeypatch):
    write(tmp_path / 'my_names', 'cat\ndog')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    assert load_category_names('my_names') == ['cat', 'dog']
    assert load_category_names('~/my_names') == ['cat', 'dog']


def test_a_set_wins_over_a_file_of_its_name(tmp_path, monkeypatch):
    write(tmp_path / 'coco', 'cat')
    monkeypatch.chdir(tmp_path)
    assert len(load_category_names('coco')) == 80
    assert load_category_names(Path('coco')) == ['cat']


@pytest.mark.parametrize('key', ['classes', 'CLASSES'])
def test_lists_and_metainfo(key):
    assert load_category_names(('cat ', 'dog')) == ['cat', 'dog']
    assert load_category_names({key: ('cat', 'dog'), 'palette': []}) == ['cat', 'dog']
    assert load_category_names({key: 'cityscapes'})[0] == 'road'


def test_the_result_belongs_to_the_caller():
    given = ['cat', 'dog']
    load_category_names(given).append('cow')
    load_category_names('coco').clear()
    assert given == ['cat', 'dog']
    assert len(load_category_names('coco')) == 80


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ('wrong', 'close'),
    [('lvis', 'lvis_v1'), ('ImageNet', 'imagenet'), ('fashion-mnist', 'fashion_mnist')],
)
def test_an_unknown_set_lists_the_known_and_the_close(wrong, close):
    with pytest.raises(ConfigError) as error:
        load_category_names(wrong)
    message = str(error.value)
    assert f'Did you mean {close!r}' in message and repr(wrong) in message
    assert all(name in message for name in available_category_sets())


def test_an_unknown_set_close_to_none():
    with pytest.raises(ConfigError, match='unknown set') as error:
        load_category_names('?' * 5000)
    assert 'Did you mean' not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r'absent\.txt: No such file'):
        load_category_names(str(tmp_path / 'absent.txt'))
    with pytest.raises(ConfigError, match='directory'):
        load_category_names(tmp_path)
    path = write(tmp_path / 'latin.txt', 'ab\ncr\xe8me', 'latin-1')
    with pytest.raises(ConfigError, match=r'latin\.txt is not UTF-8 text \(byte 5\)'):
        load_category_names(path)


def test_blank_and_missing_names(tmp_path):
    path = write(tmp_path / 'names.txt', 'cat\n \ndog\n')
    with pytest.raises(ConfigError, match=r'names\.txt, line 2: blank category'):
        load_category_names(path)
    with pytest.raises(ConfigError, match='index 1: blank category'):
        load_category_names(['cat', ''])
    path = write(tmp_path / 'empty.txt', ' \n\n')
    with pytest.raises(ConfigError, match=r'empty\.txt contains no category name'):
        load_category_names(path)
    with pytest.raises(ConfigError, match='contains no category name'):
        load_category_names([])


def test_duplicates_are_named_with_their_lines(tmp_path):
    path = write(tmp_path / 'names.txt', 'cat\nred  Fox\ndog\nCAT\nred fox\ncat ')
    with pytest.raises(ConfigError) as error:
        load_category_names(path)
    assert str(path) in str(error.value)
    assert "'cat' (line 1, line 4, line 6)" in str(error.value)
    assert "'red  Fox' (line 2, line 5)" in str(error.value)
    assert 'dog' not in str(error.value)


def test_the_usual_imagenet_list_is_refused():
    with pytest.raises(ConfigError) as error:
        load_category_names(open_clip_names.IMAGENET_CLASSNAMES)
    assert "'missile' (index 657, index 744)" in str(error.value)
    assert "'sunglasses' (index 836, index 837)" in str(error.value)


def test_many_duplicates_are_cut_short():
    with pytest.raises(ConfigError, match='and 40 more') as error:
        load_category_names([f'n{i}' for i in range(50)] * 2)
    assert len(str(error.value)) < 800


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (['cat', 3], 'contains int 3 at index 1'),
        (['cat', None], 'contains NoneType None at index 1'),
        ({'cat', 'dog'}, 'got set'),
        (b'coco', 'got bytes'),
        (None, 'got NoneType'),
        ({'palette': []}, "no 'classes', only"),
        ({'classes': None}, 'got NoneType'),
    ],
)
def test_other_types_are_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        load_category_names(value)


# --- templates of a user -----------------------------------------------------


def test_own_templates(tmp_path):
    path = write(tmp_path / 'templates.txt', 'a {}.\r\nthe {}\r\n')
    assert load_templates(path) == ['a {}.', 'the {}']
    assert load_templates(['{}']) == ['{}']


@pytest.mark.parametrize(
    'template', ['a photo.', 'a {} of a {}', 'a {0}', 'a {name}', 'a {} {', '{{}}']
)
def test_a_template_without_exactly_one_slot(template, tmp_path):
    with pytest.raises(ConfigError, match='exactly one placeholder') as error:
        load_templates(['a {}', template])
    assert 'index 1' in str(error.value) and repr(template) in str(error.value)
    path = write(tmp_path / 'templates.txt', f'a {{}}\n{template}\n')
    with pytest.raises(ConfigError, match=r'templates\.txt, line 2'):
        load_templates(path)


def test_invalid_templates_are_refused():
    with pytest.raises(ConfigError, match='contains no template'):
        load_templates([])
    with pytest.raises(ConfigError, match='unknown set of templates') as error:
        load_templates('imagnet')
    assert "Did you mean 'imagenet'" in str(error.value)
    with pytest.raises(ConfigError, match='contains function'):
        load_templates([open_clip_names.OPENAI_IMAGENET_TEMPLATES[0]])


def test_a_new_file_is_a_new_set(tmp_path, monkeypatch):
    write(tmp_path / 'pets.txt', 'cat\ndog')
    monkeypatch.setattr(category_names, '_CATEGORY_DIR', tmp_path)
    assert available_category_sets() == ['pets']
    assert load_category_names('pets') == ['cat', 'dog']
