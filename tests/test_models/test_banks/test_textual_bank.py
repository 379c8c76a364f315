import open_clip
import pytest
import torch

from mmlgd.errors import BankError, ConfigError
from mmlgd.models.banks import TextualSemanticsBank
from tests.helpers import tiny_teacher
from tests.toys import NAMES, D, ToyTeacher


def toy_bank(names=NAMES, templates=('a {}.', 'the {}.'), embed_dims=D):
    return TextualSemanticsBank(names, embed_dims, list(templates))


def test_equals_open_clips_zero_shot_classifier():
    torch.manual_seed(0)
    teacher = tiny_teacher()
    names, templates = (
        ['tench', 'great white shark', 'hen'],
        ['a photo of a {}.', 'art of the {}.'],
    )
    bank = TextualSemanticsBank(names, teacher.embed_dims, templates)
    bank.build(teacher)

    torch.manual_seed(0)
    model = open_clip.create_model('rn_tiny', pretrained=None).eval()
    expected = open_clip.build_zero_shot_classifier(
        model,
        open_clip.get_tokenizer('rn_tiny'),
        names,
        templates,
        num_classes_per_batch=None,
    )
    torch.testing.assert_close(bank.embeddings, expected.T, atol=1e-6, rtol=0)
    assert torch.allclose(bank.embeddings.norm(dim=1), torch.ones(3), atol=1e-6)


def test_file_round_trip(tmp_path):
    teacher, bank = ToyTeacher(), toy_bank()
    with pytest.raises(BankError, match='build it before'):
        bank.save(tmp_path / 'bank.pth', teacher)
    bank.build(teacher)
    bank.save(tmp_path / 'bank.pth', teacher)
    again = toy_bank()
    again.load(tmp_path / 'bank.pth')
    assert again.built and torch.equal(again.embeddings, bank.embeddings)


@pytest.mark.parametrize(
    'other, message',
    [
        (dict(names=NAMES[:3]), '4 category names, the config 3'),
        (dict(names=['cat', 'dog', 'wolf', 'fish']), "number 2: 'bird' there, 'wolf'"),
        (dict(templates=['an {}.']), 'other templates'),
        (dict(embed_dims=D + 1), f'width {D}'),
    ],
)
def test_file_of_another_bank_is_refused(tmp_path, other, message):
    bank = toy_bank()
    bank.build(ToyTeacher())
    bank.save(tmp_path / 'bank.pth', ToyTeacher())
    with pytest.raises(BankError, match=message):
        toy_bank(**other).load(tmp_path / 'bank.pth')


def test_file_of_another_encoder_is_refused(tmp_path):
    bank = toy_bank()
    bank.build(ToyTeacher())
    bank.save(tmp_path / 'bank.pth', ToyTeacher())
    other = ToyTeacher()
    other.text.scale.data.fill_(2)
    with pytest.raises(BankError, match='was built with toy_text'):
        toy_bank().load(tmp_path / 'bank.pth', other)
    # Without its text tower a teacher cannot be compared: the file is trusted.
    other = ToyTeacher()
    other.release_text_tower()
    toy_bank().load(tmp_path / 'bank.pth', other)


def test_missing_and_truncated_files_are_refused(tmp_path):
    with pytest.raises(BankError, match='There is no bank file'):
        toy_bank().load(tmp_path / 'none.pth')
    bank = toy_bank()
    bank.build(ToyTeacher())
    bank.save(tmp_path / 'bank.pth', ToyTeacher())
    whole = (tmp_path / 'bank.pth').read_bytes()
    (tmp_path / 'bank.pth').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BankError, match='not a complete bank file'):
        toy_bank().load(tmp_path / 'bank.pth')
    (tmp_path / 'bank.pth').write_text('<html>404</html>')
    with pytest.raises(BankError, match='not a complete bank file'):
        toy_bank().load(tmp_path / 'bank.pth')


def test_width_of_the_text_tower_must_fit():
    with pytest.raises(BankError, match='text tower that belongs'):
        toy_bank(embed_dims=D + 1).build(ToyTeacher())


def test_cache_is_used_and_keyed(tmp_path):
    teacher = ToyTeacher()
    toy_bank().build(teacher, tmp_path)
    calls = []
    encode = teacher.encode_text
    teacher.encode_text = lambda texts: calls.append(1) or encode(texts)
    cached = toy_bank()
    cached.build(teacher, tmp_path)
    assert cached.built and not calls
    toy_bank(templates=['an {}.']).build(teacher, tmp_path)
    assert len(calls) == 1
    assert len(list(tmp_path.glob('text_bank_*.pth'))) == 2


def test_broken_cache_file_is_rebuilt(tmp_path):
    bank = toy_bank()
    bank.build(ToyTeacher(), tmp_path)
    (file,) = tmp_path.glob('*.pth')
    file.write_bytes(b'half')
    again = toy_bank()
    again.build(ToyTeacher(), tmp_path)
    assert torch.equal(again.embeddings, bank.embeddings)
    torch.load(file, weights_only=True)


def test_unwritable_cache_does_not_stop_the_build(tmp_path):
    (tmp_path / 'file').write_text('')
    bank = toy_bank()
    bank.build(ToyTeacher(), tmp_path / 'file')
    assert bank.built


def test_state_of_other_names_is_refused():
    bank = toy_bank()
    bank.build(ToyTeacher())
    same = toy_bank()
    same.load_state_dict(bank.state_dict())
    assert same.built and torch.equal(same.embeddings, bank.embeddings)
    with pytest.raises(BankError, match="'fish' there, 'shark' in the config"):
        toy_bank(names=['cat', 'dog', 'bird', 'shark']).load_state_dict(
            bank.state_dict()
        )


def test_state_of_other_templates_is_refused():
    bank = toy_bank()
    bank.build(ToyTeacher())
    with pytest.raises(
        BankError, match=r'loaded state .* other templates \(2\) .* \(1\).*zero_'
    ):
        toy_bank(templates=['an {}.']).load_state_dict(bank.state_dict())


def test_state_without_templates_is_accepted():
    bank = toy_bank()
    bank.build(ToyTeacher())
    state = bank.state_dict()
    del state['encoded_templates']
    again = toy_bank()
    again.load_state_dict(state, strict=True)
    assert again.built and torch.equal(again.embeddings, bank.embeddings)


def test_state_that_was_saved_before_it_was_built_is_built():
    bank = toy_bank()
    bank.load_state_dict(toy_bank().state_dict())
    assert not bank.built


def test_colliding_names_are_refused():
    with pytest.raises(ConfigError, match='missile'):
        toy_bank(names=['missile', 'cat', 'missile'])
