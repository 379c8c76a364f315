import copy

import pytest
import torch
from torch import nn

from mmlgd.errors import CheckpointError
from mmlgd.utils.checkpoint import check_complete, load_exactly, read_checkpoint


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_converted(tmp_path, dtype):
    state = {'w': torch.tensor([0.5, 3.0], dtype=dtype), 'n': torch.tensor(7)}
    torch.save(dict(state_dict=state), tmp_path / 'half.pth')
    found = read_checkpoint(tmp_path / 'half.pth')['state_dict']
    assert found['w'].dtype == torch.float32 and found['w'].tolist() == [0.5, 3]
    assert found['n'].dtype == torch.int64


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_named(value):
    layer = nn.Linear(2, 1)
    state = {f'head.{key}': item.clone() for key, item in layer.state_dict().items()}
    state['head.bias'][0] = value
    with pytest.raises(
        CheckpointError, match=r'1 of the 1 values of `head.bias` in f.pth'
    ):
        load_exactly(layer, state, 'head.', 'f.pth')


@pytest.mark.parametrize(
    'contents',
    [
        3,
        'text',
        None,
        [torch.ones(1)],
        dict(state_dict=[1]),
        dict(state_dict={1: torch.ones(1)}),
        dict(state_dict={}, meta='x'),
        dict(state_dict=dict(w=torch.ones(2).to_sparse())),
        dict(state_dict=dict(w=torch.empty(2, device='meta'))),
        dict(state_dict=dict(w=torch.ones(1).expand(10**13))),
        dict(state_dict=dict(w=torch.ones(1, dtype=torch.half).expand(10**13))),
    ],
)
def test_non_checkpoints_are_refused(tmp_path, contents):
    torch.save(contents, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='x.pth'):
        read_checkpoint(tmp_path / 'x.pth')


def test_complete_and_partial_checkpoints_are_distinguished():
    model = nn.ModuleDict(dict(backbone=nn.Linear(2, 2), head=nn.BatchNorm1d(2)))
    state = copy.copy(model.state_dict())
    check_complete(model, dict(state_dict=state), 'whole.pth')
    check_complete(model, {f'module.{key}': item for key, item in state.items()}, 'ddp')
    del state['head.num_batches_tracked']
    check_complete(model, dict(state_dict=state), 'old.pth')
    del state['head.bias']
    with pytest.raises(
        CheckpointError, match='x.pth has 5 of the 6 .*missing: head.bias'
    ):
        check_complete(model, dict(state_dict=state), 'x.pth')
    part = {key: value for key, value in state.items() if key.startswith('backbone')}
    with pytest.raises(
        CheckpointError, match='an exported backbone, without projector'
    ):
        check_complete(model, dict(state_dict=part), 'backbone.pth')


class Renames(nn.Linear):
    """Reads `old` as its bias and any weight as one of its own size, as ViTs do."""

    def _load_from_state_dict(self, state_dict, prefix, *args):
        if prefix + 'old' in state_dict:
            state_dict[prefix + 'bias'] = state_dict.pop(prefix + 'old')
        key = prefix + 'weight'
        state_dict[key] = state_dict[key][:2, :2]
        super()._load_from_state_dict(state_dict, prefix, *args)


def test_a_checkpoint_of_other_shapes_is_refused_unless_the_model_converts_it():
    model = nn.ModuleDict(dict(head=nn.Linear(2, 10)))
    state = {'head.weight': torch.zeros(1000, 2), 'head.bias': torch.zeros(1000)}
    with pytest.raises(
        CheckpointError, match=r'x.pth does not match.* head.weight.*1000'
    ):
        check_complete(model, dict(state_dict=state), 'x.pth')
    older = {'head.weight': torch.ones(3, 3), 'head.old': torch.ones(2)}
    check_complete(nn.ModuleDict(dict(head=Renames(2, 2))), older, 'older.pth')
    assert list(older) == ['head.weight', 'head.old']
