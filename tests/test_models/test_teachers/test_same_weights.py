"""A teacher is identified by its weights, in any file; NaN weights are refused."""

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from mmlgd.errors import TeacherError
from mmlgd.models.banks import TextualSemanticsBank
from mmlgd.registry import MODELS
from mmlgd.utils.identity import same_identity
from tests.helpers import tiny_clip_config_path, tiny_teacher


@pytest.fixture(scope='module')
def half_weights():
    """A state dict as OpenAI publishes one: matrices in half precision."""
    open_clip.add_model_config(tiny_clip_config_path())
    torch.manual_seed(0)
    state = open_clip.create_model('rn_tiny').state_dict()
    return {k: v.half() if v.dim() > 1 else v for k, v in state.items()}


def test_the_kind_of_file_and_its_precision_do_not_count(half_weights, tmp_path):
    full = {key: value.float() if value.is_floating_point() else value
            for key, value in half_weights.items()}  # fmt: skip
    torch.save(half_weights, tmp_path / 'half.pt')
    torch.save({'state_dict': full, 'epoch': 1}, tmp_path / 'full.pth')
    save_file(full, tmp_path / 'full.safetensors')
    names = ('half.pt', 'full.pth', 'full.safetensors')
    first, *others = [tiny_teacher(str(tmp_path / name)) for name in names]
    for other in others:
        assert same_identity(first.identity, other.identity)
        assert same_identity(first.text_identity, other.text_identity)
    changed = dict(full)
    changed['visual.conv1.weight'] = full['visual.conv1.weight'] * (1 + 1e-6)
    torch.save(changed, tmp_path / 'changed.pt')
    changed = tiny_teacher(str(tmp_path / 'changed.pt'))
    assert not same_identity(first.identity, changed.identity)
    assert same_identity(first.text_identity, changed.text_identity)


def test_a_bank_belongs_to_the_weights_and_to_the_activation(half_weights, tmp_path):
    torch.save(half_weights, tmp_path / 'a.pt')
    torch.save(half_weights, tmp_path / 'b.pt')
    bank = TextualSemanticsBank(['cat', 'dog'], 32, ['a {}.'])
    first = tiny_teacher(str(tmp_path / 'a.pt'))
    bank.build(first)
    bank.save(tmp_path / 'bank.pth', first)
    bank.load(tmp_path / 'bank.pth', tiny_teacher(str(tmp_path / 'b.pt')))
    quick = tiny_teacher(str(tmp_path / 'b.pt'), force_quick_gelu=True)
    with pytest.raises(RuntimeError, match='force_quick_gelu=False'):
        bank.load(tmp_path / 'bank.pth', quick)


@pytest.mark.parametrize('key', ['visual.conv1.weight', 'text_projection'])
@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(half_weights, tmp_path, key, value):
    weights = dict(half_weights)
    weights[key] = weights[key].clone()
    weights[key].view(-1)[3] = value
    torch.save(weights, tmp_path / 'broken.pt')
    with pytest.raises(TeacherError, match=rf'{key}.*broken\.pt.* 1 of .*again'):
        tiny_teacher(str(tmp_path / 'broken.pt'))


def test_a_broken_backbone_of_mmpretrain_is_refused(tmp_path):
    backbone = dict(
        type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4
    )
    weights = MODELS.build(backbone).state_dict()
    weights['layer1.0.bn1.running_var'][0] = torch.nan
    state = {f'backbone.{key}': value for key, value in weights.items()}
    torch.save(dict(state_dict=state), tmp_path / 'r18.pth')
    with pytest.raises(TeacherError, match=r'bn1\.running_var.*r18\.pth.* 1 of 4'):
        MODELS.build(
            dict(
                type='MMPretrainTeacher',
                backbone=backbone,
                neck=dict(type='mmpretrain.GlobalAveragePooling'),
                checkpoint=str(tmp_path / 'r18.pth'),
                image_size=32,
            )
        )
