"""Shows that data loader workers do not copy the dataset's list.

UnlabeledImages and SeededViews use a list of synthetic paths. Workers are forked as by
the Runner, and read entries distributed over the whole list. Their private memory is
compared with that for a short list.
"""

import argparse
import multiprocessing

from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from benchmarks.speed.memory import own_mib
from benchmarks.speed.timing import write_result
from mmlgd.datasets import SeededViews, UnlabeledImages
from mmlgd.datasets.image_names import ImageNames
from mmlgd.utils.tool import run_tool

_SHORT = 1000
_READ = 20000


class SyntheticImages(UnlabeledImages):
    """Paths of images that do not exist, of the same length as ImageNet's.

    Args:
        count (int): Number of paths.
        **kwargs: Other options of ``UnlabeledImages``.
    """

    def __init__(self, count: int, **kwargs) -> None:
        self.count = count
        super().__init__(data_root='/data/imagenet/train', **kwargs)

    def load_data_list(self) -> ImageNames:
        """A data info with ``img_path`` per image."""
        names = (f'n{i % 1000:08}/n{i:08}_{i}.JPEG' for i in range(self.count))
        return ImageNames.pack('/data/imagenet/train/', names)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=1281167)
    parser.add_argument('--workers', nargs='+', type=int, default=(1, 2, 4))
    parser.add_argument('--out', help='JSON file for the results')
    return parser.parse_args(argv)


def mean_of_workers(dataset: SeededViews, num_workers: int) -> float:
    """Private memory of each worker in MiB, after reading across the whole list."""
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
    # The workers are persistent and still running.
    workers = multiprocessing.active_children()
    return sum(own_mib(worker.pid) for worker in workers) / len(workers)


def compare(dataset: SeededViews, num_workers: int) -> dict:
    """Additional private memory of a worker compared with a short dataset."""
    held = mean_of_workers(dataset, num_workers)
    held_short = mean_of_workers(SeededViews(SyntheticImages(_SHORT)), num_workers)
    return dict(
        workers=num_workers, mib_a_worker=held, mib_a_worker_short_list=held_short
    )


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    dataset = SeededViews(SyntheticImages(args.images))
    names = dataset.dataset.data_list
    list_mib = (names.texts.nbytes + names.ends.nbytes) / 2**20
    rows = [compare(dataset, count) for count in args.workers]
    print(f'List: {args.images} images, {list_mib:.1f} MiB')
    for row in rows:
        grown = row['mib_a_worker'] - row['mib_a_worker_short_list']
        print(
            f'{row["workers"]} worker(s): {row["mib_a_worker"]:.1f} MiB private memory each, '
            f'{grown:+.1f} compared with a list of {_SHORT}'
        )
    result = dict(images=args.images, list_mib=list_mib, rows=rows)
    write_result(args.out, result)


if __name__ == '__main__':
    run_tool(main)
