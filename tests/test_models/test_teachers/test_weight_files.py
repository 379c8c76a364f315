import zipfile

import pytest
import torch
from torch import nn

from mmlgd.errors import TeacherError
from mmlgd.models.teachers.weight_files import (
    check_weight_file,
    is_torchscript,
    load_exact,
    read_weights_and_meta,
)


@pytest.fixture
def saved(tmp_path):
    file = tmp_path / 'net.pth'
    torch.save({'state_dict': nn.Linear(64, 64).state_dict(), 'meta': {}}, file)
    return file


def test_a_good_file(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)

    assert check_weight_file('net.pth') == saved
    assert read_weights_and_meta('net.pth')[0].keys() == {'weight', 'bias'}
    assert not is_torchscript(saved)


def test_torchscript_is_detected(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / 'script.pt'))

    assert is_torchscript(tmp_path / 'script.pt')


def test_a_renamed_pickle_is_not_torchscript(tmp_path):
    file = tmp_path / 'disguised.pt'
    torch.save({'a': torch.zeros(1)}, file)
    with zipfile.ZipFile(file, 'a') as archive:
        archive.writestr('disguised/deep/constants.pkl', b'')
        archive.writestr('other/constants.pkl', b'')

    assert not is_torchscript(file)


@pytest.mark.parametrize(
    'content, fault',
    [
        (b'', 'empty'),
        (b'\n<!DOCTYPE html><html>404</html>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid', 'a git-lfs pointer'),
    ],
)
def test_files_without_weights_are_refused(tmp_path, content, fault):
    file = tmp_path / 'weights.pt'
    file.write_bytes(content)

    with pytest.raises(TeacherError, match=f'weights.pt is {fault}.*again'):
        check_weight_file(file)


def test_a_truncated_file(saved):
    saved.write_bytes(saved.read_bytes()[:-500])

    with pytest.raises(TeacherError, match='net.pth is truncated'):
        read_weights_and_meta(str(saved))


def test_a_missing_file_says_where_it_was_sought(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(TeacherError, match=f'does not exist.*{tmp_path}/absent.pt'):
        check_weight_file('absent.pt')


def test_bytes_that_are_not_a_checkpoint(tmp_path):
    (tmp_path / 'noise.pth').write_bytes(bytes(range(256)) * 4)

    with pytest.raises(TeacherError, match='noise.pth cannot be read'):
        read_weights_and_meta(str(tmp_path / 'noise.pth'))


def test_a_checkpoint_without_state_dict(tmp_path):
    torch.save([1, 2], tmp_path / 'list.pth')

    with pytest.raises(TeacherError, match='contains a list, not a checkpoint'):
        read_weights_and_meta(str(tmp_path / 'list.pth'))


def test_load_exact_names_each_kind_of_fault():
    weights = {'weight': torch.zeros(3, 2), 'scale': torch.zeros(1)}

    with pytest.raises(TeacherError) as error:
        load_exact(nn.Linear(2, 2), weights, 'head of a.pth')

    message = str(error.value)
    assert 'head of a.pth: 0 of 2 tensors match (0%)' in message
    assert 'missing bias' in message
    assert 'weight is (3, 2), not (2, 2)' in message
    assert 'unexpected scale' in message


def test_load_exact_does_without_batch_counters():
    source, target = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    source.running_mean.fill_(7.0)
    weights = source.state_dict()
    del weights['num_batches_tracked']

    load_exact(target, weights, 'norm')

    assert torch.equal(target.running_mean, torch.full((3,), 7.0))
