"""Paths as users write them: a home folder, and what cannot be a path."""

import pytest

from mmlgd.apis.images import iter_images
from mmlgd.datasets import UnlabeledImages, load_category_names, load_templates
from mmlgd.errors import MMLGDError
from mmlgd.models.teachers.weight_files import check_weight_file
from mmlgd.utils.mmengine_private import load_from_local
from mmlgd.utils.paths import expand_user

READERS = [
    load_category_names,
    load_templates,
    check_weight_file,
    load_from_local,
    lambda path: list(iter_images(path)),
    lambda path: UnlabeledImages(data_root=path),
]


def test_home(monkeypatch):
    monkeypatch.setenv('HOME', '/home/ada')
    assert expand_user('~/data', 'the images') == '/home/ada/data'


@pytest.mark.parametrize('path', ['~\0', '\0', '~/a\0.pth', 'a.txt\0'])
@pytest.mark.parametrize('read', READERS)
def test_a_null_character_is_refused(read, path):
    with pytest.raises(
        MMLGDError, match=r'null character|image file .* does not exist'
    ):
        read(path)
