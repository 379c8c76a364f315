#!/usr/bin/env python
"""Reduce a training checkpoint to what its users need, and add its hash to the name.

    python tools/model_converters/publish_model.py work_dirs/r50_mbv3/epoch_200.pth r50_mbv3.pth

Optimizer, schedulers, logged scalars and the raw weights beside averaged ones are removed.
Weights, banks and metadata stay, so that the file classifies, resumes nothing, and loads
as a backbone. The config text is removed as well: it contains local paths.
"""

import argparse
import hashlib
import io
from pathlib import Path

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='training checkpoint')
    parser.add_argument('out', help='.pth file; -HASH is added to its name')
    args = parser.parse_args(argv)
    check_output_file(args.out, 'out', ('.pth',))
    import torch

    from mmlgd.utils.checkpoint import read_checkpoint

    contents = read_checkpoint(args.checkpoint)
    meta = dict(contents['meta'])
    # Files of mmlgd 0.1.0 have the student's config only in this text.
    if 'test_pipeline' in meta:
        meta.pop('cfg', None)
    buffer = io.BytesIO()
    torch.save(dict(state_dict=contents['state_dict'], meta=meta), buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()[:8]
    out = Path(args.out)
    out = out.with_name(f'{out.stem}-{digest}.pth')
    write_atomically(out, buffer.getvalue())
    sizes = [Path(path).stat().st_size / 2**20 for path in (args.checkpoint, out)]
    print(f'Written: {out} ({sizes[1]:.1f} MB instead of {sizes[0]:.1f} MB)')


if __name__ == '__main__':
    run_tool(main)
