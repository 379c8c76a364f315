"""Rank 0 works for all ranks, and its errors reach all ranks."""

import time
from datetime import timedelta

import pytest
from torch.utils.data import DataLoader

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.first_rank import (
    meet,
    on_first_rank,
    prepare_to_meet,
    set_start_up_timeout,
)
from tests.two_ranks import run_on_two_ranks


class OddError(Exception):
    """Cannot be pickled and built again."""

    def __init__(self, one, other):
        super().__init__(f'{one} and {other}')
        self.handle = lambda: None


def on_rank(rank):
    calls, outcomes = [], []

    def work():
        calls.append(rank)
        return ['a', rank]

    outcomes.append(on_first_rank(work, 'working'))
    for error in (DataError('bad folder'), OddError('x', 'y'), None):

        def fail(error=error):
            if error is None:
                return 'still in step'
            raise error

        try:
            outcomes.append(on_first_rank(fail, 'failing'))
        except Exception as caught:
            outcomes.append([type(caught).__name__, str(caught)])
    return calls, outcomes


@pytest.mark.slow
def test_ranks_share_result_and_error(tmp_path):
    first, second = run_on_two_ranks(on_rank, tmp_path)
    assert first[0] == [0] and second[0] == []
    assert first[1][0] == second[1][0] == ['a', 0]
    assert first[1][1] == second[1][1] == ['DataError', 'bad folder']
    assert first[1][2] == ['OddError', 'x and y']
    assert second[1][2] == ['RuntimeError', 'OddError on rank 0: x and y']
    assert first[1][3] == second[1][3] == 'still in step'


def wait_for_rank_0(rank):
    set_start_up_timeout(1)
    assert on_first_rank(lambda: 'quick', 'hurrying', wait=30) == 'quick'
    start = time.monotonic()
    try:
        on_first_rank(lambda: time.sleep(4), 'listing data/a')
    except DataError as error:
        return [time.monotonic() - start, str(error)]


@pytest.mark.slow
def test_the_other_ranks_wait_for_a_stated_time(tmp_path):
    _, (seconds, message) = run_on_two_ranks(wait_for_rank_0, tmp_path)
    assert seconds < 3.5
    assert message.startswith('Rank 1 waited for the other ranks (listing data/a)')
    assert 'within 1 s' in message and 'raise env_cfg.start_up_timeout' in message


def work_for_long(rank):
    return on_first_rank(lambda: time.sleep(7) or 'done', 'working', wait=60)


@pytest.mark.slow
def test_the_limit_of_collectives_does_not_end_the_start(tmp_path):
    limit = timedelta(seconds=5)
    assert run_on_two_ranks(work_for_long, tmp_path, limit=limit) == ['done', 'done']


def come_late(rank):
    meet('reading weights')  # both are in time
    set_start_up_timeout(1)
    prepare_to_meet()
    if rank == 1:
        time.sleep(4)
    try:
        meet('reading weights')
    except DataError as error:
        return str(error)


@pytest.mark.slow
def test_ranks_that_do_not_come_are_named(tmp_path):
    message, _ = run_on_two_ranks(come_late, tmp_path)
    assert message.startswith('Rank 0 waited for the other ranks (reading weights)')
    assert 'Ranks 1 failed to pass' in message


class Listing:
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return on_first_rank(lambda: index, 'listing')


@pytest.mark.parametrize('workers', [0, 1])
def test_alone_and_in_workers_each_works_for_itself(monkeypatch, workers):
    def fail(*args):
        raise AssertionError('broadcast from a worker')

    monkeypatch.setattr('mmlgd.utils.first_rank.broadcast_object_list', fail)
    if workers:
        # As forked workers of a distributed run see it.
        monkeypatch.setattr('mmlgd.utils.first_rank.get_world_size', lambda: 2)
    loader = DataLoader(Listing(), batch_size=None, num_workers=workers)
    assert list(loader) == [0, 1]


def test_errors_of_one_process_pass():
    def fail():
        raise ConfigError('here')

    with pytest.raises(ConfigError, match='here'):
        on_first_rank(fail, 'failing')
