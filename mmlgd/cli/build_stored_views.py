r"""Store augmented views of the training images with the teacher's embeddings.

    mmlgd build-stored-views configs/lgd/r50_mbv3.py --views 10 \
        --out data/imagenet/views_rn50

Images, transforms, the seed of the views and the teacher are those of the config; batch
size and workers are those of its train_dataloader. The same command resumes a build that
was killed, at the shard that it was writing. A larger --views or more images extend a
store. Several processes can share the work: the ranks of a launcher (`torchrun
--nproc_per_node 8 tools/build_stored_views.py ... --launcher pytorch`), and machines
with --part 1/2 and --part 2/2; the last one to end finishes the store.

--pixels stores the views themselves, too, as JPEG or WebP at the student's size.
Training then needs neither the images nor the teacher, and draws nothing.

--verify compares the shards with their checksums and computes some views again. Prints
a JSON summary. Training reads the folder through `StoredViews` (with pixels,
`StoredPixels`) and `StoredTeacher`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from mmlgd.apis.stored_views import prepare_views
from mmlgd.datasets.imagenet_subsets import NUM_TRAIN
from mmlgd.errors import ConfigError
from mmlgd.pixels.codec import CODECS
from mmlgd.pixels.loss import measure_pixel_loss
from mmlgd.stores.build import open_store, write_shards
from mmlgd.stores.manifest import FILE_NAME, Manifest
from mmlgd.stores.shards import EMBEDDING_DTYPES
from mmlgd.stores.verify import check_replay, store_faults
from mmlgd.utils.annotation_files import check_annotation_files
from mmlgd.utils.atomic import check_output_folder
from mmlgd.utils.launch import read_ranks
from mmlgd.utils.loaders import remove_unused_worker_options
from mmlgd.utils.run_config import read_config
from mmlgd.utils.tool import LAUNCHERS, add_config_options


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='distillation config file, with its teacher')
    parser.add_argument('--out', required=True, type=Path, help='folder of the store')
    parser.add_argument('--views', type=int, help='views of each image')
    parser.add_argument(
        '--dtype',
        choices=EMBEDDING_DTYPES,
        help='dtype of the embeddings; default: that of an existing store, else float16',
    )
    parser.add_argument(
        '--shard-size',
        type=int,
        help='rows in a file; default: that of an existing store, else 8192',
    )
    parser.add_argument(
        '--pixels',
        choices=CODECS,
        help='also store the views, encoded so; default: as an existing store, else not',
    )
    parser.add_argument(
        '--quality',
        type=int,
        help='of --pixels, 1 to 100; default: that of an existing store, else 90',
    )
    parser.add_argument(
        '--part',
        default='1/1',
        metavar='I/N',
        help='number I, from 1, of this machine out of N; all with the same number of ranks',
    )
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='how the ranks are started',
    )
    parser.add_argument(
        '--device', help='default: the GPU of the rank, or the CPU if there is none'
    )
    parser.add_argument(
        '--verify',
        type=int,
        nargs='?',
        const=64,
        metavar='SAMPLE',
        help='write nothing; check all files and SAMPLE views, %(const)s by default',
    )
    add_config_options(parser)
    args = parser.parse_args(argv)
    if args.verify is None and (args.views is None or args.views < 1):
        parser.error('--views must be 1 or more')
    if args.shard_size is not None and args.shard_size < 1:
        parser.error('--shard-size must be 1 or more')
    return args


def read_part(part: str, rank: int, world_size: int) -> tuple[int, int]:
    """Index of this process, from 0, and number of processes over all machines.

    Raises:
        ConfigError: ``part`` is not I/N with I from 1 to N.
    """
    number, _, machines = part.partition('/')
    if not (number.isdecimal() and machines.isdecimal()) or not (
        1 <= int(number) <= int(machines)
    ):
        raise ConfigError(f'--part must be I/N with I from 1 to N, but is {part!r}.')
    return (int(number) - 1) * world_size + rank, int(machines) * world_size


def read_layout(args: argparse.Namespace) -> dict[str, Any]:
    """Options of :func:`prepare_views`: as given, else those of the store.

    Raises:
        ConfigError: There is a quality, but no codec.
    """
    dtype, shard_size, codec, quality = 'float16', 8192, None, 90
    if (args.out / FILE_NAME).is_file():
        manifest = Manifest.read(args.out)
        dtype, shard_size = manifest.embedding_dtype, manifest.shard_size
        if manifest.codec is not None:
            codec, quality = manifest.codec.codec, manifest.codec.quality
    codec = args.pixels or codec
    if codec is None and args.quality is not None:
        raise ConfigError('--quality is that of --pixels; add --pixels jpeg or webp.')
    if args.quality is not None:
        quality = args.quality
    return dict(
        embedding_dtype=args.dtype or dtype,
        shard_size=args.shard_size or shard_size,
        pixels=None if codec is None else (codec, quality),
    )


def summarize_store(store: Path) -> dict[str, Any]:
    """What a store has, and takes on disk (all files), as JSON.

    ``imagenet_{K}_views_gb`` is what ImageNet-1k would take, in 1e9 bytes;
    ``pixel_bytes`` are those of a view in the tar files.
    """
    manifest = Manifest.read(store)
    summary: dict[str, Any] = dict(
        views=manifest.num_views,
        images=manifest.num_images,
        embed_dims=manifest.embed_dims,
        dtype=manifest.embedding_dtype,
        teacher=manifest.teacher,
        seed=manifest.seed,
        row_bytes=manifest.row_bytes,
    )
    pixels = 0.0
    if manifest.pixels is not None:
        files = [path.stat().st_size for path in store.glob('views/*/*.tar')]
        pixels = sum(files) / max(1, manifest.num_views * manifest.num_images)
        summary.update(pixels=manifest.pixels, pixel_bytes=round(pixels, 1))
    for views in (10, 30):
        size = (manifest.row_bytes + pixels) * NUM_TRAIN * views
        summary[f'imagenet_{views}_views_gb'] = round(size / 1e9, 1)
    if stored := manifest.num_views * manifest.num_images:
        size = sum(path.stat().st_size for path in store.rglob('*') if path.is_file())
        summary['bytes_a_view'] = round(size / stored, 1)
    return summary


def main(argv: list[str] | None = None) -> int:
    """Build or verify a store.

    Returns:
        int: 1 if verification found a fault, else 0.
    """
    args, start = parse_args(argv), time.perf_counter()
    if args.verify is None:
        check_output_folder(args.out if args.out.exists() else args.out.parent)
    ranks = read_ranks(args.launcher)
    place = read_part(args.part, ranks.rank, ranks.world_size)
    if args.device is None:
        count = torch.cuda.device_count()
        args.device = f'cuda:{ranks.local_rank % count}' if count else 'cpu'
    cfg = read_config(args.config, args.cfg_options, ['model', 'train_dataloader'])
    check_annotation_files(cfg, ['train_dataloader'])
    remove_unused_worker_options(cfg, ['train_dataloader'])
    views = prepare_views(cfg, device=args.device, **read_layout(args))
    summary: dict[str, Any] = dict(out=str(args.out))
    if args.verify is not None:
        summary['faults'] = store_faults(args.out, views, args.verify)
    else:
        if views.manifest.pixels is not None and not (args.out / FILE_NAME).is_file():
            summary.update(measure_pixel_loss(views))
        plan = open_store(args.out, views.manifest, views.dataset, args.views)
        check_replay(plan, views)
        losses = write_shards(plan, plan.share(*place), views)
        summary.update(rows_written=len(losses), finished=plan.seal())
        if len(losses):
            summary.update(
                mean_cosine_loss=losses.mean(), worst_cosine_loss=losses.max()
            )
    summary.update(
        summarize_store(args.out), seconds=round(time.perf_counter() - start, 1)
    )
    print(json.dumps(summary))
    return int(bool(summary.get('faults')))
