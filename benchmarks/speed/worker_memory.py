"""Shows that loader workers hold no copy of the dataset's list.

A list of synthetic paths stands under UnlabeledImages and SeededViews. Workers, forked
as the Runner does, read entries from its whole length; what each then holds for itself
is compared with that over a short list.
"""

import argparse
import multiprocessing

from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from benchmarks.speed.memory import own_mib
from benchmarks.speed.timing import write_result
from mmlgd.datasets import SeededViews, UnlabeledImages
from mmlgd.utils.tool import run_tool

_SHORT = 1000
_READ = 20000


class SyntheticImages(UnlabeledImages):
    """Paths of images that are not there, as long as ImageNet's.

    Args:
        count (int): How many.
        **kwargs: Other options of ``UnlabeledImages``.
    """

    def __init__(self, count: int, **kwargs) -> None:
        self.count = count
        super().__init__(data_root='/data/imagenet/train', **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict with ``img_path`` an image."""
        return [
            dict(img_path=f'/data/imagenet/train/n{i % 1000:08}/n{i:08}_{i}.JPEG')
            for i in range(self.count)
        ]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=1281167)
    parser.add_argument('--workers', nargs='+', type=int, default=(1, 2, 4))
    parser.add_argument('--out', help='JSON file of the figures')
    return parser.parse_args(argv)


def mean_of_workers(dataset: SeededViews, num_workers: int) -> float:
    """MiB that each worker holds alone, after reading along the whole list."""
    loader = DataLoader(
        dataset,
        batch_size=10,
        sampler=range(0, len(dataset), max(1, len(dataset) // _READ)),
        num_workers=num_workers,
        collate_fn=pseudo_collate,
        multiprocessing_context='fork',
        persistent_workers=True,
    )
    for _ in loader:
        pass
    # Persistent, they are still there.
    workers = multiprocessing.active_children()
    return sum(own_mib(worker.pid) for worker in workers) / len(workers)


def compare(dataset: SeededViews, num_workers: int) -> dict:
    """What a worker holds more over this dataset than over a short one."""
    held = mean_of_workers(dataset, num_workers)
    held_short = mean_of_workers(SeededViews(SyntheticImages(_SHORT)), num_workers)
    return dict(
        workers=num_workers, mib_a_worker=held, mib_a_worker_short_list=held_short
    )


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    dataset = SeededViews(SyntheticImages(args.images))
    list_mib = dataset.dataset.data_bytes.nbytes / 2**20
    rows = [compare(dataset, count) for count in args.workers]
    print(f'The list: {args.images} images, {list_mib:.1f} MiB')
    for row in rows:
        grown = row['mib_a_worker'] - row['mib_a_worker_short_list']
        print(
            f'{row["workers"]} worker(s): {row["mib_a_worker"]:.1f} MiB of its own each, '
            f'{grown:+.1f} against a list of {_SHORT}'
        )
    result = dict(images=args.images, list_mib=list_mib, rows=rows)
    write_result(args.out, result)


if __name__ == '__main__':
    run_tool(main)
