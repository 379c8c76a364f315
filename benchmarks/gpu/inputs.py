"""Rows on the way of images to the device: copies ahead, augmentation there."""

import math
import time
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks import ROOT
from benchmarks.gpu.outcome import Outcome, Setting
from benchmarks.speed import train_step
from benchmarks.speed.timing import alternate, deciding_clock
from benchmarks.speed.train_case import Case, case_of
from mmlgd.engine.prefetching import LoaderAhead, SideStream, keep_on_host
from mmlgd.registry import MODELS, TRANSFORMS
from mmlgd.utils.rng import seeded

#: Wanted throughput with copies ahead, relative to that without. Rates vary by a few %.
AHEAD_OVER_PLAIN = 0.97
#: Wanted images per second of the augmentation on the device.
AUGMENTED = 10_000
#: Largest mean difference from the CPU's view of the same seed, in gray levels.
LEVELS = 2.5
_CONFIGS = dict(cpu='lgd/r50_mbv3.py', device='lgd/r50_mbv3_device-aug.py')


class _Samples(Dataset):
    """Images that differ, with stored embeddings.

    Args:
        case (Case): Batch size and sizes of the teacher.
        batches (int): Number of batches.
    """

    def __init__(self, case: Case, batches: int) -> None:
        size, self.length = case.sizes.image_size, batches * case.batch_size
        self.images = torch.randint(256, (64, 3, size, size), dtype=torch.uint8)
        self.rows = case.unit_rows(64).half()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        return dict(
            inputs=self.images[index % 64] + index % 251,
            data_samples=DataSample(),
            teacher_embeddings=self.rows[index % 64],
        )


def prefetch(setting: Setting) -> Outcome:
    """Batches and throughput with copies ahead, as of ``PrefetchHook``, and without."""
    case = case_of(
        setting.pick('mbv3', 'mbv3_small'),
        train_step.parse_args(setting.options('bfloat16')),
    )
    model = case.place(case.lgd(case.sizes), channels_last=True).train()
    wrapper, cast = case.optim_wrapper(model), model.data_preprocessor.cast_data
    plain = DataLoader(
        _Samples(case, setting.pick(40, 4)),
        case.batch_size,
        num_workers=setting.pick(8, 1),
        persistent_workers=True,
        pin_memory=setting.on_gpu,
        collate_fn=default_collate,
    )

    def send(batch: dict) -> dict:
        samples = batch.pop('data_samples')
        return dict(cast(batch), data_samples=samples)

    start = keep_on_host
    if setting.on_gpu:
        start = SideStream(torch.device(setting.device), send).start
    loaders = dict(plain=plain, ahead=LoaderAhead(plain, start))
    sums = [[_sum(batch, setting) for batch in each] for each in loaders.values()]
    same = len(sums[0]) > 2 and torch.equal(*map(torch.stack, sums))
    rates: dict[str, list[float]] = dict(plain=[], ahead=[])
    for _ in range(setting.pick(3, 1)):
        for name, loader in loaders.items():
            rates[name].append(
                _rate(loader, lambda batch: model.train_step(batch, wrapper), setting)
                * case.batch_size
            )
    best = {name: max(each) for name, each in rates.items()}
    faster = best['ahead'] / best['plain']
    figure = (
        f'{"same" if same else "OTHER"} batches; {best["ahead"]:.0f} images/s, '
        f'{faster:.2f} times those without'
    )
    passed = same and (setting.dry or faster >= AHEAD_OVER_PLAIN)
    return Outcome(passed, figure, rates)


def _sum(batch: dict, setting: Setting) -> Tensor:
    """A number that depends on every pixel and its place, on the device."""
    images = batch['inputs'].to(setting.device).flatten().long()
    return (images * torch.arange(1, len(images) + 1, device=images.device)).sum()


def _rate(loader: Iterable[dict], step: Callable, setting: Setting) -> float:
    """Steps per second after the first."""
    for number, batch in enumerate(loader):
        step(batch)
        if number == 0:
            _wait(setting)
            begin = time.perf_counter()
    _wait(setting)
    return number / (time.perf_counter() - begin)


def _wait(setting: Setting) -> None:
    if setting.on_gpu:
        torch.cuda.synchronize()


def device_augmentation(setting: Setting) -> Outcome:
    """Views augmented on the device against those of the CPU, and their rate."""
    init_default_scope('mmlgd')
    steps = {name: _photometric(config) for name, config in _CONFIGS.items()}
    preprocessor = MODELS.build(dict(type='DistillDataPreprocessor'))
    preprocessor.to(setting.device)
    count = setting.pick(1000, 40)

    def views(name: str, seeds: range) -> Tensor:
        inputs = _draw(steps[name], seeds, size=32)
        if name == 'cpu':
            return inputs.float()
        return preprocessor(dict(inputs=inputs), training=True)['inputs'].cpu()

    ours, same_seeds = (views(name, range(count)) for name in ('device', 'cpu'))
    levels = (ours - same_seeds).abs().mean().item()
    others = views('cpu', range(count, 2 * count))
    distances = {
        name: kolmogorov_smirnov(first, second)
        for (name, first), second in zip(
            _statistics(ours).items(), _statistics(others).values()
        )
    }
    # Significant at 0.001.
    limit = math.sqrt(-math.log(0.001 / 2) / count)
    size, batch = setting.pick((224, 256), (32, 4))
    inputs = _draw(steps['device'], range(batch), size)
    if setting.on_gpu:
        inputs = dict(inputs, image=inputs['image'].pin_memory())
    times = alternate(
        dict(ours=lambda: preprocessor(dict(inputs=inputs), training=True)),
        setting.pick(7, 1),
        setting.pick(3, 0),
    )[deciding_clock(setting.device)]['ours']
    rate = batch / sorted(times)[len(times) // 2]
    worst = max(distances.values())
    figure = (
        f'distance of distributions {worst:.3f} (limit {limit:.3f}), {levels:.2f} levels '
        f'from the CPU; {rate:.0f} images/s'
    )
    passed = worst <= limit and levels <= LEVELS and rate >= AUGMENTED
    return Outcome(
        passed, figure, dict(distances, levels=levels, images_per_second=rate)
    )


def _photometric(config: str) -> list:
    """The steps of a training pipeline that change colours, blur, and pack."""
    dataset = Config.fromfile(ROOT / 'configs' / config).train_dataloader.dataset
    steps = dataset.dataset.pipeline
    moved = ('FastRandomResizedCrop', 'FastRandomFlip')
    return [TRANSFORMS.build(step) for step in steps if step.type not in moved]


def _draw(steps: list, seeds: range, size: int) -> Tensor | dict:
    """A batch of views of one picture with shapes and detail."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.zeros(1, 3, size, size)
    for octave in range(5):
        coarse = torch.rand(1, 3, 2**octave + 1, 2**octave + 1, generator=generator)
        coarse = F.interpolate(2 * coarse - 1, (size, size), mode='bicubic')
        picture += 90 * coarse / 2**octave
    image = (picture + 128).clamp(0, 255).byte()[0].permute(1, 2, 0).contiguous()
    views = []
    for seed in seeds:
        results = dict(img=image.numpy().copy())
        with seeded(seed):
            for step in steps:
                results = step(results)
        views.append(dict(inputs=results['inputs']))
    return default_collate(views)['inputs']


def _statistics(views: Tensor) -> dict[str, Tensor]:
    """Numbers (B,) of BGR views: brightness, contrast, colours and sharpness."""
    blue, green, red = views.unbind(1)
    gray = views.mean(1)
    return dict(
        brightness=gray.mean((1, 2)),
        contrast=gray.std((1, 2)),
        saturation=(views.amax(1) - views.amin(1)).mean((1, 2)),
        red=(red - green).mean((1, 2)),
        blue=(blue - green).mean((1, 2)),
        sharpness=gray.diff(dim=2).abs().mean((1, 2)),
    )


def kolmogorov_smirnov(first: Tensor, second: Tensor) -> float:
    """Largest distance between the distribution functions of two samples (N,), (M,)."""
    values = torch.cat([first, second]).sort().values
    shares = [
        torch.searchsorted(each.sort().values, values, right=True) / len(each)
        for each in (first, second)
    ]
    return (shares[0] - shares[1]).abs().max().item()
