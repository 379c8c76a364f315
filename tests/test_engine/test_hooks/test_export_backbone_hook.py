"""One backbone for each checkpoint, written once that is safe."""

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmlgd.engine import atomic_backend
from mmlgd.errors import CheckpointError
from tests.tiny_runner import tiny_runner


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


class OneBackbone(BaseModel):
    """Its weight says which iteration it is of: it grows by 1 in each."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        # The rate of the tiny runner is 0.1.
        return [0] if mode == 'predict' else dict(loss=-10 * self.backbone.weight)


def run(work_dir, iterations, accuracies=None, hook='AtomicCheckpointHook', **options):
    hook = dict(type=hook, by_epoch=False, **options)
    runner = tiny_runner(
        work_dir,
        iterations,
        OneBackbone(),
        accuracies=accuracies,
        default_hooks=dict(checkpoint=hook),
        custom_hooks=[dict(type='ExportBackboneHook')],
    )
    runner.train()
    return runner


def iteration_of(path):
    contents = torch.load(path, weights_only=True)
    assert set(contents['state_dict']) == {'backbone.weight'}
    return round(contents['state_dict']['backbone.weight'].item())


def backbones(folder):
    return {path.name: iteration_of(path) for path in folder.glob('backbone*.pth')}


def test_each_kept_checkpoint_has_its_backbone(tmp_path):
    run(tmp_path, 5, interval=1, max_keep_ckpts=2)
    assert backbones(tmp_path) == {
        'backbone.pth': 5,
        'backbone_iter_4.pth': 4,
        'backbone_iter_5.pth': 5,
    }


def test_best_and_last_do_not_overwrite_each_other(tmp_path):
    run(tmp_path, 5, [1, 3, 2, 2, 2], interval=5, save_best='acc', rule='greater')
    assert backbones(tmp_path) == {
        'backbone.pth': 5,
        'backbone_best_acc_iter_2.pth': 2,
        'backbone_iter_5.pth': 5,
    }


def test_under_the_stock_hook_the_newest_is_there(tmp_path):
    run(tmp_path, 5, hook='CheckpointHook', interval=2)
    assert backbones(tmp_path) == {'backbone.pth': 5}


def test_a_checkpoint_that_cannot_be_saved_exports_nothing(tmp_path, monkeypatch):
    write = atomic_backend.write_atomically

    def fail_at_the_second(path, data):
        if str(path).endswith('iter_2.pth'):
            raise OSError(28, 'No space left on device')
        write(path, data)

    monkeypatch.setattr(atomic_backend, 'write_atomically', fail_at_the_second)
    with pytest.raises(CheckpointError, match='iter_2.pth could not be saved'):
        run(tmp_path, 3, interval=1)
    assert backbones(tmp_path) == {'backbone.pth': 1, 'backbone_iter_1.pth': 1}
