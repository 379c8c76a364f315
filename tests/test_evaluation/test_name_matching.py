"""Matching of classes and names; expected indices are counted by hand."""

import unicodedata

import pytest
from mmpretrain.datasets import categories

from mmlgd.datasets import load_category_names
from mmlgd.errors import ConfigError
from mmlgd.evaluation import LEFT_OUT, match_classes


def test_the_same_list_stays_in_order():
    assert match_classes(['cat', 'dog', 'bird'], ['cat', 'dog', 'bird']) == [0, 1, 2]


def test_another_order_and_a_part_are_matched_by_name():
    names = ['cat', 'dog', 'bird', 'fish']
    assert match_classes(['bird', 'cat', 'dog', 'fish'], names) == [2, 0, 1, 3]
    assert match_classes(('fish', 'dog'), names) == [3, 1]


def test_case_underscores_hyphens_blanks_and_composition_do_not_matter():
    names = ['traffic light', 'T-shirt', 'café', 'Stop Sign']
    decomposed = unicodedata.normalize('NFD', 'Café')
    classes = [decomposed, 'stop-sign', ' Traffic_Light ', 't  shirt']
    assert match_classes(classes, names) == [2, 3, 0, 1]


def test_exact_names_win_over_names_that_are_alike():
    # Folders sorted as text: capitals first.
    assert match_classes(['T-shirt', 't shirt'], ['t shirt', 'T-shirt']) == [1, 0]
    with pytest.raises(
        ConfigError, match="'T_SHIRT' .* matches several names: 't shirt', 'T-"
    ):
        match_classes(['T_SHIRT'], ['t shirt', 'T-shirt'])


def test_numbered_folders_are_indices_into_the_list():
    names = [f'name {i}' for i in range(12)]
    folders = sorted(str(i) for i in range(12))
    assert folders[:4] == ['0', '1', '10', '11']
    assert match_classes(folders, names) == [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]
    assert match_classes(['00', '03', '11'], names) == [0, 3, 11]


@pytest.mark.parametrize(
    'folders, reason',
    [
        (['1', '10', '2', '3', '4', '5', '6', '7', '8', '9'], 'from 0 or from 1'),
        (['0', '10', '2'], 'only 10 names'),
        (['0', '00', '1'], 'the same number'),
    ],
)
def test_ambiguous_numbers_are_refused_and_can_be_named(folders, reason):
    names = [f'name {i}' for i in range(10)]
    with pytest.raises(ConfigError, match=rf'{reason}.*classes=\[.*class_names='):
        match_classes(folders, names, 'val_dataloader')
    said = {folder: f'name {int(folder) % 10}' for folder in folders}
    wanted = [int(folder) % 10 for folder in folders]
    assert match_classes(folders, names, class_names=said) == wanted


def test_names_that_are_numbers_are_names():
    assert match_classes(['1', '10', '2'], ['10', '2', '1']) == [2, 0, 1]


def test_unknown_classes_are_refused_with_the_closest_names():
    with pytest.raises(ConfigError) as error:
        match_classes(['cat', 'brid', 'wolf'], ['cat', 'bird', 'dog'], 'val_dataloader')
    message = str(error.value)
    assert '2 of the 3 classes of val_dataloader are not among the 3 names' in message
    assert "'brid': Did you mean 'bird'?; 'wolf'" in message
    assert 'zero_shot_bank' in message


def test_two_classes_of_one_name_are_refused_unless_that_is_said():
    with pytest.raises(ConfigError, match="'cat' and 'Cat' of .* both match .* 'cat'"):
        match_classes(['cat', 'Cat'], ['cat', 'dog'])
    with pytest.raises(ConfigError, match="'dog' and 'dog' of .* both match"):
        match_classes(['dog', 'dog'], ['cat', 'dog'])
    said = dict(tabby='cat', siamese='cat')
    classes = ['dog', 'siamese', 'tabby']
    assert match_classes(classes, ['cat', 'dog'], class_names=said) == [1, 0, 0]


def test_a_class_can_be_left_out_and_its_spelling_is_checked():
    said = {'257.clutter': None}
    assert match_classes(['257.clutter', 'cat'], ['cat'], class_names=said) == [
        LEFT_OUT,
        0,
    ]
    assert match_classes(
        ['cat', 'dog'], ['cat', 'dog'], class_names=dict(dog=None)
    ) == [
        0,
        LEFT_OUT,
    ]
    with pytest.raises(ConfigError, match="class 'dgo'.* Did you mean 'dog'"):
        match_classes(['dog'], ['dog'], class_names=dict(dgo='dog'))
    with pytest.raises(ConfigError, match="to 'dgo', which .* Did you mean 'dog'"):
        match_classes(['hound'], ['dog'], class_names=dict(hound='dgo'))


@pytest.mark.parametrize(
    'built_in, official',
    [
        ('imagenet', categories.IMAGENET_CATEGORIES),
        ('imagenet', categories.IMAGENET_SIMPLE_CATEGORIES),
        ('fashion_mnist', categories.FASHIONMNIST_CATEGORITES),
        ('cifar10', categories.CIFAR10_CATEGORIES),
    ],
)
def test_official_classes_are_the_built_in_names_in_order(built_in, official):
    names = load_category_names(built_in)
    assert match_classes(official, names) == list(range(len(names)))


def test_wordnet_ids_are_imagenet_in_whole_in_part_and_in_any_order():
    names = load_category_names('imagenet')
    # Known from the official list of synsets, which is sorted by id.
    known = {'n01440764': 0, 'n02123045': 281, 'n02504458': 386, 'n15075141': 999}
    for name, index in (
        ('tench', 0),
        ('tabby cat', 281),
        ('African bush elephant', 386),
    ):
        assert names[index] == name
    assert match_classes([*known], names) == [*known.values()]
    assert match_classes([*known][::-1], names) == [*known.values()][::-1]


def test_wordnet_ids_are_those_of_timm():
    data = pytest.importorskip('timm.data')
    info = data.ImageNetInfo('imagenet-1k')
    wnids = info.label_names()
    assert wnids == sorted(wnids)
    assert match_classes(wnids, load_category_names('imagenet')) == list(range(1000))


def test_a_few_changed_names_keep_the_official_order_but_exchanged_ones_do_not():
    names = load_category_names('fashion_mnist')
    official = categories.FASHIONMNIST_CATEGORITES
    changed = ['tee', *names[1:]]
    assert match_classes(official, changed) == list(range(10))
    exchanged = [names[1], names[0], *names[2:]]
    with pytest.raises(ConfigError, match="1 of the 10 .* 'T-shirt/top'"):
        match_classes(official, exchanged)


def test_ambiguous_official_names_are_refused_in_a_part():
    # Two of ImageNet's classes are 'crane': the bird (134) and the machine (517).
    names = load_category_names('imagenet')
    with pytest.raises(
        ConfigError, match="'crane' .* 'crane bird', 'construction crane'"
    ):
        match_classes(['crane', 'tench, Tinca tinca'], names)


def test_no_class_at_all_matches_nothing():
    assert match_classes([], ['cat', 'dog']) == []
