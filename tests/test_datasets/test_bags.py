import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset

from mmlgd.datasets import Bags, UnlabeledImages, image_list_digest
from mmlgd.errors import ConfigError, DataError


def write_images(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((4, 4, 3), 7, np.uint8))
    return UnlabeledImages(data_root=str(folder))


class InMemory(BaseDataset):
    """Four pictures without a path."""

    def load_data_list(self):
        return [dict(img=np.full((2, 2), value)) for value in self.metainfo['values']]


def in_memory(*values):
    return InMemory(metainfo=dict(values=values))


def bags(size=4):
    # Each image's bag: the two that follow it, in a ring.
    ring = torch.arange(size, dtype=torch.int32)[:, None]
    neighbours = (ring + torch.tensor([1, 2], dtype=torch.int32)) % size
    return Bags(neighbours, 'net#1234', 'digest')


def test_file_gives_back_what_was_saved(tmp_path):
    path = tmp_path / 'new' / 'bags.pth'
    bags().save(path)
    found = Bags.read(path)
    assert found.neighbours.tolist() == [[1, 2], [2, 3], [3, 0], [0, 1]]
    assert (found.k, found.teacher, found.images) == (2, 'net#1234', 'digest')
    assert [entry.name for entry in path.parent.iterdir()] == ['bags.pth']


def test_missing_file_is_refused_with_the_command_that_writes_it(tmp_path):
    with pytest.raises(DataError, match=r'tools/build_bags.py CONFIG --out .*none.pth'):
        Bags.read(tmp_path / 'none.pth')


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def other_content(path):
    torch.save(dict(state_dict={}), path)


def with_neighbours(neighbours):
    def write(path):
        Bags(neighbours, 'net#1234', 'digest').save(path)

    return write


@pytest.mark.parametrize(
    'spoil',
    [
        truncated,
        other_content,
        with_neighbours(torch.tensor([[1], [2]], dtype=torch.int32)),
        with_neighbours(torch.tensor([[1], [-1]], dtype=torch.int32)),
        with_neighbours(torch.tensor([[1.0], [0.0]])),
        with_neighbours(torch.tensor([1, 0], dtype=torch.int32)),
        with_neighbours(torch.zeros(3, 0, dtype=torch.int32)),
    ],
    ids=['truncated', 'other', 'large', 'negative', 'float', 'flat', 'empty'],
)
def test_broken_file_is_refused(tmp_path, spoil):
    path = tmp_path / 'bags.pth'
    bags().save(path)
    spoil(path)
    with pytest.raises(DataError, match='not a complete bag file .* write it again'):
        Bags.read(path)


def test_digest_stays_when_the_folder_moves(tmp_path):
    names = ['a/1.png', 'b/0.png', 'z.png']
    first = write_images(tmp_path / 'here', names)
    moved = write_images(tmp_path / 'elsewhere' / 'deep', names)
    assert image_list_digest(first) == image_list_digest(moved)
    assert len(image_list_digest(first)) == 64


@pytest.mark.parametrize(
    'names', [['a/1.png', 'b/0.png', 'y.png'], ['a/1.png', 'c/0.png', 'z.png']]
)
def test_digest_differs_for_other_files(tmp_path, names):
    first = write_images(tmp_path / 'here', ['a/1.png', 'b/0.png', 'z.png'])
    other = write_images(tmp_path / 'there', names)
    assert image_list_digest(first) != image_list_digest(other)


def test_digest_of_images_in_memory_is_of_their_pixels_in_order():
    first = image_list_digest(in_memory(1, 2, 3, 4))
    assert first == image_list_digest(in_memory(1, 2, 3, 4))
    assert first != image_list_digest(in_memory(1, 3, 2, 4))


def test_dataset_without_paths_or_images_is_refused():
    with pytest.raises(ConfigError, match='neither img_path nor img of image 0'):
        image_list_digest([1, 2])


def test_bags_of_other_images_are_refused():
    dataset = in_memory(1, 2, 3, 4)
    fitting = Bags(bags().neighbours, 'net#1234', image_list_digest(dataset))
    fitting.check_images('bags.pth', dataset)
    with pytest.raises(DataError, match=r'bags.pth .* 4 images, .* set has 3; write'):
        fitting.check_images('bags.pth', in_memory(1, 2, 3))
    with pytest.raises(DataError, match=r'bags.pth .* or another order; write'):
        fitting.check_images('bags.pth', in_memory(4, 3, 2, 1))


def test_bags_of_another_teacher_are_refused():
    bags().check_teacher('bags.pth', 'net#1234')
    with pytest.raises(DataError, match='built with net#1234, .* learns from net#5678'):
        bags().check_teacher('bags.pth', 'net#5678')
