"""Curves are read from mmengine's log, whole or broken."""

import json

import pytest

from mmlgd.report.run_log import MAX_POINTS, log_folders, read_run_log, thin_out


def write_log(work_dir, start, rows):
    """A log as mmengine's LocalVisBackend writes it; texts are written as they are."""
    folder = work_dir / start / 'vis_data'
    folder.mkdir(parents=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / 'scalars.json').write_text('\n'.join(lines) + '\n')


def read(work_dir, per_epoch=None):
    return read_run_log(log_folders(work_dir), per_epoch)


def step(at, epoch=None, **values):
    return dict(
        values, iter=at, step=at, **({} if epoch is None else dict(epoch=epoch))
    )


def test_curves_and_time_of_an_epoch_based_run(tmp_path):
    rows = [
        step(50, 1, loss=2.0, time=0.5),
        dict(top1=10.0, step=1),
        step(112, 2, loss=1.0, time=0.25),
        dict(top1=20.0, step=2),
    ]
    write_log(tmp_path, '20260101_000000', rows)
    log = read(tmp_path, per_epoch=62)
    assert log.training['loss'] == [(50, 2.0), (112, 1.0)]
    # Epoch 1 ends at iteration 62, not at the 50 that were logged before.
    assert log.evaluation == {'top1': [(62, 10.0), (124, 20.0)]}
    assert (log.iterations, log.epochs) == (112, 2)
    assert log.seconds == pytest.approx(50 * 0.5 + 62 * 0.25)
    assert read(tmp_path).evaluation['top1'] == [(50, 10.0), (112, 20.0)]


def test_evaluations_of_an_iteration_based_run_keep_their_iterations(tmp_path):
    rows = [step(100, loss=1.0), dict(top1=5.0, step=120), step(200, loss=0.5)]
    write_log(tmp_path, '20260101_000000', rows)
    assert read(tmp_path).evaluation == {'top1': [(120, 5.0)]}


def test_a_resumed_run_replaces_what_it_repeats(tmp_path):
    first = [step(at, loss=float(at)) for at in (10, 20, 30)]
    write_log(tmp_path, '20260101_000000', first)
    write_log(tmp_path, '20260102_000000', [step(at, loss=0.0) for at in (20, 40)])
    assert read(tmp_path).training['loss'] == [(10, 10.0), (20, 0.0), (40, 0.0)]


def test_broken_lines_and_values_are_skipped_and_counted(tmp_path):
    rows = [
        step(1, loss=1.0),
        '{"loss": NaN, "iter": 2, "step": 2, "lr": 0.1}',
        '{"loss": 3.0, "iter"',
        '[1, 2]',
        '{"loss": "0.5", "iter": 4, "step": 4, "lr": 0.2}',
    ]
    write_log(tmp_path, '20260101_000000', rows)
    log = read(tmp_path)
    assert log.training['loss'] == [(1, 1.0)]
    assert log.training['lr'] == [(2, 0.1), (4, 0.2)]
    assert log.notes == ['20260101_000000: 2 broken line(s) of the log skipped.']


def test_other_folders_are_not_starts_of_a_run(tmp_path):
    write_log(tmp_path, '20260101_000000', [])
    write_log(tmp_path, 'copy of 20260101_000000', [])
    assert [path.name for path in log_folders(tmp_path)] == ['20260101_000000']


def test_a_long_curve_keeps_both_ends():
    points = [(float(i), float(i)) for i in range(5 * MAX_POINTS)]
    thin = thin_out(points)
    assert len(thin) == MAX_POINTS
    assert (thin[0], thin[-1]) == (points[0], points[-1])
    assert thin_out(points[:3]) == points[:3]
