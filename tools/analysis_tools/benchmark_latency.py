#!/usr/bin/env python
"""Measure the time of a student's backbone, as trained and with its branches fused.

    python tools/analysis_tools/benchmark_latency.py configs/lgd/r50_mbv3.py --batch-sizes 1 32

Random weights: they do not change the time. torch.utils.benchmark repeats each measurement
for --seconds and reports the median. Prints a table and writes a JSON.
"""

import argparse
import json
from pathlib import Path

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_config_options, run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='configs of distillations')
    parser.add_argument('--size', type=int, default=224, help='side in pixels')
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1])
    parser.add_argument('--seconds', type=float, default=2, help='for each; default 2')
    parser.add_argument('--device', help='default: the GPU, if there is one')
    parser.add_argument('--out', default='work_dirs/latency.json', help='JSON to write')
    add_config_options(parser)
    args = parser.parse_args(argv)
    check_output_file(args.out)
    import torch
    from mmengine.device import get_device
    from mmengine.registry import init_default_scope
    from torch.utils.benchmark import Timer

    from mmlgd.export.branches import merge_branches
    from mmlgd.registry import MODELS
    from mmlgd.utils.run_config import read_config

    device, threads, rows = args.device or get_device(), torch.get_num_threads(), []
    print(
        f'{"config":32} {"images":>6} {"ms":>9} {"fused ms":>9}   {device}, {threads} threads'
    )
    for path in args.configs:
        cfg = read_config(path, args.cfg_options, ['model'])
        init_default_scope(cfg.get('default_scope', 'mmlgd'))
        backbone = MODELS.build(cfg.model.backbone)
        backbone.eval()
        for batch_size in args.batch_sizes:
            inputs = torch.randn(batch_size, 3, args.size, args.size, device=device)
            row = dict(config=Path(path).stem, batch_size=batch_size)
            for key, model in dict(
                ms=backbone, fused_ms=merge_branches(backbone)
            ).items():
                timer = Timer(
                    'model(inputs)',
                    globals=dict(model=model.to(device), inputs=inputs),
                    num_threads=threads,
                )
                with torch.no_grad():
                    row[key] = (
                        1000 * timer.blocked_autorange(min_run_time=args.seconds).median
                    )
            rows.append(row)
            times = f'{row["ms"]:9.2f} {row["fused_ms"]:9.2f}'
            print(f'{row["config"]:32} {batch_size:6} {times}')
    found = dict(device=str(device), threads=threads, size=args.size, rows=rows)
    write_atomically(args.out, json.dumps(found, indent=1) + '\n')
    print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
