"""Names with the same tokens, and names that are truncated."""

import pytest
import torch

from mmlgd.errors import BankError, ConfigError
from mmlgd.models.banks import TextualSemanticsBank, name_collisions
from tests.helpers import tiny_teacher
from tests.toys import NAMES, D, ToyTeacher

#: CLIP reads 77 tokens, of which two mark the ends.
LONG = 'cat ' * 80


@pytest.fixture(scope='module')
def teacher():
    return tiny_teacher()


@pytest.fixture
def said(monkeypatch):
    messages = []
    monkeypatch.setattr(
        name_collisions,
        'print_log',
        lambda text, *args, **kwargs: messages.append(text),
    )
    return messages


def bank_of(names, templates=('a photo of a {}.', '{}')):
    return TextualSemanticsBank(names, 32, list(templates))


@pytest.mark.parametrize(
    'first, second, reason',
    [
        ("cat's eye", 'cat\u2019s eye', 'curly quotes'),
        ('\ufb01g tree', 'fig tree', 'width or form'),
        ('\uff23at', 'cat', 'width or form'),
        # UTF-8 that was once decoded as Latin-1.
        ('sch\u00c3\u00b6n', 'sch\u00f6n', 'does not distinguish them'),
        (f'{LONG} dog', f'{LONG} cow', 'after the encoder.s context length'),
    ],
)
def test_two_names_of_the_same_tokens_are_refused(teacher, first, second, reason):
    encoded = []
    spy = teacher.text.register_forward_hook(lambda *args: encoded.append(1))
    with pytest.raises(BankError, match=reason) as error:
        bank_of(['sofa', first.strip(), second.strip()]).build(teacher)
    spy.remove()
    message = str(error.value)
    assert 'index 1' in message and 'index 2' in message and 'index 0' not in message
    # Said before the prompts are encoded, which takes long.
    assert not encoded


def test_names_that_only_one_template_cuts_off_are_told_apart(teacher, said):
    # 74 tokens of the name fit, but not after 'a photo of a'.
    names = ['cat ' * 73 + 'dog', 'cat ' * 73 + 'cow']
    bank = bank_of(names, ['a photo of a {}', '{}'])
    bank.build(teacher)
    assert bank.built
    assert len(said) == 1 and said[0].startswith('2 of 2 names')


def test_one_long_name_is_warned_about(teacher, said):
    bank_of(['cat', 'dog']).build(teacher)
    assert not said
    bank = bank_of(['cat', f'{LONG}dog'])
    bank.build(teacher)
    assert bank.built and len(said) == 1
    assert '1 of 2 names' in said[0] and '(index 1)' in said[0]


@pytest.mark.parametrize('extra, is_cut', [(0, False), (1, True)])
def test_the_context_is_counted_to_the_token(teacher, extra, is_cut):
    # 'cat' is one token; 75 of them and the two ends fill the context.
    text = ' '.join(['cat'] * (75 + extra))
    assert teacher.text.find_truncated(['dog', text]) == ([1] if is_cut else [])


def spoilt(**changes):
    contents = dict(
        embeddings=torch.eye(4, D),
        category_names=list(NAMES),
        templates=['a {}.', 'the {}.'],
        text_identity='toy_text#0123456789abcdef',
    )
    return contents | changes


def toy_bank():
    return TextualSemanticsBank(NAMES, D, ['a {}.', 'the {}.'])


def test_equal_rows_of_a_file_are_refused(tmp_path):
    rows = torch.eye(4, D)
    rows[3] = rows[1]
    torch.save(spoilt(embeddings=rows), tmp_path / 'bank.pth')
    with pytest.raises(BankError, match=r"'dog' \(index 1\) and 'fish' \(index 3\)"):
        toy_bank().load(tmp_path / 'bank.pth')


def test_equal_rows_of_a_checkpoint_are_refused():
    bank = toy_bank()
    bank.build(ToyTeacher())
    state = bank.state_dict()
    state['embeddings'] = state['embeddings'].clone()
    state['embeddings'][2] = state['embeddings'][0]
    with pytest.raises(BankError, match=r"'cat' \(index 0\) and 'bird' \(index 2\)"):
        toy_bank().load_state_dict(state)


def test_rows_are_compared_beyond_one_part(monkeypatch):
    monkeypatch.setattr(name_collisions, '_ROWS_AT_ONCE', 3)
    rows = torch.eye(10)
    rows[8] = rows[1]
    names = [f'n{i}' for i in range(10)]
    with pytest.raises(BankError, match=r"'n1' \(index 1\) and 'n8' \(index 8\)"):
        name_collisions.check_rows(rows, names, 'a test')
    name_collisions.check_rows(torch.eye(10), names, 'a test')
    # Their directions count: older checkpoints may hold rows of any length.
    rows = 3 * torch.eye(10) + 1
    name_collisions.check_rows(rows, names, 'a test')


def test_an_encoder_that_gives_equal_rows_is_refused(monkeypatch):
    # A teacher whose tokens are not known.
    teacher = ToyTeacher()
    monkeypatch.setattr(teacher, 'encode_text', lambda texts: torch.ones(len(texts), D))
    with pytest.raises(BankError, match="'cat' .* 'dog'"):
        toy_bank().build(teacher)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(embeddings=torch.full((4, D), torch.nan)), 'rows of length 1'),
        (dict(embeddings=torch.zeros(4, D)), 'rows of length 1'),
        (dict(embeddings=torch.eye(4, D).double()), 'float64'),
        (dict(embeddings=torch.eye(3, D)), '3 rows for 4 names'),
        (dict(embeddings=torch.ones(1).expand(4, D)), 'not contiguous'),
        (dict(embeddings=[[1.0]]), 'embeddings is list, not Tensor'),
        (dict(category_names='cat'), 'category_names is str, not list'),
        (dict(templates=[1, 2]), 'templates contains values other than strings'),
        (dict(text_identity=None), 'text_identity is NoneType, not str'),
        (dict(state_dict={}), r"unexpected \['state_dict'\]"),
    ],
)
def test_a_malformed_bank_file_is_refused(tmp_path, changes, message):
    torch.save(spoilt(**changes), tmp_path / 'bank.pth')
    with pytest.raises(BankError, match=f'not a complete bank file .*{message}'):
        toy_bank().load(tmp_path / 'bank.pth')


def test_a_bank_file_without_a_field_is_refused(tmp_path):
    contents = spoilt()
    del contents['templates']
    torch.save(contents, tmp_path / 'bank.pth')
    with pytest.raises(BankError, match=r"missing keys \['templates'\]"):
        toy_bank().load(tmp_path / 'bank.pth')


def test_a_bank_file_of_version_0_1_0_is_read(tmp_path):
    torch.save(spoilt(), tmp_path / 'bank.pth')
    bank = toy_bank()
    bank.load(tmp_path / 'bank.pth')
    assert torch.equal(bank.embeddings, torch.eye(4, D))


def test_names_of_a_state_that_cannot_be_read_are_refused():
    bank = toy_bank()
    bank.build(ToyTeacher())
    state = bank.state_dict()
    state['encoded_names'] = torch.rand(7)
    with pytest.raises(BankError, match='cannot be read'):
        toy_bank().load_state_dict(state)


def test_one_name_alone_is_refused():
    with pytest.raises(
        ConfigError, match="'cat' is the only category name.*two or more names"
    ):
        bank_of(['cat'])


def test_prompts_are_encoded_in_batches_to_the_same_rows(teacher, monkeypatch):
    names, templates = (
        [f'{n} {m}' for n in NAMES for m in NAMES],
        ['a {}.', '{}', 'the {}'],
    )
    expected = torch.stack(
        [teacher.encode_text([t.format(n) for t in templates]).mean(0) for n in names]
    )
    expected /= expected.norm(dim=1, keepdim=True)
    sizes = []
    spy = teacher.text.register_forward_pre_hook(
        lambda _, args: sizes.append(len(args[0]))
    )
    bank = bank_of(names, templates)
    bank.build(teacher)
    assert sizes == [48]
    torch.testing.assert_close(bank.embeddings, expected, atol=1e-6, rtol=0)
    # Ten prompts at a time are three names.
    monkeypatch.setattr('mmlgd.models.banks.textual_bank._PROMPTS_AT_ONCE', 10)
    bank.build(teacher)
    spy.remove()
    assert sizes[1:] == [9, 9, 9, 9, 9, 3]
    torch.testing.assert_close(bank.embeddings, expected, atol=1e-6, rtol=0)
