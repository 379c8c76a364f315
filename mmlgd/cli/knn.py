r"""Classify images by the nearest neighbours of their frozen features.

    mmlgd knn \
        configs/classification/mbv3_linear_8xb32-100e_in1k.py work_dirs/r50_mbv3/backbone.pth

The labelled training images and the test images of the config are used, both with the
test pipeline; their classes are matched by name. Backbone, mean and std are those of the
checkpoint. Prints a table of accuracies, over all images (top1, top5) and averaged over
the classes (balanced), and writes it to a JSON file.
"""

import argparse
import json
import os.path as osp

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_config_options, check_inputs


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config with labelled datasets')
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument(
        '--k',
        type=int,
        nargs='+',
        default=[20],
        help='number of neighbours; default 20',
    )
    parser.add_argument(
        '--temperature', type=float, default=0.07, help='of the softmax; default 0.07'
    )
    parser.add_argument('--out', help='JSON; default work_dirs/CONFIG/knn.json')
    parser.add_argument('--device', help='default: the GPU, if there is one')
    add_config_options(parser)
    return parser.parse_args(argv)


def evaluate(args: argparse.Namespace) -> dict:
    """Extract the features and classify them for every k."""
    # Imported here, since --help need not wait for torch.
    import torch
    from mmengine.device import get_device

    from mmlgd.apis import (
        build_preprocessor,
        evaluation_loaders,
        extract_features,
        load_backbone,
    )
    from mmlgd.evaluation import label_ranks, match_labels, summarize, weighted_knn
    from mmlgd.utils.run_config import read_config

    device = args.device or get_device()
    cfg = read_config(args.config, args.cfg_options, ['train_dataloader'])
    loaders = evaluation_loaders(cfg)
    preprocessor = build_preprocessor(args.checkpoint)
    backbone = load_backbone(args.checkpoint)
    names, matched = match_labels(*(loader.dataset for loader in loaders))
    (bank, labels), (queries, targets) = (
        extract_features(backbone, loader, preprocessor, device) for loader in loaders
    )
    if matched is not None:
        targets = torch.tensor(matched)[targets]
    num_classes = len(names or ()) or int(max(labels.max(), targets.max())) + 1
    tensors = [part.to(device) for part in (queries, bank, labels)]
    results = []
    for k in args.k:
        scores = weighted_knn(*tensors, num_classes, k, args.temperature).cpu()
        ranks = label_ranks(scores, targets)
        # A class without a vote is not a hit, whatever its rank.
        ranks[scores.gather(1, targets[:, None])[:, 0] == 0] = num_classes
        row = dict(k=k, **summarize(targets, ranks == 0, num_classes))
        if num_classes >= 5:
            row['top5'] = round(100 * (ranks < 5).double().mean().item(), 2)
        results.append(row)
    return dict(
        config=args.config,
        checkpoint=args.checkpoint,
        num_train_images=len(bank),
        num_test_images=len(queries),
        num_classes=num_classes,
        temperature=args.temperature,
        results=results,
    )


def main(argv: list[str] | None = None) -> None:
    """Evaluate from the command line."""
    args = parse_args(argv)
    stem = osp.splitext(osp.basename(args.config))[0]
    out = args.out or osp.join('work_dirs', stem, 'knn.json')
    check_output_file(out)
    check_inputs(args.checkpoint, [])
    summary = evaluate(args)
    write_atomically(out, json.dumps(summary, indent=2) + '\n')
    print('weighted k-NN, accuracy in percent')
    for row in summary['results']:
        print('  '.join(f'{name} {value:<6}' for name, value in row.items()))
    print(f'Written: {out}')
