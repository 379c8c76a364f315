import pytest

from mmlgd.utils.identity import explain_difference, identity_key, same_identity

TAG = 'open_clip/RN50-quickgelu/openai#eccd601a'


@pytest.mark.parametrize(
    'other',
    [
        TAG,
        'open_clip/RN50-quickgelu/RN50.pt#eccd601a',
        'open_clip/RN50-quickgelu/my#file.pt#eccd601a',
        # A later version may write more digits of the same fingerprint.
        'open_clip/RN50-quickgelu/openai#eccd601a00112233',
    ],
)
def test_the_same_weights_under_another_name(other):
    assert same_identity(TAG, other) and same_identity(other, TAG)


@pytest.mark.parametrize(
    'other',
    [
        'open_clip/RN50-quickgelu/openai#eccd601b',
        # The same weights with another activation give other embeddings.
        'open_clip/RN50/RN50.pt#eccd601a',
        # Too short to be told from others by chance.
        'open_clip/RN50-quickgelu/openai#eccd',
        'open_clip/RN50-quickgelu/openai',
        '',
        None,
        8,
    ],
)
def test_another_teacher(other):
    assert not same_identity(TAG, other) and not same_identity(other, TAG)


def test_a_teacher_without_text_is_like_itself_only():
    assert same_identity('', '')
    assert not same_identity('', 'open_clip/RN50/text#0123456789abcdef')


def test_the_key_of_a_cache_leaves_the_name_out():
    assert identity_key('open_clip/RN50/a.pt#eccd601a') == identity_key('b#eccd601a')
    assert identity_key(TAG) != identity_key('open_clip/RN50/RN50.pt#eccd601a')


def test_the_activation_is_named_where_it_is_the_difference():
    plain = 'open_clip/RN50/RN50.pt#eccd601a'
    assert 'force_quick_gelu=True' in explain_difference(TAG, plain)
    assert 'force_quick_gelu=False' in explain_difference(plain, TAG)
    assert explain_difference('net#00000000', TAG) == ''
