"""Maps keep what two dimensions can; neighbours are the most similar names."""

import math

import pytest
import torch

from mmlgd.report.maps import align_points, nearest_names, project_rows


def test_points_of_a_plane_keep_their_distances():
    plane = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.0]])
    basis = torch.linalg.qr(
        torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    )
    points, share = project_rows(plane @ basis.Q.T + 5)
    assert share == pytest.approx(1.0)
    torch.testing.assert_close(
        torch.cdist(points, points), torch.cdist(plane, plane), atol=1e-4, rtol=1e-4
    )


def test_the_share_is_that_of_the_two_largest_variances():
    # Variances 9, 4 and 1 along the axes.
    rows = torch.diag(torch.tensor([3.0, 2.0, 1.0]))
    rows = torch.cat([rows, -rows])
    assert project_rows(rows)[1] == pytest.approx(13 / 14)


def test_equal_rows_make_one_point():
    points, _ = project_rows(torch.ones(3, 4))
    torch.testing.assert_close(points, torch.zeros(3, 2))


def test_a_turned_and_mirrored_map_is_turned_back():
    first = torch.tensor([[0.0, 1.0], [2.0, 0.0], [-1.0, -3.0], [0.5, 0.5]])
    turn = torch.tensor([[math.cos(1), -math.sin(1)], [-math.sin(1), -math.cos(1)]])
    aligned = align_points(first @ turn, [0, 1, 2], list(first[:3]))
    torch.testing.assert_close(aligned, first)


def test_nearest_names_by_cosine_not_by_length():
    rows = torch.tensor([[1.0, 0.0], [0.0, 9.0], [10.0, 1.0]])
    near = nearest_names(rows, ['a', 'b', 'c'], 2)
    assert [name for name, _ in near[0]] == ['c', 'b']
    assert near[0][0][1] == pytest.approx(10 / math.sqrt(101))
    assert [name for name, _ in near[1]] == ['c', 'a']


def test_neighbours_of_more_names_than_one_part():
    angles = torch.arange(2100) * (2 * math.pi / 2100)
    rows = torch.stack([angles.cos(), angles.sin()], dim=1).double()
    names = [str(i) for i in range(2100)]
    near = nearest_names(rows, names, 2)
    # float32 resolves these cosines only roughly.
    for i in (0, 1023, 1024, 2099):
        assert all(
            min((i - int(n)) % 2100, (int(n) - i) % 2100) <= 2 for n, _ in near[i]
        )
        assert str(i) not in dict(near[i])
