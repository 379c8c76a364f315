"""The list of rows: what is shown, what is wanted, and the time limit."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.gpu import (
    distributed,
    inputs,
    precision,
    speed,
    synchronisation,
    training,
)
from benchmarks.gpu.outcome import Outcome, Setting


class Row(NamedTuple):
    """One row.

    Attributes:
        name (str): Short and unique.
        part (int): Command that runs it, 1 to 3.
        limit (int): Seconds after which it is stopped.
        wanted (str): Condition of a pass.
        run (Callable): Returns the outcome.
        exact (bool): Whether the condition also holds for the tiny sizes of a dry run.
    """

    name: str
    part: int
    limit: int
    wanted: str
    run: Callable[[Setting], Outcome]
    exact: bool = False


def _step(student: str) -> Row:
    wanted = (
        f'stored at least {speed.STORED_OVER_SUPERVISED} of supervised, online at most '
        f'{speed.ONLINE_OVER_PARTS} times teacher plus stored'
    )
    if student == 'mbv3':
        wanted += f', stored at least {speed.STORED_OVER_PUBLISHED} times published'
    return Row(f'step {student}', 2, 150, wanted, partial(speed.step, student=student))


def _losses(dtype: str) -> Row:
    wanted = (
        f'losses on average within {precision.LOSS_TOLERANCE[dtype]:.0%} of float32'
    )
    run = partial(precision.losses, dtype=dtype)
    return Row(f'losses in {dtype}', 1, 90, wanted, run)


def _bank(categories: int) -> Row:
    wanted = f'at least {speed.BANK_SPEED_UP} times as fast as the loop'
    run = partial(speed.bank, categories=categories)
    return Row(f'bank of {categories:,}', 3, 90, wanted, run)


ROWS = (
    Row('tests', 1, 200, 'all tests marked `gpu` pass', training.gpu_tests, exact=True),
    _losses('float16'),
    _losses('bfloat16'),
    Row(
        'GradScaler',
        1,
        60,
        'skips the infinite gradient, halves the scale, goes on; fused optimizer',
        precision.grad_scaler,
        exact=True,
    ),
    Row(
        'teacher in float16',
        1,
        60,
        f'worst cosine with float32 at least {precision.COSINE}',
        precision.half_teacher,
    ),
    Row(
        'SyncBatchNorm',
        1,
        90,
        'two ranks as BatchNorm of the whole batch, within 1e-4',
        distributed.sync_batch_norm,
    ),
    Row(
        'one rank',
        1,
        90,
        'NCCL, losses within 1 % of a run without a group',
        distributed.one_rank,
        exact=True,
    ),
    Row(
        'all ranks',
        1,
        150,
        f'NCCL, efficiency at least {distributed.EFFICIENCY}',
        distributed.all_ranks,
    ),
    Row(
        'host waits',
        1,
        120,
        '0 per step outside logging',
        synchronisation.waits_per_step,
    ),
    _step('mbv3'),
    _step('r18'),
    _step('effb0'),
    Row(
        'channels-last',
        2,
        120,
        'not slower than contiguous (ratio at least 1)',
        speed.channels_last,
    ),
    Row(
        'peak memory',
        2,
        90,
        f'stored at most {speed.STORED_MEMORY} times supervised',
        speed.memory,
    ),
    Row(
        'copies ahead',
        2,
        120,
        f'same batches, images/s at least {inputs.AHEAD_OVER_PLAIN} times those without',
        inputs.prefetch,
        exact=True,
    ),
    Row(
        'device augmentation',
        2,
        90,
        f"the CPU's distribution, at least {inputs.AUGMENTED:,} images/s",
        inputs.device_augmentation,
    ),
    Row(
        'torch.compile',
        3,
        200,
        'no graph break, no graph after step 2, at a changing learning rate',
        speed.compiled,
        exact=True,
    ),
    _bank(80),
    _bank(1203),
    _bank(21000),
    Row(
        'validation',
        3,
        90,
        f'at least {speed.VALIDATION} of the rate of the forward passes',
        speed.validation,
    ),
    Row(
        'launcher',
        3,
        150,
        '`tools/dist_train.sh` with AMP writes its files',
        training.launcher,
        exact=True,
    ),
    Row(
        'demo',
        3,
        240,
        f'top-1 at least {training.ACCURACY:g} %; the classifier agrees within 1 %',
        training.distillation,
        exact=True,
    ),
)


def state_of(row: Row, outcome: Outcome, setting: Setting) -> str:
    """'pass', 'fail', 'not run', or 'dry run', which shows nothing about a GPU."""
    if outcome.passed is None:
        return 'not run'
    if not setting.dry:
        return 'pass' if outcome.passed else 'fail'
    failed = not outcome.passed and (row.exact or outcome.crashed)
    return 'fail' if failed else 'dry run'
