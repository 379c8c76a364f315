"""Trees of any names: all visible images are listed, in order, and nothing else."""

import os
import tempfile

from hypothesis import given
from hypothesis import strategies as st

from mmlgd.datasets.image_folder import EXTENSIONS, SYSTEM_FOLDERS, list_images
from mmlgd.errors import DataError
from mmlgd.utils.printable import printable

# Any bytes but those that end a name. Some names are drawn more often than by chance.
ODD = [b'.', b'..', b'.hidden', b'caf\xe9', b'a\nb', b'-', b'~', b'*', b'%s{}', b'\\']
PART = (
    st.sampled_from([*ODD, b'a', b'b', *(name.encode() for name in SYSTEM_FOLDERS)])
    | st.binary(min_size=1, max_size=12)
).map(lambda name: name.replace(b'\0', b'0').replace(b'/', b'_'))
ENDING = st.sampled_from([b'.jpg', b'.JPEG', b'.Png', b'.txt', b'.jpg.tmp', b''])
FOLDER = PART.filter(lambda name: name not in (b'.', b'..'))
FILE = st.tuples(st.lists(FOLDER, max_size=3), FOLDER, ENDING)
LINK = st.tuples(st.lists(FOLDER, max_size=2), FOLDER, st.lists(PART, max_size=3))


def make(root, files, links):
    """Make what the file system allows; the files that there are then."""
    made = set()
    for folders, name, ending in files:
        path = os.path.join(root, *folders)
        try:
            os.makedirs(path, exist_ok=True)
            with open(os.path.join(path, name + ending), 'w'):
                made.add('/'.join(map(os.fsdecode, [*folders, name + ending])))
        except OSError:
            pass  # a file and a folder of one name
    for folders, name, target in links:
        path = os.path.join(root, *folders)
        try:
            os.makedirs(path, exist_ok=True)
            os.symlink(os.path.join(b'.', *target), os.path.join(path, name))
        except OSError:
            pass
    return made


def is_visible_image(path):
    return path.lower().endswith(EXTENSIONS) and not any(
        part.startswith('.') or part.casefold() in SYSTEM_FOLDERS
        for part in path.split('/')
    )


@given(st.lists(FILE, max_size=12), st.lists(LINK, max_size=4))
def test_visible_images_are_listed(files, links):
    with tempfile.TemporaryDirectory() as root:
        made = make(os.fsencode(root), files, links)
        wanted = {path for path in made if is_visible_image(path)}
        try:
            listed = list_images(root)
        except DataError as error:
            assert not wanted
            str(error).encode('utf-8')
            return
        names = [path.removeprefix(f'{root}/') for path in listed]
        assert names == sorted(set(names))
        # Links may add further ones, which are files, too.
        assert wanted <= set(names)
        if not links:
            assert wanted == set(names)
        assert all(is_visible_image(name) and os.path.isfile(f'{root}/{name}')
                   for name in names)  # fmt: skip


@given(st.text() | st.binary().map(os.fsdecode))
def test_everything_can_be_printed_and_told_apart_by_lines(text):
    shown = printable(text)
    shown.encode('utf-8')
    assert shown.isprintable() and len((shown + 'x').splitlines()) == 1
