"""Tokenizers: open_clip's own, and those that a hub or a local folder has."""

import json
import sys
import types

import open_clip
import pytest
import torch
import torch.nn.functional as F

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.teachers import OpenCLIPTeacher
from tests.helpers import tiny_teacher

WORDS = ['<pad>', '<eos>', '<unk>', 'a', 'photo', 'of', 'cat', 'dog', 'the']
CONTEXT = 6


@pytest.fixture
def siglip_like(tmp_path):
    """An open_clip JSON whose tokenizer a hub has, as SigLIP's."""
    config = dict(
        embed_dim=16,
        init_logit_bias=-10,
        custom_text=True,
        vision_cfg=dict(image_size=32, width=16, layers=1, patch_size=16, head_width=8),
        text_cfg=dict(
            context_length=CONTEXT,
            vocab_size=len(WORDS),
            hf_tokenizer_name='nobody/tokenizer-of-a-hub',
            tokenizer_kwargs=dict(clean='canonicalize'),
            width=16,
            heads=2,
            layers=1,
            no_causal_mask=True,
            pool_type='last',
        ),
    )
    file = tmp_path / 'siglip_like.json'
    file.write_text(json.dumps(config))
    return str(file)


@pytest.fixture
def folder(tmp_path):
    """A tokenizer of words, in the files of Hugging Face's tokenizers."""
    folder = tmp_path / 'tokenizer'
    folder.mkdir()
    special = [
        dict(
            id=index,
            content=word,
            single_word=False,
            lstrip=False,
            rstrip=False,
            normalized=False,
            special=True,
        )
        for index, word in enumerate(WORDS[:3])
    ]
    single = [dict(Sequence=dict(id='A', type_id=0))]
    end = [dict(SpecialToken=dict(id='<eos>', type_id=0))]
    tokenizer = dict(
        version='1.0',
        truncation=None,
        padding=None,
        added_tokens=special,
        normalizer=None,
        pre_tokenizer=dict(type='Whitespace'),
        post_processor=dict(
            type='TemplateProcessing',
            single=single + end,
            pair=single + end,
            special_tokens={'<eos>': dict(id='<eos>', ids=[1], tokens=['<eos>'])},
        ),
        decoder=None,
        model=dict(
            type='WordLevel',
            vocab={word: index for index, word in enumerate(WORDS)},
            unk_token='<unk>',
        ),
    )
    (folder / 'tokenizer.json').write_text(json.dumps(tokenizer))
    settings = dict(
        tokenizer_class='PreTrainedTokenizerFast',
        pad_token='<pad>',
        eos_token='<eos>',
        unk_token='<unk>',
    )
    (folder / 'tokenizer_config.json').write_text(json.dumps(settings))
    return folder


class WordTokenizer:
    """What transformers makes of the folder, where it is not installed."""

    def __init__(self, place):
        with open(f'{place}/tokenizer.json') as file:
            self.vocab = json.load(file)['model']['vocab']

    def __len__(self):
        return len(self.vocab)

    def __call__(self, texts, max_length, **kwargs):
        rows = []
        for text in texts:
            ids = [self.vocab.get(word, 2) for word in text.split()][: max_length - 1]
            rows.append([*ids, 1] + [0] * (max_length - len(ids) - 1))
        return types.SimpleNamespace(input_ids=torch.tensor(rows))


@pytest.fixture
def transformers(monkeypatch):
    """A stand-in for the library, which would slow down every import of mmpretrain."""
    module = types.ModuleType('transformers')
    module.AutoTokenizer = types.SimpleNamespace(
        from_pretrained=lambda place, **kwargs: WordTokenizer(place)
    )
    monkeypatch.setitem(sys.modules, 'transformers', module)
    return module


def build(config, **options):
    return OpenCLIPTeacher('siglip_like', model_config=config, **options)


def test_a_local_folder_serves(transformers, siglip_like, folder):
    teacher = build(siglip_like, tokenizer=str(folder))

    tokens = teacher.text.tokenize(['A photo of the CAT!', 'zebra'])

    # Lower case and without punctuation, as the model's config asks for.
    assert tokens.tolist() == [[3, 4, 5, 8, 6, 1], [2, 1, 0, 0, 0, 0]]
    rows = teacher.encode_text(['a cat', 'a dog'])
    expected = teacher.text.model.encode_text(
        torch.tensor([[3, 6, 1, 0, 0, 0], [3, 7, 1, 0, 0, 0]])
    )
    torch.testing.assert_close(rows, F.normalize(expected))
    assert (rows[0] - rows[1]).abs().max() > 1e-4


def test_texts_that_are_cut_are_found(transformers, siglip_like, folder):
    teacher = build(siglip_like, tokenizer=str(folder))

    assert teacher.text.find_truncated(
        ['a photo of the cat', 'a photo of the cat dog']
    ) == [1]


def test_a_tokenizer_with_other_tokens_is_refused(transformers, siglip_like, folder):
    file = folder / 'tokenizer.json'
    tokenizer = json.loads(file.read_text())
    tokenizer['model']['vocab']['zebra'] = 9
    file.write_text(json.dumps(tokenizer))

    teacher = build(siglip_like, tokenizer=str(folder))

    with pytest.raises(TeacherError, match='has 10 tokens, .* embeddings of 9'):
        teacher.encode_text(['a cat'])


def test_a_folder_that_is_none(siglip_like, tmp_path):
    with pytest.raises(TeacherError, match='nobody/tokenizer-of-a-hub.*copy'):
        build(siglip_like, tokenizer=str(tmp_path / 'absent'))
    with pytest.raises(TeacherError, match='tokenizer_config.json'):
        build(siglip_like, tokenizer=str(tmp_path))


def test_a_folder_for_a_model_that_needs_none(folder):
    with pytest.raises(
        ConfigError, match='uses open_clip.s built-in tokenizer.*Omit it'
    ):
        tiny_teacher(tokenizer=str(folder))


def test_without_network_the_error_says_what_to_do(siglip_like, monkeypatch):
    module = types.ModuleType('transformers')

    def fail(*args, **kwargs):
        raise OSError("We couldn't connect to 'https://huggingface.co'")

    module.AutoTokenizer = types.SimpleNamespace(from_pretrained=fail)
    monkeypatch.setitem(sys.modules, 'transformers', module)
    teacher = build(siglip_like)

    with pytest.raises(TeacherError, match="(?s)couldn't connect.*set tokenizer of"):
        teacher.encode_text(['a cat'])


def test_without_transformers_the_error_names_it(siglip_like, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    teacher = build(siglip_like, tokenizer=str(folder))

    with pytest.raises(TeacherError, match='(?s)transformers.*build_text_bank'):
        teacher.encode_text(['a cat'])


def test_images_need_no_tokenizer(siglip_like, monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)

    assert build(siglip_like).encode_image(torch.rand(1, 3, 32, 32)).shape == (1, 16)


def test_the_context_is_the_models():
    # PE-Core reads 32 tokens with open_clip's own tokenizer, CLIP 77.
    lengths = {
        name: open_clip.get_tokenizer(name)(['a cat']).shape[1]
        for name in ('PE-Core-B-16', 'MobileCLIP2-S2', 'EVA02-L-14')
    }

    assert lengths == {'PE-Core-B-16': 32, 'MobileCLIP2-S2': 77, 'EVA02-L-14': 77}
