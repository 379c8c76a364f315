import pytest
import torch

from mmlgd.errors import ConfigError
from mmlgd.models.banks import EmbeddingQueue
from tests.two_ranks import run_on_two_ranks


def numbered(start, count):
    """Rows that contain their number: (number, -number)."""
    numbers = torch.arange(start, start + count).float()
    return torch.stack([numbers, -numbers], dim=1)


def fill(queue, batches):
    for batch in batches:
        queue.update(batch)
    return queue


def ring(queue, size, batches):
    """Content of a queue of ``size`` rows, pushed row by row into a list."""
    rows, position = [row.tolist() for row in queue], 0
    for batch in batches:
        for row in batch.tolist():
            rows[position] = row
            position = (position + 1) % size
    return rows, position


def test_starts_as_unit_noise():
    torch.manual_seed(0)
    queue = EmbeddingQueue(50, 8)
    torch.testing.assert_close(queue.embeddings.norm(dim=1), torch.ones(50))
    assert len(queue.embeddings.unique(dim=0)) == 50
    assert abs(queue.embeddings.mean().item()) < 0.05
    assert queue.position.dtype == torch.int64 and queue.position.shape == ()


def test_wraps_around_over_the_oldest_rows():
    queue = EmbeddingQueue(5, 2)
    noise = queue.embeddings.clone()
    queue.update(numbered(0, 3))
    assert queue.embeddings[:3, 0].tolist() == [0, 1, 2]
    assert torch.equal(queue.embeddings[3:], noise[3:])
    queue.update(numbered(3, 3))
    assert queue.embeddings[:, 0].tolist() == [5, 1, 2, 3, 4]
    assert queue.position.item() == 1


@pytest.mark.parametrize(
    'size, counts',
    [
        (8, [4, 4, 4]),
        (7, [4, 4, 4, 4, 4]),
        (5, [5, 1, 4]),
        (4, [3, 11, 2]),
        (3, [9, 1]),
        (1, [2, 3]),
    ],
)
def test_matches_rows_pushed_one_by_one(size, counts):
    queue = EmbeddingQueue(size, 2)
    starts = [sum(counts[:i]) for i in range(len(counts))]
    batches = [numbered(start, count) for start, count in zip(starts, counts)]
    rows, position = ring(queue.embeddings, size, batches)
    fill(queue, batches)
    assert queue.embeddings.tolist() == rows
    assert queue.position.item() == position


def test_rows_enter_without_gradient_as_float32():
    queue = EmbeddingQueue(4, 2)
    queue.update(numbered(0, 2).bfloat16().requires_grad_())
    assert queue.embeddings.dtype == torch.float32
    assert not queue.embeddings.requires_grad


def fill_half(rank):
    torch.manual_seed(0)
    queue = EmbeddingQueue(7, 2)
    # The images of a batch are assigned to the ranks in turn.
    return fill(
        queue, [numbered(6 * i, 6)[rank::2] for i in range(4)] + [numbered(0, 5)]
    ).state_dict()


@pytest.mark.slow
def test_two_ranks_with_half_the_batch_equal_one(tmp_path):
    torch.manual_seed(0)
    whole = fill(
        EmbeddingQueue(7, 2),
        [numbered(6 * i, 6) for i in range(4)]
        + [numbered(0, 5).repeat_interleave(2, dim=0)],
    ).state_dict()
    for half in run_on_two_ranks(fill_half, tmp_path):
        assert half.keys() == whole.keys() == {'embeddings', 'position'}
        for key, value in whole.items():
            assert torch.equal(half[key], value), key


def test_resumed_queue_continues_identically():
    batches = [numbered(3 * i, 3) for i in range(6)]
    torch.manual_seed(0)
    straight = fill(EmbeddingQueue(7, 2), batches)
    torch.manual_seed(0)
    stopped = fill(EmbeddingQueue(7, 2), batches[:4])
    resumed = EmbeddingQueue(7, 2)
    resumed.load_state_dict(stopped.state_dict())
    assert resumed.position.item() == 5
    fill(resumed, batches[4:])
    assert torch.equal(resumed.embeddings, straight.embeddings)
    assert resumed.position.item() == straight.position.item() == 4


@pytest.mark.parametrize('size', [0, -1, 2.0, True, '8'])
def test_invalid_sizes_are_refused(size):
    with pytest.raises(ConfigError, match='EmbeddingQueue.size'):
        EmbeddingQueue(size, 4)


@pytest.mark.parametrize('broken', [float('nan'), float('inf')])
def test_a_row_that_is_not_finite_does_not_enter(broken):
    queue = EmbeddingQueue(4, 2)
    queue.update(numbered(0, 4))
    rows = numbered(4, 3)
    rows[1, 1] = broken
    queue.update(rows)
    assert queue.embeddings[:, 0].tolist() == [4, 1, 6, 3]
    assert queue.embeddings.isfinite().all() and queue.position.item() == 3
