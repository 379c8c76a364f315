"""Class lists of any kind: a correct mapping, or an mmlgd error."""

from hypothesis import given
from hypothesis import strategies as st

from mmlgd.errors import MMLGDError
from mmlgd.evaluation import match_classes

# Names that are alike, numbers and anything else.
words = st.sampled_from(['a', 'A', 'a b', 'a_b', 'A-b', '0', '1', '01', '10', 'é', 'é'])
lists = st.lists(words | st.text(max_size=5), min_size=1, max_size=12)


@given(classes=lists, names=lists)
def test_any_lists_are_matched_or_refused(classes, names):
    try:
        found = match_classes(classes, names)
    except MMLGDError:
        return
    assert len(found) == len(classes)
    assert len({*found}) == len(found)
    assert all(0 <= index < len(names) for index in found)


@given(
    names=st.lists(st.text(min_size=1), min_size=1, max_size=12, unique=True),
    data=st.data(),
)
def test_any_part_of_the_names_in_any_order_is_matched_by_name(names, data):
    order = data.draw(st.permutations(range(len(names))))
    part = order[: data.draw(st.integers(1, len(names)))]
    assert match_classes([names[index] for index in part], names) == list(part)
