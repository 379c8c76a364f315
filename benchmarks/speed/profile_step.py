"""Profiles a training iteration in a run of mmengine's Runner.

The hooks are those of configs/_base_/default_runtime.py, without checkpoints. Images
are decoded in memory. A stopwatch around the Runner's calls measures the phases;
``--operators`` adds operators of one iteration from torch.profiler.
"""

import argparse
import tempfile

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.stopwatch import Stopwatch, WatchedLoader
from benchmarks.speed.timing import deciding_clock, machine, spread, write_result
from benchmarks.speed.train_case import BASES, Case, add_case_arguments, case_of
from mmlgd.utils.tool import run_tool

_OF_FILES = ('BrokenImagesHook', 'ExportBackboneHook', 'ReportHook')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_case_arguments(parser)
    parser.add_argument('--students', nargs='+', default=['mbv3', 'r18', 'effb0'])
    parser.add_argument(
        '--sides', nargs='+', choices=('stored', 'online'), default=['stored', 'online']
    )
    parser.add_argument('--iterations', type=int, default=4)
    parser.add_argument(
        '--operators', type=int, default=0, help='number of listed operators'
    )
    return parser.parse_args(argv)


def build_runner(side: str, case: Case, iterations: int, work_dir: str) -> Runner:
    """A Runner that trains repeatedly on one batch of images."""
    is_stored = side == 'stored'
    batch = case.stored_batch if is_stored else case.batch
    names = ('inputs', 'data_samples', 'teacher_embeddings')[: 3 if is_stored else 2]
    items = [
        dict(zip(names, values)) for values in zip(*(batch[name] for name in names))
    ]
    teacher = case.sizes if is_stored else case.teacher_in(case.channels_last)
    model = case.lgd(teacher)
    runtime = Config.fromfile(BASES / 'default_runtime.py')
    return Runner(
        model=model,
        work_dir=work_dir,
        train_dataloader=dict(
            dataset=items,
            batch_size=case.batch_size,
            num_workers=0,
            pin_memory=case.device != 'cpu',
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='InfiniteSampler'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=case.optim_wrapper(model),
        default_hooks=dict(runtime.default_hooks, checkpoint=None),
        # There are no image files that could be broken, and no backbone to export.
        custom_hooks=[
            hook for hook in runtime.custom_hooks if hook['type'] not in _OF_FILES
        ],
        randomness=dict(seed=0),
        default_scope='mmlgd',
        experiment_name=f'{side}_{case.student}',
        log_level='WARNING',
    )


def phases_of(side: str, case: Case, args: argparse.Namespace) -> dict:
    """Seconds of each phase of an iteration, and the most expensive operators."""
    stopwatch = Stopwatch(deciding_clock(args.device))
    with tempfile.TemporaryDirectory() as work_dir:
        runner = build_runner(side, case, args.iterations + 2, work_dir)
        model, loop = runner.model, runner.train_loop
        loop.dataloader_iterator = WatchedLoader(loop.dataloader_iterator, stopwatch)
        stopwatch.watch(runner, 'call_hook', 'hooks')
        stopwatch.watch(model.data_preprocessor, 'forward', 'preprocessing')
        stopwatch.watch(model, 'targets', 'teacher')
        stopwatch.watch(model, 'embed', 'student, forward')
        stopwatch.watch(model, 'guide', 'losses and banks')
        stopwatch.watch(runner.optim_wrapper, 'backward', 'backward')
        for method in ('step', 'zero_grad'):
            stopwatch.watch(runner.optim_wrapper, method, 'optimizer')
        stopwatch.watch(loop, 'run_iter', 'iteration')
        runner.train()
        found = {}
        # The first iteration warms up.
        for phase in stopwatch.iterations[1]:
            found[phase] = spread([each[phase] for each in stopwatch.iterations[1:]])
        # Loading comes before the Runner's iteration.
        loading = found['loading and collation']['median']
        total = found.pop('iteration')['median'] + loading
        told = sum(each['median'] for each in found.values())
        found['rest'] = spread([total - told])
        return dict(
            seconds=total, phases=found, operators=_operators(runner, args.operators)
        )


def _operators(runner: Runner, count: int) -> list[dict]:
    """The operators with the largest self time in one step."""
    if count == 0:
        return []
    batch = next(iter(runner.train_dataloader))
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        runner.model.train_step(batch, runner.optim_wrapper)
    name = f'self_{"device" if torch.cuda.is_available() else "cpu"}_time_total'
    averages = profiler.key_averages()
    total = sum(getattr(each, name) for each in averages)
    largest = sorted(averages, key=lambda each: getattr(each, name), reverse=True)
    return [
        dict(name=each.key, share=getattr(each, name) / total, calls=each.count)
        for each in largest[:count]
    ]


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    init_default_scope('mmlgd')
    rows = []
    for student in args.students:
        case = case_of(student, args)
        for side in args.sides:
            row = phases_of(side, case, args)
            rows.append(dict(student=student, side=side, **row))
            print(f'{student}, {side}: {row["seconds"]:.3f} s per iteration')
            for phase, seconds in row['phases'].items():
                print(f'  {seconds["median"] / row["seconds"]:6.1%}  {phase}')
            for operator in row['operators']:
                print(f'    {operator["share"]:6.1%}  {operator["name"]}', flush=True)
    result = dict(machine(args.device, args.threads), batch_size=args.batch_size)
    write_result(args.out, dict(result, rows=rows))


if __name__ == '__main__':
    run_tool(main)
