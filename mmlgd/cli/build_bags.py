r"""Write the bags that BINGO trains on: each image's nearest neighbours.

    mmlgd build-bags configs/baselines/bingo_r50_r18.py \
        --out data/imagenet/bags_rn50.pth

The config's teacher embeds the images of its train_dataloader with the pipeline of its
val_dataloader. Neighbours are exact. Prints a JSON summary. Training reads the file
through `BagPairs`, which refuses it for other images or another teacher.
"""

import argparse
import json
import time
from typing import TYPE_CHECKING

from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.tool import add_config_options

# What imports torch is imported where it is used, so that --help is quick.
if TYPE_CHECKING:
    from mmlgd.datasets import Bags


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='distillation config file')
    parser.add_argument('--out', required=True, help='bag file to write')
    parser.add_argument(
        '--k', type=int, default=5, help='neighbours in a bag; default %(default)s'
    )
    parser.add_argument('--device', help='default: the GPU, if there is one')
    add_config_options(parser)
    return parser.parse_args(argv)


def build(args: argparse.Namespace) -> tuple['Bags', dict]:
    """Embed the images and find their neighbours.

    Returns:
        tuple[Bags, dict]: The bags, and statistics for the summary.

    Raises:
        ConfigError: The config has no teacher, ``k`` is out of range for the number of
            images, or the file cannot be written.
    """
    from mmengine.device import get_device
    from mmengine.registry import init_default_scope

    from mmlgd.apis import teacher_features, unlabeled_loader
    from mmlgd.datasets import (
        Bags,
        check_neighbour_count,
        image_list_digest,
        nearest_neighbours,
    )
    from mmlgd.registry import MODELS
    from mmlgd.utils.annotation_files import check_annotation_files
    from mmlgd.utils.run_config import read_config

    check_output_file(args.out)
    device = args.device or get_device()
    cfg = read_config(args.config, args.cfg_options, ['model', 'train_dataloader'])
    if not cfg.model.get('teacher'):
        raise ConfigError(
            f'The model of {args.config!r} has no teacher; give a distillation config.'
        )
    init_default_scope('mmlgd')
    check_annotation_files(cfg, ['train_dataloader'])
    loader = unlabeled_loader(cfg)
    # Checked before the images are embedded, which takes long.
    check_neighbour_count(args.k, len(loader.dataset))
    teacher = MODELS.build(cfg.model.teacher)
    features = teacher_features(teacher, loader, device).to(device)
    neighbours = nearest_neighbours(features, args.k)
    # Mean over all pairs, to compare the similarity of the neighbours with.
    mean = features.mean(dim=0)
    found = (features[neighbours[:, 0].to(device).long()] * features).sum(dim=1)
    numbers = dict(
        embed_dims=features.shape[1],
        similarity_nearest=round(found.mean().item(), 4),
        similarity_all=round((mean @ mean).item(), 4),
    )
    images = image_list_digest(loader.dataset)
    return Bags(neighbours, teacher.identity, images), numbers


def main(argv: list[str] | None = None) -> None:
    """Build and write the bags."""
    args, start = parse_args(argv), time.perf_counter()
    bags, numbers = build(args)
    bags.save(args.out)
    summary = dict(
        out=args.out,
        images=len(bags.neighbours),
        k=bags.k,
        teacher=bags.teacher,
        image_list=bags.images,
        **numbers,
        seconds=round(time.perf_counter() - start, 1),
    )
    print(json.dumps(summary))
