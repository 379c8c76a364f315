"""Measures the visual bank's update against a plain loop over the categories.

Both use the same batches of teacher embeddings, and assign each row to a category by
its text embedding. Before the measurement, both banks are compared after a few batches.
"""

import argparse
import sys
from collections.abc import Callable
from itertools import cycle

import torch
import torch.nn.functional as F

from benchmarks.speed.published import LoopedBank
from benchmarks.speed.timing import alternate, machine, ratio, spread, write_result
from mmlgd.models.banks import VisualSemanticsBank
from mmlgd.utils.tool import run_tool

#: COCO, ImageNet-1k, LVIS and ImageNet-21k.
CATEGORIES = (80, 1000, 1203, 21000)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--categories', nargs='+', type=int, default=CATEGORIES)
    parser.add_argument('--batch-sizes', nargs='+', type=int, default=(16, 256))
    parser.add_argument('--embed-dims', type=int, default=1024)
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu'
    )
    parser.add_argument('--threads', type=int, default=1, help='default: 1')
    parser.add_argument('--rounds', type=int, default=21)
    parser.add_argument('--warm-up', type=int, default=5)
    parser.add_argument('--out', help='JSON file for the results')
    return parser.parse_args(argv)


class Sides:
    """Both banks, with the same initial values and the same batches.

    Args:
        num_categories (int): C.
        batch_size (int): B.
        embed_dims (int): D.
        device (str): Device of all tensors.
    """

    def __init__(
        self, num_categories: int, batch_size: int, embed_dims: int, device: str
    ) -> None:
        torch.manual_seed(num_categories)
        self.text_anchors = _unit_rows(num_categories, embed_dims).to(device)
        self.ours = VisualSemanticsBank(num_categories, embed_dims).to(device)
        self.loop = LoopedBank(self.ours.embeddings.clone())
        # Each row is near a text embedding. Some categories have several images, most
        # none.
        owners = torch.randint(num_categories, (8, batch_size))
        noise = _unit_rows(8, batch_size, embed_dims).to(device)
        self.batches = F.normalize(self.text_anchors[owners] + noise, dim=2)
        self.assignments = owners.to(device)

    def updates(self) -> dict[str, Callable[[], None]]:
        """Functions that update a bank with its next batch, by name.

        ``ours_assigned`` gets the categories computed by the loss, as in training; the
        others compute them.
        """
        batches = {
            name: cycle(zip(self.batches, self.assignments))
            for name in ('loop', 'ours', 'ours_assigned')
        }

        def loop() -> None:
            self.loop.update(next(batches['loop'])[0], self.text_anchors)

        def ours() -> None:
            self.ours.update(next(batches['ours'])[0], self.text_anchors)

        def ours_assigned() -> None:
            rows, assignment = next(batches['ours_assigned'])
            self.ours.update(rows, self.text_anchors, assignment)

        return dict(loop=loop, ours=ours, ours_assigned=ours_assigned)

    def largest_difference(self) -> float:
        """Largest difference between the elements of both banks after a few batches."""
        updates = self.updates()
        # The last batch updates rows that were seen before.
        for _ in range(len(self.batches) + 1):
            updates['loop']()
            updates['ours']()
        seen = self.ours.seen.cpu()
        if not torch.equal(seen, self.loop.seen.cpu()) or not seen.any():
            return float('inf')
        return (self.ours.embeddings - self.loop.embeddings).abs().max().item()


def _unit_rows(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def compare(
    num_categories: int, batch_size: int, args: argparse.Namespace
) -> dict[str, object]:
    """Results for one number of categories and one batch size."""
    sides = Sides(num_categories, batch_size, args.embed_dims, args.device)
    difference = sides.largest_difference()
    if difference > 1e-5:
        sys.exit(f'The banks differ by {difference:g} at C = {num_categories}.')
    times = alternate(sides.updates(), args.rounds, args.warm_up)
    clock = machine(args.device, args.threads)['clock']
    return dict(
        num_categories=num_categories,
        batch_size=batch_size,
        largest_difference=difference,
        milliseconds={
            name: spread([1000 * value for value in values])
            for name, values in times[clock].items()
        },
        loop_over_ours=ratio(times[clock], 'loop', 'ours'),
        loop_over_ours_assigned=ratio(times[clock], 'loop', 'ours_assigned'),
        times=times,
    )


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    rows = []
    print('     C    B | loop ms  ours ms  categories given | times faster (quartiles)')
    for batch_size in args.batch_sizes:
        for num_categories in args.categories:
            row = compare(num_categories, batch_size, args)
            rows.append(row)
            spent = {name: each['median'] for name, each in row['milliseconds'].items()}
            gain = row['loop_over_ours']
            print(
                f'{num_categories:6} {batch_size:4} | {spent["loop"]:7.2f}  '
                f'{spent["ours"]:7.2f}  {spent["ours_assigned"]:16.2f} | '
                f'{gain["median"]:.1f} ({gain["low"]:.1f} to {gain["high"]:.1f})',
                flush=True,
            )
    result = dict(machine(args.device, args.threads), embed_dims=args.embed_dims)
    write_result(args.out, dict(result, rows=rows))


if __name__ == '__main__':
    run_tool(main)
