import copy
import subprocess
import sys

import pytest
import torch
from mmengine.model import BaseModule

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.teachers.base import fingerprint
from tests.helpers import tiny_clip_config_path, tiny_teacher


@pytest.fixture(scope='module')
def teacher():
    return tiny_teacher()


def test_stays_frozen_and_in_eval_mode(teacher):
    assert teacher.train(True) is teacher
    teacher.requires_grad_(True)

    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_running_statistics_do_not_drift(teacher):
    before = fingerprint(teacher.visual.state_dict().items())

    teacher.train().encode_image(torch.rand(4, 3, 64, 64) * 9)

    assert fingerprint(teacher.visual.state_dict().items()) == before


def test_unit_rows_enter_a_gradient_graph_as_constants(teacher):
    rows = teacher.encode_image(torch.rand(3, 3, 64, 64))
    student = torch.rand(3, 32, requires_grad=True)

    (rows * student).sum().backward()

    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(student.grad, rows)
    assert rows.dtype == torch.float32 and not rows.requires_grad


def test_callers_autocast_does_not_reach_in(teacher):
    images = torch.rand(2, 3, 64, 64)
    expected = teacher.encode_image(images), teacher.encode_text(['a cat', 'a dog'])

    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = teacher.encode_image(images), teacher.encode_text(['a cat', 'a dog'])

    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[0].dtype == found[1].dtype == torch.float32


@pytest.mark.parametrize(
    'precision, on_cuda',
    [
        ('auto', torch.float16),
        ('fp16', torch.float16),
        ('bf16', torch.bfloat16),
        ('fp32', None),
    ],
)
def test_half_precision_is_for_cuda_only(precision, on_cuda):
    teacher = tiny_teacher(precision=precision)

    assert teacher.half_dtype('cuda') == on_cuda
    assert teacher.half_dtype('cpu') is None


def test_unknown_precision():
    with pytest.raises(ConfigError, match='fp8.*auto, fp16, bf16, fp32'):
        tiny_teacher(precision='fp8')


def test_deepcopy_shares_the_teacher(teacher):
    assert copy.deepcopy(teacher) is teacher
    assert copy.deepcopy({'model': teacher})['model'] is teacher


def test_init_weights_of_a_parent_leaves_the_weights(teacher):
    parent = BaseModule()
    parent.child = teacher
    before = teacher.identity

    parent.init_weights()

    assert fingerprint(teacher._image_tensors())[:8] == before.split('#')[1]


def test_fingerprint_sees_values_names_and_shapes_but_no_layout():
    tensor = torch.arange(48.0).reshape(2, 3, 2, 4)
    base = fingerprint([('w', tensor)])

    channels_last = tensor.to(memory_format=torch.channels_last)
    changed = tensor.clone()
    changed[0, 0, 0, 0] = 1e-6
    assert fingerprint([('w', channels_last)]) == base
    assert fingerprint([('w', changed)]) != base
    assert fingerprint([('v', tensor)]) != base
    assert fingerprint([('w', tensor.reshape(3, 2, 2, 4))]) != base
    assert fingerprint([('a', tensor[0]), ('b', tensor[1])]) == fingerprint(
        [('b', tensor[1]), ('a', tensor[0])]
    )
    # A scalar, and a dtype that is missing in numpy.
    assert fingerprint([('s', torch.tensor(1.0, dtype=torch.bfloat16))])


@pytest.mark.slow
def test_identity_is_the_same_in_another_process(tmp_path):
    import open_clip

    open_clip.add_model_config(tiny_clip_config_path())
    file = tmp_path / 'weights.pt'
    torch.save(open_clip.create_model('rn_tiny').state_dict(), file)
    code = (
        'from mmlgd.models.teachers import OpenCLIPTeacher as T\n'
        f't = T("rn_tiny", {str(file)!r}, {tiny_clip_config_path()!r})\n'
        'print("IDS", t.identity, t.text_identity)'
    )

    run = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )

    teacher = tiny_teacher(str(file))
    line = next(x for x in run.stdout.splitlines() if x.startswith('IDS'))
    assert line == f'IDS {teacher.identity} {teacher.text_identity}'
    assert teacher.identity.startswith('open_clip/rn_tiny/weights.pt#')
    assert teacher.text_identity.startswith('open_clip/rn_tiny/text#')


def test_identities_distinguish_weights(teacher):
    other = tiny_teacher()

    assert other.identity != teacher.identity
    assert other.text_identity != teacher.text_identity


def test_release_frees_the_text_tower():
    teacher = tiny_teacher()
    image_parameters = sum(p.numel() for p in teacher.visual.parameters())
    images = torch.rand(1, 3, 64, 64)
    rows, text_identity = teacher.encode_image(images), teacher.text_identity
    assert teacher.has_text_tower

    teacher.release_text_tower()
    teacher.release_text_tower()

    assert not teacher.has_text_tower
    assert sum(p.numel() for p in teacher.parameters()) == image_parameters
    assert teacher.text_identity == text_identity
    assert torch.equal(teacher.encode_image(images), rows)
    with pytest.raises(TeacherError, match='no text tower.*load a bank file'):
        teacher.encode_text(['a cat'])


def test_release_takes_the_text_identity_first():
    teacher = tiny_teacher()
    expected = fingerprint(teacher.text.state_dict().items())[:16]

    teacher.release_text_tower()

    assert teacher.text_identity == f'open_clip/rn_tiny/text#{expected}'


@pytest.mark.parametrize('texts', ['a cat', []])
def test_encode_text_wants_a_list(teacher, texts):
    with pytest.raises(ConfigError, match='non-empty list of strings'):
        teacher.encode_text(texts)


def test_a_missing_tokenizer_leaves_the_image_encoder_usable(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'transformers'")

    teacher = tiny_teacher()
    monkeypatch.setattr('open_clip.get_tokenizer', fail)

    assert teacher.encode_image(torch.rand(1, 3, 64, 64)).shape == (1, 32)
    with pytest.raises(TeacherError, match="(?s)'transformers'.*load a bank file"):
        teacher.encode_text(['a cat'])
