import pytest
import torch
from mmcv.ops import RoIAlign
from mmengine.model import BaseModel
from torch import nn

from mmlgd.errors import ConfigError
from tests.tiny_runner import tiny_runner


class Convolution(BaseModel):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        images = torch.arange(3 * 8 * 8.0).reshape(1, 3, 8, 8) / 192
        features = self.conv(images)
        self.format_kept = features.is_contiguous(memory_format=torch.channels_last)
        return dict(loss=features.square().mean()) if mode == 'loss' else [0]


def train(work_dir, hooks):
    torch.manual_seed(0)
    runner = tiny_runner(work_dir, 2, Convolution(), custom_hooks=hooks)
    runner.train()
    return runner.model


def test_weights_are_channels_last_and_train_alike(tmp_path):
    model = train(tmp_path / 'fast', [dict(type='ChannelsLastHook')])
    assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.format_kept
    plain = train(tmp_path / 'plain', [])
    assert not plain.format_kept
    torch.testing.assert_close(model.state_dict(), plain.state_dict())


def test_a_run_that_only_validates(tmp_path):
    runner = tiny_runner(
        tmp_path,
        model=Convolution(),
        accuracies=[1.0],
        custom_hooks=[dict(type='ChannelsLastHook')],
    )
    runner.val()
    assert runner.model.format_kept


def test_operators_that_would_misread_the_format_are_named(tmp_path):
    model = Convolution()
    model.pooling = nn.Sequential(RoIAlign(3))
    hooks = [dict(type='ChannelsLastHook')]
    runner = tiny_runner(tmp_path, 2, model, custom_hooks=hooks)
    with pytest.raises(ConfigError, match='pooling.0 is a RoIAlign'):
        runner.train()


def test_roi_align_does_misread_the_format():
    # Why the hook refuses; should this fail, a new mmcv can do without the refusal.
    features = torch.randn(1, 4, 8, 8)
    pool, boxes = RoIAlign(2, 1.0, 2), torch.tensor([[0.0, 1, 1, 6, 7]])
    right = pool(features, boxes)
    wrong = pool(features.to(memory_format=torch.channels_last), boxes)
    assert not torch.allclose(right, wrong, atol=0.01)
