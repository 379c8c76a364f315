import json
import logging
import subprocess
import sys

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.teachers import OpenCLIPTeacher
from mmlgd.models.teachers.weight_files import first_lines
from mmlgd.registry import MODELS
from tests.helpers import (
    TINY_CLIP,
    tiny_clip_config_path,
    tiny_teacher,
    tiny_teacher_cfg,
)

TEXTS = ['a photo of a cat.', 'a blurry photo of the bag.', 'sneaker']


def build_reference(**kwargs):
    """open_clip's own tiny model, with BatchNorm statistics that matter."""
    open_clip.add_model_config(tiny_clip_config_path())
    torch.manual_seed(0)
    model = open_clip.create_model(TINY_CLIP, **kwargs)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.5)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope='module')
def reference():
    return build_reference()


@pytest.fixture(scope='module')
def quick_reference(reference):
    """The same weights under QuickGELU."""
    model = build_reference(force_quick_gelu=True)
    model.load_state_dict(reference.state_dict())
    return model


def encode(model, images, texts):
    """Normalised embeddings by open_clip itself."""
    tokens = open_clip.get_tokenizer(TINY_CLIP)(texts)
    return (
        model.encode_image(images, normalize=True),
        model.encode_text(tokens, normalize=True),
    )


def assert_equals(teacher, model):
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    image_rows, text_rows = encode(model, images, TEXTS)
    torch.testing.assert_close(
        teacher.encode_image(images), image_rows, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(teacher.encode_text(TEXTS), text_rows, atol=1e-6, rtol=0)


def as_torchscript(state_dict, file):
    """Writes what OpenAI publishes: an archive of modules, weights in half."""
    root = nn.Module()
    for key, value in state_dict.items():
        *parents, name = key.split('.')
        module = root
        for parent in parents:
            if parent not in module._modules:
                module.add_module(parent, nn.Module())
            module = module._modules[parent]
        half = value.half() if value.dim() > 1 else value
        module.register_buffer(name, half.clone())
    for name, value in dict(
        input_resolution=64, context_length=77, vocab_size=9
    ).items():
        root.register_buffer(name, torch.tensor(value))
    torch.jit.script(root).save(str(file))


@pytest.mark.parametrize('wrap', ['plain', 'state_dict', 'module', 'safetensors'])
def test_weight_files_give_open_clips_embeddings(reference, tmp_path, wrap):
    state_dict = reference.state_dict()
    file = tmp_path / ('weights.safetensors' if wrap == 'safetensors' else 'weights.pt')
    if wrap == 'safetensors':
        save_file(state_dict, file)
    elif wrap == 'module':
        state_dict = {f'module.{key}': value for key, value in state_dict.items()}
        torch.save({'epoch': 3, 'state_dict': state_dict}, file)
    else:
        torch.save(state_dict if wrap == 'plain' else {wrap: state_dict}, file)

    teacher = tiny_teacher(str(file))

    assert_equals(teacher, reference)
    assert teacher.identity.startswith(f'open_clip/rn_tiny/{file.name}#')


def test_torchscript_archive_brings_quick_gelu(quick_reference, tmp_path):
    as_torchscript(quick_reference.state_dict(), tmp_path / 'RN.pt')
    for parameter in quick_reference.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.half().float()

    teacher = tiny_teacher(str(tmp_path / 'RN.pt'))

    assert_equals(teacher, quick_reference)
    assert teacher.text_identity.startswith('open_clip/rn_tiny-quickgelu/text#')
    assert all(p.dtype == torch.float32 for p in teacher.parameters())


def test_quick_gelu_changes_text_and_not_the_resnet(reference, tmp_path):
    torch.save(reference.state_dict(), tmp_path / 'w.pt')
    quick_model = build_reference(force_quick_gelu=True)
    quick_model.load_state_dict(reference.state_dict())

    quick = tiny_teacher(str(tmp_path / 'w.pt'), force_quick_gelu=True)
    plain = tiny_teacher(str(tmp_path / 'w.pt'), force_quick_gelu=False)

    assert_equals(quick, quick_model)
    assert_equals(plain, reference)
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(quick.encode_image(images), plain.encode_image(images))
    assert (quick.encode_text(TEXTS) - plain.encode_text(TEXTS)).abs().max() > 1e-4
    assert quick.text_identity != plain.text_identity


def test_many_texts_are_encoded_in_batches(reference, tmp_path):
    torch.save(reference.state_dict(), tmp_path / 'w.pt')
    teacher = tiny_teacher(str(tmp_path / 'w.pt'))
    teacher.text.batch_size = 2
    texts = [*TEXTS, 'coat', 'shirt']

    rows = teacher.encode_text(texts)

    expected = encode(reference, torch.zeros(1, 3, 64, 64), texts)[1]
    torch.testing.assert_close(rows, expected, atol=1e-6, rtol=0)


def test_custom_text_model_and_local_dir(tmp_path):
    config = json.loads(open(tiny_clip_config_path()).read())
    config |= dict(custom_text=True)
    preprocess = dict(mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.1])
    (tmp_path / 'open_clip_config.json').write_text(
        json.dumps(dict(model_cfg=config, preprocess_cfg=preprocess))
    )
    model = open_clip.create_model(TINY_CLIP, force_custom_text=True).eval()
    torch.save(model.state_dict(), tmp_path / 'open_clip_pytorch_model.bin')

    teacher = OpenCLIPTeacher(f'local-dir:{tmp_path}')

    assert_equals(teacher, model)
    assert teacher.image_mean == pytest.approx([127.5, 102.0, 76.5])
    assert teacher.image_std == pytest.approx([51.0, 51.0, 25.5])
    teacher.release_text_tower()
    own = sum(p.numel() for p in teacher.parameters())
    assert own == sum(p.numel() for p in model.visual.parameters())


def test_attributes_come_from_the_model():
    teacher = MODELS.build(tiny_teacher_cfg())

    assert (teacher.embed_dims, teacher.image_size) == (32, 64)
    # CLIP's published constants times 255, RGB.
    mean, std = [122.7709383, 116.7460125, 104.0937361], [68.5005, 66.6322, 70.3232]
    assert teacher.image_mean == pytest.approx(mean)
    assert teacher.image_std == pytest.approx(std, abs=1e-4)


def test_image_size_is_overridden_and_checked():
    teacher = tiny_teacher(image_size=96)

    assert teacher.image_size == 96
    assert teacher.encode_image(torch.rand(1, 3, 96, 96)).shape == (1, 32)
    with pytest.raises(TeacherError, match='96x96 pixels, but got .*64.*image_size'):
        teacher.encode_image(torch.rand(1, 3, 64, 64))


def test_random_weights_are_announced(monkeypatch):
    said = []
    place = 'mmlgd.models.teachers.open_clip_source.print_log'
    monkeypatch.setattr(place, lambda message, **kwargs: said.append(message))

    teacher = tiny_teacher()

    assert '/random#' in teacher.identity
    assert len(said) == 1 and 'rn_tiny has random weights' in said[0]


def test_weights_of_another_architecture(tmp_path):
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / 'linear.pt')

    with pytest.raises(TeacherError) as error:
        tiny_teacher(str(tmp_path / 'linear.pt'))

    message = str(error.value)
    assert 'rn_tiny' in message and 'linear.pt' in message
    assert 'Missing key' in message and 'Unexpected key' in message
    assert 'another architecture' in message and len(message) < 3000


def test_weights_of_another_width(reference, tmp_path):
    state_dict = reference.state_dict()
    state_dict['text_projection'] = torch.zeros(32, 48)
    torch.save(state_dict, tmp_path / 'wide.pt')

    with pytest.raises(TeacherError, match=r'(?s)text_projection.*\[32, 48\]'):
        tiny_teacher(str(tmp_path / 'wide.pt'))


@pytest.mark.parametrize('name', ['cut.pt', 'cut.safetensors'])
def test_truncated_weights(reference, tmp_path, name):
    file = tmp_path / name
    save = save_file if name.endswith('safetensors') else torch.save
    save(reference.state_dict(), file)
    file.write_bytes(file.read_bytes()[:100_000])

    with pytest.raises(TeacherError, match=rf'(?s){name}.*again'):
        tiny_teacher(str(file))


def test_missing_weights_unknown_model_and_tag():
    with pytest.raises(TeacherError, match='absent.pt.*does not exist'):
        tiny_teacher('somewhere/absent.pt')
    with pytest.raises(ConfigError, match="no model 'RN-50'.*RN50.*model_config"):
        OpenCLIPTeacher('RN-50')
    with pytest.raises(ConfigError, match=r"'openia' is neither.*openai, yfcc15m"):
        OpenCLIPTeacher('RN50', 'openia')
    with pytest.raises(ConfigError, match='would be ignored'):
        OpenCLIPTeacher('hf-hub:org/name', 'openai')


def test_a_tag_that_cannot_be_downloaded_says_how_to_fix_it(monkeypatch, capfd):
    def fail(*args, **kwargs):
        logging.error('as open_clip does')
        raise RuntimeError('Failed to download weights: no network')

    # Without handlers, as in a program; pytest has some.
    monkeypatch.setattr(logging.root, 'handlers', [])
    monkeypatch.setattr('open_clip.factory.download_pretrained', fail)
    with pytest.raises(
        TeacherError,
        match='(?s)no network.*HF_HUB_OFFLINE=1.*mmlgd distill --teacher RN50/FILE',
    ):
        OpenCLIPTeacher('RN50', 'openai')
    # Said once, by the error.
    assert 'as open_clip does' not in capfd.readouterr().err
    assert not logging.root.handlers


def test_the_reason_of_a_failure_is_shortened_visibly():
    reason = 'Cannot find the file. ' * 20  # 440 characters
    assert first_lines(RuntimeError(reason)) == reason.strip()
    assert first_lines(RuntimeError(2 * reason)).endswith('...')


def test_bad_model_configs(tmp_path):
    broken, partial, own = (
        tmp_path / name for name in ('a.json', 'b.json', 'RN50.json')
    )
    broken.write_text('{')
    partial.write_text('{"embed_dim": 3}')
    own.write_text(open(tiny_clip_config_path()).read())

    with pytest.raises(ConfigError, match='does not exist'):
        OpenCLIPTeacher('c', model_config=str(tmp_path / 'c.json'))
    with pytest.raises(ConfigError, match='not JSON'):
        OpenCLIPTeacher('a', model_config=str(broken))
    with pytest.raises(ConfigError, match='lacks one of embed_dim'):
        OpenCLIPTeacher('b', model_config=str(partial))
    with pytest.raises(ConfigError, match="'rn_tiny'.*Name the file other.json"):
        OpenCLIPTeacher('other', model_config=tiny_clip_config_path())
    with pytest.raises(ConfigError, match="would replace open_clip's own 'RN50'"):
        OpenCLIPTeacher('RN50', model_config=str(own))


@pytest.mark.slow
def test_import_of_the_models_is_light():
    code = 'import sys, mmlgd.models; print("open_clip" in sys.modules)'

    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)

    assert run.stdout.strip().endswith('False'), run.stderr
