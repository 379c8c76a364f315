import pytest

from tests.bingo_runs import bingo_run_cfg, write_ring_bags
from tests.resume_helper import assert_same_training, run_killed_and_resumed
from tests.runs import write_images


@pytest.mark.slow
def test_bingo_resumes_bit_by_bit(tmp_path):
    write_ring_bags(write_images(tmp_path))
    # BatchNorm statistics, random numbers of drop path, the queue, CutMix, positives;
    # the warm-up ends after the resume.
    backbone = dict(type='mmpretrain.EfficientNet', arch='b0', drop_path_rate=0.3)
    cfg = bingo_run_cfg(
        tmp_path, tmp_path / 'unused', backbone=backbone, warmup_epochs=2
    )
    cfg.train_cfg.max_epochs = 3
    cfg.train_dataloader.num_workers = 2
    cfg.dump(tmp_path / 'cfg.py')
    whole, resumed = run_killed_and_resumed(
        tmp_path / 'cfg.py', kill_at=6, folder=tmp_path
    )
    assert whole['meta']['iter'] == 12
    # Twelve batches of four rows have passed through a queue of seven.
    assert whole['state_dict']['queue.position'] == 12 * 4 % 7
    assert_same_training(whole, resumed)
