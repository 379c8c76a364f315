import pytest
import torch

from mmlgd.datasets.splits import (
    annotation_lines,
    draw_labelled,
    shuffled_classes,
    take_percent,
    take_shots,
    train_test,
    write_lines,
)
from mmlgd.errors import ConfigError, DataError


def classes_of(*sizes):
    return [[f'{c}/{i:03d}.jpg' for i in range(size)] for c, size in enumerate(sizes)]


def sizes_of(classes):
    return [len(images) for images in classes]


def test_shots_are_equal_different_and_of_their_class():
    classes = classes_of(5, 9, 7)
    chosen = take_shots(classes, 3, seed=0)
    assert sizes_of(chosen) == [3, 3, 3]
    for images, taken in zip(classes, chosen):
        assert len({*taken}) == 3
        assert {*taken} <= {*images}


def test_choice_depends_on_the_seed_and_not_on_the_order_of_the_files():
    classes = classes_of(30, 30)
    backwards = [images[::-1] for images in classes]
    assert take_shots(classes, 8, 4) == take_shots(backwards, 8, 4)
    assert take_shots(classes, 8, 4) != take_shots(classes, 8, 5)


def test_classes_are_shuffled_apart():
    first, second = shuffled_classes(classes_of(30, 30), 0)
    assert [path[2:] for path in first] != [path[2:] for path in second]
    assert shuffled_classes(classes_of(30, 4), 0)[0] == first


def test_larger_choices_contain_smaller_ones():
    classes = classes_of(120, 250, 333)
    for take, less, more in ((take_shots, 2, 9), (take_percent, 1, 10)):
        for few, many in zip(take(classes, less, 3), take(classes, more, 3)):
            assert {*few} < {*many}


def test_percent_by_largest_remainder():
    # 10 % of 15, 27, 19, 20 is 1.5, 2.7, 1.9, 2; of the 81, 8. One is left over after
    # 1 + 2 + 1 + 2 = 6 and again one: they go to remainders .9 and .7.
    chosen = take_percent(classes_of(15, 27, 19, 20), 10, seed=0)
    assert sizes_of(chosen) == [1, 3, 2, 2]


def test_every_class_keeps_an_image():
    # 1 % of 36, 700, 1 and 40 is .36, 7, .01 and .4; of the 777, 7.
    classes = classes_of(36, 700, 1, 40)
    chosen = take_percent(classes, 1, seed=0)
    assert sizes_of(chosen) == [1, 7, 1, 1]
    for few, many in zip(chosen, take_percent(classes, 10, seed=0)):
        assert {*few} <= {*many}


def test_percent_has_simclr_counts_on_imagenet_like_sizes():
    # ImageNet's 1,281,167 images: 895 classes of 1,300, the others smaller.
    sizes = [1300] * 895 + [1122] * 104 + [979]
    sizes[-2] += 1_281_167 - sum(sizes)
    classes = [range(size) for size in sizes]
    assert sum(sizes_of(take_percent(classes, 1, 0))) == 12_811
    assert sum(sizes_of(take_percent(classes, 10, 0))) == 128_116


def test_train_and_test_make_up_the_whole():
    classes = classes_of(8, 12)
    train, test = train_test(classes, 6, seed=1)
    assert sizes_of(train) == [6, 6]
    assert sizes_of(test) == [2, 6]
    for images, first, second in zip(classes, train, test):
        assert not {*first} & {*second}
        assert {*first} | {*second} == {*images}


@pytest.mark.parametrize(
    'choose, error, message',
    [
        (lambda c: take_shots(c, 5, 0), DataError, 'class 1 has 4 images.*5'),
        (lambda c: take_shots(c, 0, 0), ConfigError, 'at least 1'),
        (lambda c: take_shots(c, 1, -1), ConfigError, 'seed'),
        (lambda c: take_percent(c, 100, 0), ConfigError, '1 to 99.*100'),
        (lambda c: take_percent([*c, []], 1, 0), DataError, 'class 2 has no image'),
        (lambda c: train_test(c, 4, 0), DataError, 'class 1.*beyond the 4'),
    ],
)
def test_impossible_choices_are_refused(choose, error, message):
    with pytest.raises(error, match=message):
        choose(classes_of(8, 4))


def test_annotation_lines_are_sorted_within_the_class(tmp_path):
    lines = annotation_lines([['a/2.jpg', 'a/1 b.jpg'], ['c/0.jpg']])
    assert lines == ['a/1 b.jpg 0', 'a/2.jpg 0', 'c/0.jpg 1']
    write_lines(tmp_path / 'meta' / 'train.txt', lines)
    written = (tmp_path / 'meta' / 'train.txt').read_text()
    assert written == 'a/1 b.jpg 0\na/2.jpg 0\nc/0.jpg 1\n'


def test_labels_are_drawn_in_proportion_and_larger_parts_contain_smaller():
    labels = torch.arange(4).repeat(200)
    one, ten, other = (
        set(draw_labelled(labels, percent, seed).tolist())
        for percent, seed in ((1, 0), (10, 0), (10, 1))
    )
    assert labels[sorted(one)].bincount().tolist() == [2, 2, 2, 2]
    assert labels[sorted(ten)].bincount().tolist() == [20, 20, 20, 20]
    assert one < ten
    assert other != ten
    assert torch.equal(draw_labelled(labels, 100, 0), torch.arange(800))


def test_labels_of_small_classes_are_drawn_too():
    labels = torch.tensor([0] * 36 + [1] * 700 + [2])
    chosen = draw_labelled(labels, 1, seed=0)
    assert labels[chosen].bincount().tolist() == [1, 7, 1]
