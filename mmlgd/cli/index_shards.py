r"""Write the index of tar shards that UnlabeledShards reads.

    mmlgd index-shards data/cc12m
    mmlgd index-shards s3://bucket/cc12m --index data/cc12m_index \
        --endpoint-url http://127.0.0.1:9000

Reads the headers of all shards and refuses missing, truncated and damaged ones. Prints a
JSON summary.
"""

import argparse
import json
import time

from mmlgd.utils.atomic import check_output_folder


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data_root', help='folder or URL of the shards')
    parser.add_argument(
        '--shards',
        nargs='+',
        default=['*.tar'],
        help="names or patterns such as '{0000..0123}.tar'; default %(default)s",
    )
    parser.add_argument('--index', help='folder to write; default: in data_root')
    parser.add_argument('--extensions', nargs='+', help='endings of the images')
    parser.add_argument(
        '--workers',
        type=int,
        default=4,
        help='shards read at once; default %(default)s',
    )
    parser.add_argument('--endpoint-url', help='S3 server, if it is not that of AWS')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Build the index."""
    args, start = parse_args(argv), time.perf_counter()
    from mmlgd.datasets.image_folder import EXTENSIONS, check_extensions
    from mmlgd.datasets.shards import build_index, open_storage
    from mmlgd.datasets.shards.dataset import check_root, index_folder, shard_patterns
    from mmlgd.utils.checks import check_count

    workers = check_count('--workers', args.workers, 1)
    extensions = check_extensions('--extensions', args.extensions or EXTENSIONS)
    options = dict(endpoint_url=args.endpoint_url) if args.endpoint_url else None
    storage = open_storage(check_root(args.data_root), options)
    path = index_folder(storage, args.index)
    patterns = shard_patterns(args.shards)
    check_output_folder(path.parent, '--index')
    index = build_index(storage, storage.find(patterns), extensions, path, workers)
    summary = dict(
        index=str(index.path),
        shards=len(index.shards),
        images=len(index),
        bytes=sum(shard.size for shard in index.shards),
        seconds=round(time.perf_counter() - start, 1),
    )
    print(json.dumps(summary))
