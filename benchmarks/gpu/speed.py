"""Rows on the speed and memory of training steps, banks and validation."""

import gc

import torch
from mmpretrain.structures import DataSample

from benchmarks.gpu.outcome import Outcome, Setting
from benchmarks.speed import bank_update, compile_backbone, train_step
from benchmarks.speed.memory import peak_host_mib
from benchmarks.speed.timing import alternate, deciding_clock, ratio
from benchmarks.speed.train_case import case_of
from benchmarks.speed.train_sides import Sides
from mmlgd.evaluation import ZeroShotAccuracy

BANK_SPEED_UP = 20
#: Wanted of a training step; the keys are those of ``train_step.RATIOS``.
STORED_OVER_SUPERVISED = 0.9
STORED_OVER_PUBLISHED = 4
ONLINE_OVER_PARTS = 1.03
STORED_MEMORY = 1.1
VALIDATION = 0.8
_SIDES = ('supervised', 'stored', 'online', 'published')


def _options(setting: Setting, *more: str) -> list[str]:
    rounds = ['--rounds', setting.pick('7', '1'), '--warm-up', setting.pick('3', '0')]
    return [*setting.options('bfloat16'), *rounds, *more]


def _student(setting: Setting, name: str) -> str:
    return setting.pick(name, 'mbv3_small')


def bank(setting: Setting, categories: int) -> Outcome:
    """The visual bank's update against the authors' loop."""
    rounds = ['--rounds', setting.pick('7', '1'), '--warm-up', setting.pick('2', '0')]
    args = bank_update.parse_args(['--device', setting.device, *rounds])
    batch = setting.pick(256, 8)
    row = bank_update.compare(setting.pick(categories, 80), batch, args)
    gain = row['loop_over_ours']['median']
    times = {name: each['median'] for name, each in row['milliseconds'].items()}
    figure = (
        f'{gain:.1f} times ({times["loop"]:.2f} and {times["ours"]:.2f} ms; '
        f'{times["ours_assigned"]:.2f} ms in training)'
    )
    return Outcome(gain >= BANK_SPEED_UP, figure, row)


def channels_last(setting: Setting) -> Outcome:
    """Training steps and the teacher, contiguous relative to channels-last."""
    gains = {}
    for name in setting.pick(('mbv3', 'r18'), ('mbv3_small',)):
        args = train_step.parse_args(_options(setting))
        cases = {last: Sides(case_of(name, args, last)) for last in (False, True)}
        for side in ('stored', 'teacher'):
            steps = {str(last): each.step(side) for last, each in cases.items()}
            times = alternate(steps, args.rounds, args.warm_up)
            decided = times[deciding_clock(setting.device)]
            gains[f'{name} {side}'] = ratio(decided, 'False', 'True')
    figure = ', '.join(f'{name} {each["median"]:.2f}' for name, each in gains.items())
    return Outcome(all(each['median'] >= 1 for each in gains.values()), figure, gains)


def compiled(setting: Setting) -> Outcome:
    """Compiled backbone: graph breaks, graphs, and the gain of a step."""
    tiny = ['--batch-size', '2', '--backend', 'eager', '--rounds', '1']
    full = ['--batch-size', '128', '--image-size', '224']
    config = setting.pick(
        'configs/lgd/r50_mbv3_fast.py', 'configs/demo/fashion_mnist_mbv3_small.py'
    )
    options = ['--config', config, '--device', setting.device]
    args = compile_backbone.parse_args([*options, *setting.pick(full, tiny)])
    row = compile_backbone.compare(args)
    breaks, graphs = row['graph_breaks'], row['graphs']
    passed = not breaks and graphs[-1] == graphs[1]
    figure = (
        f'{breaks} graph breaks; {graphs[-1]} graph(s), {graphs[-1] - graphs[1]} after '
        f'step 2; uncompiled takes {row["plain_over_compiled"]["median"]:.2f} times'
    )
    return Outcome(passed, figure, row)


def step(setting: Setting, student: str) -> Outcome:
    """Images per second of the trainings, and their share of a product's rate."""
    args = train_step.parse_args(_options(setting, '--skip-memory'))
    row = train_step.compare(_student(setting, student), args)
    figure = ', '.join(
        f'{side} {row["sides"][side]["images_per_second"]:.0f} '
        f'({row["sides"][side]["share_of_peak"]:.0%})'
        for side in _SIDES
    )
    ratios = {name: each['median'] for name, each in row['ratios'].items()}
    supervised, published, online = ratios.values()
    passed = supervised >= STORED_OVER_SUPERVISED and online <= ONLINE_OVER_PARTS
    if student == 'mbv3':
        passed = passed and published >= STORED_OVER_PUBLISHED
    figure += (
        f' images/s; stored {supervised:.2f} of supervised, {published:.1f} times '
        f'published; online {online:.2f} of its parts'
    )
    return Outcome(passed, figure, row)


def memory(setting: Setting) -> Outcome:
    """Peak device memory of the trainings (of the process, on a CPU)."""
    found = {}
    for side in _SIDES:
        args = train_step.parse_args(_options(setting))
        sides = Sides(case_of(_student(setting, 'mbv3'), args))
        train = sides.step(side)
        if setting.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        for _ in range(setting.pick(3, 1)):
            train()
        found[side] = peak_host_mib()
        if setting.on_gpu:
            found[side] = round(torch.cuda.max_memory_allocated() / 2**20)
        del sides, train
        gc.collect()
    figure = ', '.join(f'{side} {mib:,}' for side, mib in found.items())
    passed = found['stored'] <= STORED_MEMORY * found['supervised']
    return Outcome(passed, f'{figure} MiB', found)


def validation(setting: Setting) -> Outcome:
    """Zero-shot validation against the forward passes of student and teacher."""
    args = train_step.parse_args(_options(setting))
    case = case_of(_student(setting, 'mbv3'), args)
    teacher = case.teacher_in(channels_last=True)
    model = case.place(case.lgd(teacher), channels_last=True).eval()
    metric = ZeroShotAccuracy()
    samples = [
        DataSample().set_gt_label(number % case.num_categories)
        for number in range(case.batch_size)
    ]
    batch = dict(inputs=case.images, data_samples=samples)
    autocast = dict(device_type=setting.device, dtype=torch.bfloat16)

    @torch.no_grad()
    def validate() -> None:
        with torch.autocast(**autocast, enabled=setting.on_gpu):
            predicted = model.val_step(batch)
        metric.process(batch, [sample.to_dict() for sample in predicted])

    @torch.no_grad()
    def forward() -> None:
        inputs = model.data_preprocessor(batch)['inputs']
        with torch.autocast(**autocast, enabled=setting.on_gpu):
            model.embed(inputs)
        teacher.encode_image(inputs)

    sides = dict(validation=validate, forward=forward)
    times = alternate(sides, args.rounds, args.warm_up)[deciding_clock(setting.device)]
    share = ratio(times, 'forward', 'validation')['median']
    rate = case.batch_size / sorted(times['validation'])[len(times['validation']) // 2]
    figure = f'{rate:.0f} images/s, {share:.2f} of the forward passes'
    return Outcome(share >= VALIDATION, figure, dict(images_per_second=rate))
