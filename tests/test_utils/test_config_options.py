"""The grammar of --cfg-options, case by case."""

import argparse

import pytest

from mmlgd.errors import ConfigError
from mmlgd.utils.config_options import ConfigOptions, parse_options, parse_value


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        # Blanks inside an element stay; those around it do not.
        ('[a photo of a {}.,the {}]', ['a photo of a {}.', 'the {}']),
        ('[ traffic light , stop sign ]', ['traffic light', 'stop sign']),
        ('/my pictures/2024 05', '/my pictures/2024 05'),
        ('traffic light, stop sign', ['traffic light', 'stop sign']),
        # Quotes make a text of anything, and one level of them goes.
        ('"1"', '1'),
        ("'None'", 'None'),
        ('\'"a"\'', '"a"'),
        ("['red, green', b]", ['red, green', 'b']),
        ("[dog's, cat]", ["dog's", 'cat']),
        ('[""]', ['']),
        ('" a "', ' a '),
        # As mmengine reads them.
        ('"[a, b]"', ['a', 'b']),
        ('a,b', ['a', 'b']),
        ('1,2.5,true,None', [1, 2.5, True, None]),
        ('[(1,2),[a,b],c]', [(1, 2), ['a', 'b'], 'c']),
        ('(4)', (4,)),
        ('[]', []),
        ('()', ()),
        ('[a,]', ['a']),
        ('', ''),
        ('1e-3', 0.001),
        ('FALSE', False),
        # Not evaluated, and no escapes.
        ('__import__', '__import__'),
        (r'C:\new\table', r'C:\new\table'),
        ('https://x.org/a?b=c&d=e', 'https://x.org/a?b=c&d=e'),
        ('Stra\u00dfe \u4f60', 'Stra\u00dfe \u4f60'),
        ('bow (weapon)', 'bow (weapon)'),
        ('[bow (long, old), crane]', ['bow (long, old)', 'crane']),
        ('dict(type=SGD, lr=0.1, betas=(0.9, 1))', dict(type='SGD', lr=0.1, betas=(0.9, 1))),
        ('[dict(a=dict(b="x, y")), 2]', [dict(a=dict(b='x, y')), 2]),
    ],
)  # fmt: skip
def test_values(text, value):
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ('word', 'what'),
    [
        ('k=[a, b', "']' is missing"),
        ('k=a]', "']' closes no bracket"),
        ('k=[(a])', "']' closes no bracket"),
        ('k="a', 'the quote " is not closed'),
        ('k=dict(b=1, b=2)', "'b' twice"),
        ('k=dict(1)', "accepts name=value, not '1'"),
        ('light', "'light' is not of the form key=value"),
        ('=3', 'empty part'),
        ('a..b=3', 'empty part'),
    ],
)
def test_invalid_values_are_refused_with_the_reason(word, what):
    with pytest.raises(ConfigError, match='--cfg-options') as error:
        parse_options([word])
    assert what in str(error.value)


def test_the_option_collects_over_repeats_and_the_last_wins():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, default={})
    words = ['--cfg-options', 'a.b=1', 'c=x=y', '--cfg-options', 'a.b=2', 'd.0.e=[]']
    assert parser.parse_args(words).cfg_options == {
        'a.b': 2,
        'c': 'x=y',
        'd.0.e': [],
    }
    assert parser.parse_args([]).cfg_options == {}


@pytest.mark.parametrize('value', ['(', ')', '[', 'a, b', '(0', ']x'])
def test_quoted_brackets_inside_a_dict_are_text(value):
    assert parse_value(f'dict(key="{value}")') == dict(key=value)
    assert parse_value(f'[dict(key="{value}"), 1]') == [dict(key=value), 1]
