import pytest

from mmlgd.datasets.caltech256 import caltech256_images, is_image
from mmlgd.errors import DataError


@pytest.fixture
def image_dir(tmp_path):
    """All 257 folders, two images each; class 56 also has what the archive has."""
    for number in range(1, 258):
        folder = tmp_path / f'{number:03d}.thing-{number % 7}'
        folder.mkdir()
        for image in (1, 2):
            (folder / f'{number:03d}_{image:04d}.jpg').touch()
    dog = tmp_path / '056.thing-0'
    (dog / 'greg').mkdir()
    (dog / 'greg' / '056_0003.jpg').touch()
    (dog / 'RENAME2').touch()
    return tmp_path


def test_clutter_and_strays_stay_out(image_dir):
    classes = caltech256_images(image_dir, num_images=512)
    assert len(classes) == 256
    assert classes[0] == ['001.thing-1/001_0001.jpg', '001.thing-1/001_0002.jpg']
    assert len(classes[55]) == 2
    assert not any('257' in image for images in classes for image in images)


def test_wrong_count_names_the_published_one(image_dir):
    with pytest.raises(DataError, match='512 images.*29780'):
        caltech256_images(image_dir)
    assert len(caltech256_images(image_dir, num_images=None)) == 256


def test_missing_class(image_dir):
    (image_dir / '100.thing-2').rename(image_dir / 'away')
    with pytest.raises(DataError, match='255 folders'):
        caltech256_images(image_dir, None)


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match='nowhere.*0 folders.*unpack'):
        caltech256_images(tmp_path / 'nowhere')


@pytest.mark.parametrize('name', ['001_1.jpg', 'RENAME2', '001_0001.jpg~', '.jpg'])
def test_files_that_are_not_images(name):
    assert not is_image(name)
