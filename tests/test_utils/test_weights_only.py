import io
import shutil
import tarfile

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    _load_checkpoint_with_prefix,
    load_checkpoint,
)
from torch import nn

from mmlgd.datasets.bags import Bags
from mmlgd.errors import CheckpointError, MMLGDError, TeacherError
from mmlgd.models.banks.bank_file import BankFile
from mmlgd.models.teachers.weight_files import read_weights_and_meta
from mmlgd.utils import run_config
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.weights_only import load_weights_only, plain_message_hub
from tests.evil_files import write_getattr_trap, write_trap
from tests.tiny_runner import tiny_runner

TRAPS = [write_trap, write_getattr_trap]


@pytest.fixture(params=TRAPS)
def trap(request, tmp_path):
    """A malicious file, and the folder that it creates when it runs."""
    sign = tmp_path / 'it_ran'
    yield str(request.param(tmp_path / 'evil.pth', sign))
    assert not sign.exists()


def test_the_traps_do_run_under_the_readers_that_are_replaced(tmp_path):
    """Without which the other tests would prove nothing."""
    torch.load(write_trap(tmp_path / 'a.pth', tmp_path / 'a'), weights_only=False)
    assert (tmp_path / 'a').is_dir()
    checkpoint = pytest.importorskip('mmengine.runner.checkpoint')
    if not hasattr(checkpoint, 'get_torch_safe_globals'):
        pytest.skip('only the onedl fork has a list of safe globals')
    path = write_getattr_trap(tmp_path / 'b.pth', tmp_path / 'b')
    with torch.serialization.safe_globals(checkpoint.get_torch_safe_globals()):
        torch.load(path, weights_only=True)
    assert (tmp_path / 'b').is_dir()


def test_our_readers_run_nothing(trap):
    with pytest.raises(CheckpointError, match='evil.pth cannot be read'):
        read_checkpoint(trap)
    with pytest.raises(TeacherError, match='evil.pth cannot be read'):
        read_weights_and_meta(trap)


@pytest.mark.parametrize('resume', [True, False])
def test_the_runner_runs_nothing_on_resume_and_load_from(trap, tmp_path, resume):
    runner = tiny_runner(tmp_path / 'run', load_from=trap, resume=resume)
    with pytest.raises(CheckpointError, match='evil.pth cannot be read'):
        runner.train()


def test_an_automatic_resume_runs_nothing(trap, tmp_path):
    (tmp_path / 'last_checkpoint').write_text(trap)
    with pytest.raises(CheckpointError, match='evil.pth cannot be read'):
        tiny_runner(tmp_path, resume=True).train()


def test_init_cfg_runs_nothing(trap):
    class Layer(BaseModule):
        pass

    layer = Layer(init_cfg=dict(type='Pretrained', checkpoint=trap))
    with pytest.raises(CheckpointError, match='evil.pth cannot be read'):
        layer.init_weights()
    with pytest.raises(CheckpointError):
        load_checkpoint(nn.Linear(1, 1), trap)
    with pytest.raises(CheckpointError):
        _load_checkpoint_with_prefix('backbone.', trap)


def test_an_address_is_fetched_and_read_weights_only(trap, tmp_path, monkeypatch):
    """Served from a file: the test is about reading the downloaded file."""
    good = tmp_path / 'good.pth'
    torch.save(dict(state_dict=dict(w=torch.ones(2))), good)
    files = {'http://host/evil.pth?v=1': trap, 'https://host/good.pth': str(good)}
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(
        torch.hub,
        'download_url_to_file',
        lambda url, path, **_: shutil.copy(files[url], path),
    )
    with pytest.raises(CheckpointError, match='evil.pth cannot be read'):
        CheckpointLoader.load_checkpoint('http://host/evil.pth?v=1')
    for _ in range(2):  # the second time from the cache
        contents = read_checkpoint('https://host/good.pth')
        assert contents['state_dict']['w'].tolist() == [1, 1]
    with pytest.raises(CheckpointError, match='host/none.pth cannot be downloaded'):
        read_checkpoint('https://host/none.pth')


def test_the_tools_read_weights_only_whatever_the_config(trap, monkeypatch):
    CheckpointLoader.register_scheme('', lambda *_: pytest.fail('unsafe'), force=True)
    monkeypatch.setattr(run_config.RUNNERS, 'build', lambda cfg: None)
    monkeypatch.setattr(run_config, 'set_up_distributed', lambda cfg: None)
    run_config.build_runner(Config(dict(runner_type='Runner')), [])
    with pytest.raises(CheckpointError, match='evil.pth cannot be read'):
        load_checkpoint(nn.Linear(1, 1), trap)


def test_tar_archives_are_refused(tmp_path):
    with tarfile.open(tmp_path / 'old.pth', 'w') as archive:
        archive.addfile(tarfile.TarInfo('pickle'), io.BytesIO())
    with pytest.raises(CheckpointError, match='a tar archive'):
        read_checkpoint(tmp_path / 'old.pth')


def test_histories_of_mmengine_are_restored(tmp_path):
    history = HistoryBuffer([1.0, 4.0], [1, 3], max_length=9)
    hub = dict(
        log_scalars={'train/loss': history},
        runtime_info=dict(best_score=np.float64(1.5), iter=np.int64(3)),
        resumed_keys={},
    )
    for number, saved in enumerate([hub, plain_message_hub(hub)]):
        path = tmp_path / f'{number}.pth'
        torch.save(dict(message_hub=saved), path)
        found = load_weights_only(path)['message_hub']
        restored = found['log_scalars']['train/loss']
        assert isinstance(restored, HistoryBuffer)
        assert restored.data[0].tolist() == [1, 4] and restored.max_length == 9
        # Weighted by counts: (1 * 1 + 4 * 3) / 4; mmengine divides sums by counts.
        assert restored.mean() == history.mean()
        restored.update(2.0)
        assert restored.current() == 2
        assert found['runtime_info'] == dict(best_score=1.5, iter=3)


def test_plain_message_hub_need_no_list_of_safe_globals(tmp_path):
    hub = dict(
        log_scalars=dict(a=HistoryBuffer([1.0], [1])),
        runtime_info=dict(best_score=np.float64(2.5)),
        resumed_keys={},
    )
    torch.save(plain_message_hub(hub), tmp_path / 'hub.pth')
    found = torch.load(tmp_path / 'hub.pth', weights_only=True)
    assert found['log_scalars']['a']['log_history'].tolist() == [1]
    assert found['runtime_info'] == dict(best_score=2.5)


def test_a_history_of_something_else_is_refused(tmp_path):
    hub = dict(log_scalars=dict(a=dict(log_history=1)))
    torch.save(dict(message_hub=hub), tmp_path / 'x.pth')
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / 'x.pth')


def test_safetensors_are_read_and_broken_ones_refused(tmp_path):
    safetensors = pytest.importorskip('safetensors.torch')
    path = tmp_path / 'model.safetensors'
    safetensors.save_file({'backbone.w': torch.arange(3.0)}, path)
    contents = read_checkpoint(path)
    assert contents['state_dict']['backbone.w'].tolist() == [0, 1, 2]
    assert contents['meta'] == {}
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match='model.safetensors .* truncated'):
        read_checkpoint(path)


def test_a_refusal_names_what_the_file_holds_and_never_advises_to_trust_it(tmp_path):
    evil = write_trap(tmp_path / 'evil.pth', tmp_path / 'it_ran')
    for read in (load_weights_only, BankFile.read, Bags.read):
        with pytest.raises(
            MMLGDError, match='it contains (posix|nt).mkdir, which'
        ) as caught:
            read(evil)
        assert 'weights_only' not in str(caught.value)
