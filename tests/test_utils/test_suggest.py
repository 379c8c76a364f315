"""Suggestions for misspelt names."""

import pytest

from mmlgd.utils.suggest import suggest

_KNOWN = ['model', 'optim_wrapper', 'train_dataloader']


@pytest.mark.parametrize('name', ['optim_wraper', 'Optim-Wrapper', 'optim_wrappers'])
def test_names_the_closest_spelling_as_it_is_known(name):
    assert suggest(name, _KNOWN) == " Did you mean 'optim_wrapper'?"


def test_says_nothing_where_nothing_is_close():
    assert suggest('zzz', _KNOWN) == ''
