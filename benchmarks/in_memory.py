"""Compares methods on small images in memory: long runs, several seeds, long tails.

    python -m benchmarks.in_memory benchmarks/comparison/configs/cifar10_long_tail.py \
        --methods lgd lgd_plus seed --passes 1 3 --out result.json
    python -m benchmarks.in_memory result.json          # only prints the tables

Methods, data, teacher and student are those of a file of benchmarks/comparison. What
takes most of the time there is shared or replaced here: images are decoded once; views
are drawn once for each pass, embedded by the teacher and used by all methods and seeds;
a closed-form probe replaces those with gradient descent. The seed applies to weights and
order. Finished rows of ``--out`` are not repeated.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torchvision.transforms import v2

from benchmarks.backbone_file import save_backbone
from benchmarks.comparison.methods import Method, run_config
from benchmarks.comparison.plan import SPLITS, Benchmark, load_benchmark
from benchmarks.comparison.report import TRANSFER
from benchmarks.comparison.scene_transfer import measure_transfer, prepare_scenes
from benchmarks.provenance import dump_rows, provenance
from benchmarks.small_depthwise import use_small_depthwise
from demo.scenes.runs import CONFIGS as TASKS
from mmlgd.errors import ConfigError
from mmlgd.evaluation import match_dataset, weighted_knn
from mmlgd.pixels.codec import PixelCodec
from mmlgd.registry import DATASETS, MODELS
from mmlgd.utils.atomic import write_atomically

METRICS = dict(zero_shot='zero-shot', knn='k-NN', probe='probe')
_BATCH = 500
#: Nearest images from which BINGO's positives are drawn, as in tools/build_bags.py.
_BAG = 5


class Images:
    """All images of a dataset in memory, and their views, embedded by the teacher."""

    def __init__(
        self,
        dataset: dict,
        benchmark: Benchmark,
        teacher: torch.nn.Module,
        codec: PixelCodec | None = None,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        size = benchmark.image_size
        # The last step of a pipeline packs an image.
        steps = benchmark.test_pipeline or [dict(type='LoadImageFromFile'), None]
        load = [*steps[:-1], dict(type='Resize', scale=(size, size))]
        self.dataset = DATASETS.build(dict(dataset, pipeline=load))
        items = [self.dataset[index] for index in range(len(self.dataset))]
        self._codec = codec
        pixels = np.stack([item['img'][..., ::-1] for item in items])
        self.pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        self.labels = torch.tensor([int(item.get('gt_label', -1)) for item in items])
        self._teacher, self._size = teacher, size
        self._views, self._embeddings = {}, {}
        # CPU seconds of the views of a pass, and of their embeddings by a teacher.
        self._costs: dict[object, float] = {}
        mean, std = (
            torch.tensor(values)[:, None, None]
            for values in (teacher.image_mean, teacher.image_std)
        )
        self.normalise = lambda images: ((images.float() - mean) / std).contiguous(
            memory_format=memory_format
        )

    def draw(self, number: int) -> torch.Tensor:
        """Views (N, 3, H, W) uint8 of a pass."""
        torch.manual_seed(1000 + number)
        draw = v2.Compose(
            [
                v2.RandomResizedCrop(self._size, scale=(0.5, 1.0)),
                v2.RandomHorizontalFlip(),
            ]
        )
        return torch.stack([self._stored(draw(image)) for image in self.pixels])

    def view(self, number: int) -> torch.Tensor:
        """:meth:`draw`, once."""
        if number not in self._views:
            started = time.process_time()
            self._views[number] = self.draw(number)
            self._costs[number] = time.process_time() - started
        return self._views[number]

    def _stored(self, view: torch.Tensor) -> torch.Tensor:
        """A view (3, H, W) in RGB as a store with pixels returns it."""
        if self._codec is None:
            return view
        return self._codec.decode(self._codec.encode(view.flip(0))).flip(0)

    def embeddings(self, number: int, teachers: list[torch.nn.Module]) -> torch.Tensor:
        """Embeddings (N, D) of the views of a pass, those of the teachers side by side."""
        found = []
        for teacher in teachers:
            key = number, teacher.identity
            if key not in self._embeddings:
                views, started = self.view(number), time.process_time()
                self._embeddings[key] = self.embed(views, teacher.encode_image)
                self._costs[key] = time.process_time() - started
            found.append(self._embeddings[key])
        return torch.cat(found, dim=1)

    def shared_cost(self, number: int, teachers: list[torch.nn.Module]) -> float:
        """CPU seconds that the views of a pass and their embeddings took."""
        keys = [number, *((number, teacher.identity) for teacher in teachers)]
        return sum(self._costs[key] for key in keys)

    def names_of(self, names: list[str]) -> torch.Tensor:
        """Index (N,) of each image's class among names."""
        return torch.tensor(match_dataset(self.dataset, names, 'the images'))[
            self.labels
        ]

    def embed(self, images: torch.Tensor, function: Callable) -> torch.Tensor:
        """Rows of a function of normalised images, batch by batch."""
        with torch.no_grad():
            return torch.cat(
                [function(self.normalise(part)) for part in images.split(_BATCH)]
            )


def train(
    model: torch.nn.Module,
    method: Method,
    images: Images,
    passes: int,
    batch: int,
    seed: int,
    adamw: float | None = None,
    last_size: int | None = None,
) -> float:
    """Train a model in place; return the CPU time in seconds.

    It includes the views and the teacher, as if they were not shared.
    ``adamw`` is a learning rate with which AdamW replaces the method's SGD. With
    ``last_size``, the student's images are enlarged to it in the last tenth.
    """
    generator = torch.Generator().manual_seed(seed)
    started = time.process_time()
    bags = _bags(images) if method.wrapper else None
    used = time.process_time() - started
    lr = adamw or method.lr * batch / 128
    if adamw:
        optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.05)
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), lr, momentum=0.9, weight_decay=1e-4
        )
    per_pass = len(images.pixels) // batch
    total, warm_up = passes * per_pass, min(60, passes * per_pass // 7)
    teachers = _teachers(model, images)
    model.train()
    for step in range(total):
        number, place = divmod(step, per_pass)
        if place == 0:
            order = torch.randperm(len(images.pixels), generator=generator)
            views, rows = images.view(number), None
            embedded_by = teachers if model.learns_from_store else []
            if embedded_by:
                rows = images.embeddings(number, teachers)
            used += images.shared_cost(number, embedded_by)
            if bags is not None:
                mates = images.view(number + passes)
                used += images.shared_cost(number + passes, [])
        started = time.process_time()
        chosen = order[place * batch : (place + 1) * batch]
        inputs = images.normalise(views[chosen])
        if step >= 0.9 * total:
            model.student_size = last_size
        if bags is None:
            stored = None if rows is None else rows[chosen]
            losses = model(inputs, mode='loss', teacher_embeddings=stored)
        else:
            drawn = torch.randint(_BAG, (batch,), generator=generator)
            positives = images.normalise(mates[bags[chosen, drawn]])
            losses = model([inputs, positives], mode='loss')
        if step < warm_up:
            rate = 0.125 + 0.875 * step / warm_up
        else:
            rate = 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / (total - warm_up))
        optimizer.param_groups[0]['lr'] = lr * rate
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        used += time.process_time() - started
    model.student_size = None
    return used


def _teachers(model: torch.nn.Module, images: Images) -> list[torch.nn.Module]:
    """The teachers of a model; sets the statistics of those after the first."""
    further = [one.teacher for one in getattr(model, 'further_teachers', ())]
    for number, teacher in enumerate(further, 1):
        statistics = model.feature_statistics[f'features_{number}']
        rows = F.normalize(images.embeddings(0, [teacher]), dim=1)
        statistics.fit(statistics.moments(rows), teacher.identity)
    return [images._teacher, *further]


def _bags(images: Images) -> torch.Tensor:
    """The nearest other images (N, 5) in the teacher's space."""
    rows = images.embed(images.pixels, images._teacher.encode_image)
    nearest = [(part @ rows.T).topk(_BAG + 1).indices for part in rows.split(_BATCH)]
    return torch.cat(nearest)[:, 1:]


def evaluate(
    model: torch.nn.Module, labelled: Images, tested: Images
) -> dict[str, float]:
    """Top-1 accuracy in percent: zero-shot, k-NN and a ridge regression on labels."""
    model.eval()
    bank = model.prediction_bank
    names = bank.category_names
    known, truth = labelled.names_of(names), tested.names_of(names)
    rows = tested.embed(tested.pixels, model.embed)
    features, queries = (
        one.embed(one.pixels, model.extract_feat) for one in (labelled, tested)
    )
    votes = weighted_knn(queries, features, known, len(names))
    mean, std = features.mean(dim=0), features.std(dim=0) + 1e-6
    inputs, queries = (
        F.pad((one - mean) / std, (0, 1), value=1.0).double()
        for one in (features, queries)
    )
    targets = F.one_hot(known, len(names)).double()
    # 100 is the best of 10, 100 and 1,000 on the validation images for all methods.
    gram = inputs.T @ inputs + 100 * torch.eye(inputs.shape[1], dtype=torch.float64)
    scores = queries @ torch.linalg.solve(gram, inputs.T @ targets)
    predictions = dict(zero_shot=rows @ bank.embeddings.T, knn=votes, probe=scores)
    return {
        name: round(100 * (each.argmax(1) == truth).double().mean().item(), 2)
        for name, each in predictions.items()
    }


def run(benchmark: Benchmark, args: argparse.Namespace) -> None:
    """Train and evaluate what is missing in the output."""
    init_default_scope('mmlgd')
    benchmark.read_data()
    teacher = MODELS.build(benchmark.teacher)
    size = benchmark.image_size
    codec = None
    if args.pixels:
        name, _, quality = args.pixels.partition(':')
        codec = PixelCodec(name, int(quality), size, size)
    images = Images(benchmark.images, benchmark, teacher, codec)
    labelled = Images(benchmark.train, benchmark, teacher)
    # A part of the labelled images suffices for k-NN and the probe.
    part = _part(len(labelled.pixels), 20_000)
    labelled.pixels, labelled.labels = labelled.pixels[part], labelled.labels[part]
    if args.images:
        images.pixels = images.pixels[_part(len(images.pixels), args.images)]
    tested = Images(getattr(benchmark, args.split), benchmark, teacher)
    wanted = [benchmark.methods[name] for name in args.methods or benchmark.methods]
    made_of = dict(title=benchmark.title, split=args.split, images=len(images.pixels))
    result = _read(args.out) or dict(made_of, rows=[])
    if not made_of.items() <= result.items():
        raise ConfigError(
            f'{args.out} has results of {result["images"]:,} images ({result["title"]}, '
            f'{result["split"]} split), which cannot be mixed with those of '
            f'{made_of["images"]:,} ({made_of["title"]}, {args.split} split); set '
            'another --out.'
        )
    for seed, passes in [(s, p) for s in args.seeds for p in args.passes]:
        for method in wanted:
            title = method.title + (f', AdamW {args.adamw:g}' if args.adamw else '')
            title += f', {args.pixels}' if args.pixels else ''
            if args.last_size:
                title += f', last tenth at {args.last_size} pixels'
            key = dict(method=title, passes=passes, seed=seed)
            if any(key.items() <= row.items() for row in result['rows']):
                continue
            torch.manual_seed(seed)
            cfg: Config = run_config(benchmark, method, seed, Path(args.out).parent)
            if 'teachers' in cfg.model:
                cfg.model.teachers[0] = teacher
            else:
                cfg.model.teacher = teacher
            model = MODELS.build(cfg.model)
            model.init_weights()
            model.build_text_banks()
            use_small_depthwise(model)
            model.to(memory_format=torch.channels_last)
            batch = benchmark.batch_size
            options = passes, batch, seed, args.adamw, args.last_size
            cost = train(model, method, images, *options)
            row = dict(key, **evaluate(model, labelled, tested), cost=round(cost))
            if args.transfer:
                settings = dict(benchmark.settings['transfer'], tasks=args.transfer)
                row.update(transfer(model, settings, seed, Path(args.out).parent))
            # Another process may have added rows.
            result['rows'] = (_read(args.out) or result)['rows'] + [row]
            result['provenance'] = provenance()
            write_atomically(Path(args.out), dump_rows(result))
            print(json.dumps(row), flush=True)


def transfer(
    model: torch.nn.Module, settings: dict, seed: int, folder: Path
) -> dict[str, float]:
    """Box AP, mask AP and mIoU in percent on scenes."""
    place = folder / 'transfer' / f'{type(model).__name__}_{seed}'
    prepare_scenes(place.parent, settings)
    place.mkdir(exist_ok=True)
    save_backbone(model, place / 'backbone.pth')
    found = measure_transfer(place, place / 'backbone.pth', seed, settings)
    return {name: found[name] for name in TRANSFER if name in found}


def _part(total: int, number: int) -> torch.Tensor:
    """Indices of a random part, always the same one."""
    generator = torch.Generator().manual_seed(0)
    return torch.randperm(total, generator=generator)[:number]


def _read(path: str) -> dict | None:
    file = Path(path)
    return json.loads(file.read_text(encoding='utf-8')) if file.is_file() else None


def report(result: dict, reference: str) -> str:
    """Tables in Markdown: mean and deviation, and differences paired by seed."""
    measured = set.intersection(*(set(row) for row in result['rows']))
    metrics = {n: title for n, title in (METRICS | TRANSFER).items() if n in measured}
    lines = [
        f'# {result["title"]}',
        '',
        f'{result["images"]:,} unlabeled images, accuracy in percent on the '
        f'{result["split"]} images: mean ± standard deviation (n - 1) over the seeds. In '
        f'brackets: {reference} minus the method, paired by seed. Cost: CPU time of a '
        'training; it includes the teacher for BINGO and the dense term.',
        '',
        '| method | passes | seeds | ' + ' | '.join(metrics.values()) + ' | cost (s) |',
        '|---|---:|---:|' + '---:|' * (len(metrics) + 1),
    ]
    rows = {(r['method'], r['passes'], r['seed']): r for r in result['rows']}
    groups = sorted({key[:2] for key in rows}, key=lambda key: (key[1], key[0]))
    for method, passes in groups:
        seeds = sorted(k[2] for k in rows if k[:2] == (method, passes))
        cells = []
        for metric in metrics:
            values = [rows[method, passes, seed][metric] for seed in seeds]
            gaps = [
                rows[reference, passes, seed][metric]
                - rows[method, passes, seed][metric]
                for seed in seeds
                if method != reference and (reference, passes, seed) in rows
            ]
            cells.append(_spread(values) + (f' ({_spread(gaps)})' if gaps else ''))
        cost = statistics.mean(rows[method, passes, seed]['cost'] for seed in seeds)
        cells.append(f'{cost:.0f}')
        lines.append(
            f'| {method} | {passes} | {len(seeds)} | ' + ' | '.join(cells) + ' |'
        )
    origin = result['provenance']
    lines += ['', f'- {origin["machine"]}; commit {origin["commit"]}', '']
    lines[-1:] = [f'- to reproduce: `{origin["command"]}`', '']
    return '\n'.join(lines)


def _spread(values: list[float]) -> str:
    mean = f'{statistics.mean(values):.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean


def main() -> None:
    """Run what is missing, print the tables and write them beside the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('benchmark', help='a benchmark file, or the JSON of a result')
    parser.add_argument('--methods', nargs='+', help='default: those of the file')
    parser.add_argument('--passes', nargs='+', type=int, default=[1])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--split', choices=SPLITS, default='test')
    parser.add_argument('--images', type=int, help='train on this many of the images')
    parser.add_argument('--adamw', type=float, help='its learning rate, not SGD')
    parser.add_argument('--last-size', type=int, help='pixels in the last tenth')
    parser.add_argument('--transfer', nargs='+', choices=TASKS, help='to scenes, too')
    parser.add_argument(
        '--pixels', metavar='CODEC:QUALITY', help='store views so, such as webp:90'
    )
    parser.add_argument('--reference', default='LGDPlus', help='a title')
    parser.add_argument('--out', default='work_dirs/benchmarks/in_memory.json')
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.benchmark.endswith('.json'):
        args.out = args.benchmark
    else:
        run(load_benchmark(args.benchmark), args)
    text = report(
        json.loads(Path(args.out).read_text(encoding='utf-8')), args.reference
    )
    write_atomically(Path(args.out).with_suffix('.md'), text)
    print(text)


if __name__ == '__main__':
    main()
