"""Which start of a training is a restart, and of what."""

import os

import pytest

from mmlgd.utils.launch_id import claim, has_saved, is_restart


@pytest.fixture
def start(monkeypatch):
    """Set the launcher's variables as they are at a start of the training."""

    def set_variables(**variables):
        for name in ('TORCHELASTIC_RUN_ID', 'SLURM_JOB_ID', 'SLURM_RESTART_COUNT'):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


def test_an_elastic_run_is_known_by_its_identity(tmp_path, start):
    start(TORCHELASTIC_RUN_ID='a')
    assert not is_restart(tmp_path)
    claim(tmp_path)
    assert is_restart(tmp_path)
    start(TORCHELASTIC_RUN_ID='b')
    assert not is_restart(tmp_path)


def test_torchruns_default_identity_is_none(tmp_path, start):
    start(TORCHELASTIC_RUN_ID='none')
    claim(tmp_path)
    assert not is_restart(tmp_path)


def test_a_slurm_job_restarts_when_it_is_requeued(tmp_path, start):
    start(SLURM_JOB_ID='7')
    claim(tmp_path)
    # A second training of the same job.
    assert not is_restart(tmp_path)
    start(SLURM_JOB_ID='7', SLURM_RESTART_COUNT='1')
    assert is_restart(tmp_path)
    start(SLURM_JOB_ID='8', SLURM_RESTART_COUNT='1')
    assert not is_restart(tmp_path)


def test_a_plain_training_ends_the_claim(tmp_path, start):
    start(TORCHELASTIC_RUN_ID='a')
    claim(tmp_path)
    start()
    claim(tmp_path)
    start(TORCHELASTIC_RUN_ID='a')
    assert not is_restart(tmp_path)


def test_only_checkpoints_since_the_claim_count(tmp_path, start):
    pointer = tmp_path / 'last_checkpoint'
    pointer.touch()  # of an earlier run, from which --resume FILE started
    os.utime(pointer, (1e9, 1e9))
    start(TORCHELASTIC_RUN_ID='a')
    claim(tmp_path)
    assert not has_saved(tmp_path)
    pointer.touch()
    later = (tmp_path / 'launch_id').stat().st_mtime + 1
    os.utime(pointer, (later, later))
    assert has_saved(tmp_path)
    # A restart claims it again.
    claim(tmp_path)
    assert has_saved(tmp_path)
