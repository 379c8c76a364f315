"""Listing of folder trees with all kinds of files."""

import os
import socket
from pathlib import Path

import pytest

from mmlgd.datasets import UnlabeledImages
from mmlgd.datasets.image_folder import SYSTEM_FOLDERS, list_images
from mmlgd.errors import DataError
from tests.two_ranks import run_on_two_ranks


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_in(root):
    prefix = f'{root}/'
    return [path.removeprefix(prefix) for path in list_images(str(root))]


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmlgd.datasets.image_folder.print_log',
        lambda text, **kwargs: lines.append(text),
    )
    return lines


HIDDEN = [
    *('.ipynb_checkpoints', '.Trash-1000', '.thumbnails', '.git', *SYSTEM_FOLDERS),
    # As they are spelled by Windows, macOS, Synology and QNAP.
    *('$Recycle.Bin', '$RECYCLE.BIN', '__MACOSX', '@eaDir', '@Recycle', '#snapshot'),
]


@pytest.mark.parametrize('folder', HIDDEN)
def test_hidden_folders_are_skipped_at_any_depth(tmp_path, warnings, folder):
    touch(tmp_path, 'a/1.jpg', 'b.png', f'{folder}/x.jpg', f'a/b/{folder}/c/y.png')
    touch(tmp_path, f'{folder}/notes.txt', 'a/._1.jpg')
    assert names_in(tmp_path) == ['a/1.jpg', 'b.png']
    (line,) = warnings
    assert 'skipped 3 hidden images' in line


def test_root_may_be_hidden_and_below_hidden_folders(tmp_path, warnings):
    root = tmp_path / '.cache' / '__MACOSX' / '.images'
    touch(root, 'a.jpg', '.hidden/b.jpg')
    assert names_in(root) == ['a.jpg']


def test_empty_folder_mentions_what_was_skipped(tmp_path):
    touch(tmp_path, '.Trash-0/a.jpg', 'b.txt')
    (tmp_path / 'gone.jpg').symlink_to('nowhere')
    with pytest.raises(DataError, match=r'1 with \.txt; skipped 1 hidden.*gone\.jpg'):
        list_images(str(tmp_path))


def test_links_to_folders_are_followed_and_loops_end(tmp_path, warnings):
    root = tmp_path / 'root'
    touch(root, 'a/b/1.jpg')
    touch(tmp_path, 'outside/deep/2.jpg')
    (root / 'a/b/up').symlink_to(root)
    (root / 'a/self').symlink_to('.')
    (root / 'x').symlink_to('y')
    (root / 'y').symlink_to('x')
    (root / 'linked').symlink_to(tmp_path / 'outside')
    (tmp_path / 'outside/deep/back').symlink_to(tmp_path / 'outside')
    assert names_in(root) == ['a/b/1.jpg', 'linked/deep/2.jpg']
    (line,) = warnings
    assert 'skipped 3 links to folders that were already listed' in line


def test_a_folder_is_listed_once_under_its_own_path_or_the_first_link(
    tmp_path, warnings
):
    root = tmp_path / 'root'
    touch(root, 'z/1.jpg')
    touch(tmp_path, 'outside/2.jpg')
    (root / 'a').symlink_to('z')
    (root / 'c').symlink_to(tmp_path / 'outside')
    (root / 'b').symlink_to(tmp_path / 'outside')
    assert names_in(root) == ['b/2.jpg', 'z/1.jpg']
    # Links to files are files of their own, as a sampler may count on.
    (root / 'again.jpg').symlink_to('z/1.jpg')
    assert names_in(root) == ['again.jpg', 'b/2.jpg', 'z/1.jpg']


def test_link_to_a_hidden_folder_is_followed(tmp_path, warnings):
    # As caches of downloads lay out their files.
    touch(tmp_path, '.store/1.jpg')
    (tmp_path / 'images').symlink_to('.store')
    (tmp_path / '.also').symlink_to('.store')
    assert names_in(tmp_path) == ['images/1.jpg']


def test_many_links_between_folders_do_not_multiply(tmp_path, warnings):
    for number in range(25):
        touch(tmp_path, f'{number}/{number}.jpg')
        for name in 'ab':
            (tmp_path / f'{number}' / name).symlink_to(f'../{number + 1}')
    assert len(names_in(tmp_path)) == 25


def test_non_regular_files_are_skipped(tmp_path, warnings):
    touch(tmp_path, 'ok.jpg', 'folder.jpg/inside.png')
    (tmp_path / 'broken.jpg').symlink_to('nowhere')
    os.mkfifo(tmp_path / 'pipe.jpg')
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)  # Paths of sockets are short.
    listener.bind('socket.jpg')
    os.chdir(here)
    listener.close()
    assert names_in(tmp_path) == ['folder.jpg/inside.png', 'ok.jpg']
    (line,) = warnings
    assert 'skipped 3 entries that are not files' in line and 'broken.jpg' in line


def test_unreadable_folder_is_an_error_unless_hidden(tmp_path, monkeypatch, warnings):
    touch(tmp_path, 'a.jpg', 'shut/b.jpg', 'lost+found/c.jpg')
    scandir = os.scandir

    def refuse(path):
        if Path(path).name in ('shut', 'lost+found'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(DataError, match=r'shut.*Permission denied.*permissions'):
        list_images(str(tmp_path))
    (tmp_path / 'shut/b.jpg').unlink()
    (tmp_path / 'shut').rmdir()
    assert names_in(tmp_path) == ['a.jpg']


@pytest.mark.parametrize(
    'root', ['http://host/images', 'https://host/x', 's3://bucket/x', 'odd://x', 'x']
)
def test_roots_that_cannot_be_listed_name_what_can(root):
    options = dict(backend='http') if root == 'x' else None
    with pytest.raises(DataError, match=r'cannot be listed.*local or mounted folder'):
        UnlabeledImages(root, backend_args=options)


def test_backends_that_list_are_used(monkeypatch, warnings):
    class Storage:
        def isdir(self, path):
            return path == 'store://b'

        def exists(self, path):
            return False

        def join_path(self, *parts):
            return '/'.join(parts)

        def list_dir_or_file(self, path, list_dir, recursive):
            assert not list_dir and recursive
            yield from ['b.jpg', 'a/c.png', '.git/x.jpg', 'a/._c.png', 'a.txt']

    monkeypatch.setattr(
        'mmlgd.datasets.image_folder.get_file_backend', lambda *args, **kw: Storage()
    )
    assert list_images('store://b') == ['store://b/a/c.png', 'store://b/b.jpg']
    with pytest.raises(DataError, match='does not exist'):
        list_images('store://other')


def test_root_that_is_a_file_is_named_as_one(tmp_path):
    touch(tmp_path, 'a.jpg')
    with pytest.raises(DataError, match=r'a\.jpg.* is a file'):
        list_images(str(tmp_path / 'a.jpg'))
    with pytest.raises(DataError, match='does not exist'):
        list_images(str(tmp_path / 'null\0byte'))


@pytest.mark.slow
def test_notations_of_the_root(tmp_path, monkeypatch):
    touch(tmp_path, 'images/a.jpg')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    for root in ('images', 'images/', './images', '~/images', tmp_path / 'images'):
        dataset = UnlabeledImages(root)
        assert os.path.samefile(dataset.get_data_info(0)['img_path'], 'images/a.jpg')


def test_names_are_kept_and_sorted_by_code_points(tmp_path):
    names = [
        b'B.jpg', b'a.jpg', b'a-b/1.jpg', b'a/1.jpg', b'caf\xe9.jpg',
        'caf\u00e9.jpg'.encode(), 'cafe\u0301.jpg'.encode(), b'new\nline.jpg', b' .jpg',
        b'10.jpg', b'9.jpg', '\U0001f600.jpg'.encode(),
    ]  # fmt: skip
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, 'w').close()
    # '/' is above '-' and below letters; a byte that is not UTF-8 is a surrogate.
    expected = sorted(os.fsdecode(name) for name in names)
    assert names_in(tmp_path) == expected
    assert expected[0] == ' .jpg' and expected[-1] == '\U0001f600.jpg'
    assert expected.index('a-b/1.jpg') < expected.index('a.jpg')


def test_no_file_is_opened(tmp_path, monkeypatch):
    touch(tmp_path, *(f'{folder}/{n}.jpg' for folder in 'ab' for n in range(50)))
    calls = []
    for name in ('stat', 'lstat'):
        real = getattr(os, name)

        def spy(path, *args, real=real, **kwargs):
            if str(path).endswith('.jpg'):
                calls.append(path)
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, name, spy)
    assert len(names_in(tmp_path)) == 100
    assert not calls


def list_on_rank(rank, root):
    calls = []
    scandir = os.scandir
    os.scandir = lambda path: calls.append(path) or scandir(path)
    paths = [
        info['img_path']
        for share in (True, False)
        for info in UnlabeledImages(root, share_listing=share).load_data_list()
    ]
    shared = len(calls)
    try:
        UnlabeledImages(f'{root}/nowhere')
        message = ''
    except DataError as error:
        message = str(error)
    return paths, shared, message


@pytest.mark.slow
def test_first_rank_lists_for_all(tmp_path):
    touch(tmp_path, 'images/a/1.jpg', 'images/2.png')
    root = str(tmp_path / 'images')
    first, second = run_on_two_ranks(list_on_rank, tmp_path, root)
    assert first[0] == second[0] == 2 * [f'{root}/2.png', f'{root}/a/1.jpg']
    # Two folders, each time the dataset is built and its list loaded again.
    assert (first[1], second[1]) == (8, 4)
    assert first[2] == second[2] and 'nowhere' in first[2]
