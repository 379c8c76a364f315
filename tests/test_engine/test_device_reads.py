"""Only steps that log synchronise with the device."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmlgd.registry import MODELS
from tests.device_reads import device_reads, reads_by_step
from tests.runs import toy_run_cfg, write_images
from tests.toys import toy_lgd_cfg


def test_reads_are_noticed():
    values = torch.arange(4.0)
    for read in (
        lambda: values[0].item(),
        lambda: bool(values.isfinite().all()),
        lambda: values[values > 1],
        lambda: values.nonzero(),
        lambda: values.tolist(),
        lambda: values.cpu(),
        lambda: float(values[0]),
    ):
        with device_reads() as found:
            read()
        assert len(found) >= 1


def test_only_steps_that_log_read(tmp_path):
    cfg = toy_run_cfg(write_images(tmp_path / 'data'), tmp_path / 'run')
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.optim_wrapper.clip_grad = dict(max_norm=1.0)
    cfg.default_hooks.checkpoint.interval = 2
    cfg.custom_hooks += [dict(type='ShortHistoryHook'), dict(type='ProgressBarHook')]
    steps = reads_by_step(Runner.from_cfg(cfg))
    assert len(steps) == 8
    # The log's interval is 2.
    assert [bool(found) for found in steps] == [False, True] * 4


SOFT = dict(type='VisualSemanticsBank', soft_temperature=0.1, normalize=True)


@pytest.mark.parametrize(
    ('method', 'options'),
    [
        ('LGD', {}),
        ('LGD', dict(visual_bank=SOFT)),
        ('SEED', dict(queue_size=6)),
        ('RelationalKD', dict(mimicry_weight=1.0)),
        ('FeatureMimicry', {}),
    ],
)
def test_no_method_reads_in_a_step(method, options):
    cfg = toy_lgd_cfg(**options)
    if method != 'LGD':
        del cfg['textual_bank'], cfg['visual_bank']
    model = MODELS.build(dict(cfg, type=method))
    model.build_text_banks()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    wrapper = OptimWrapper(optimizer)
    images = torch.randint(0, 255, (4, 3, 16, 16), dtype=torch.uint8)
    with device_reads() as found:
        for _ in range(2):
            model.train_step(dict(inputs=images), wrapper)
    assert found == []
