#!/usr/bin/env python
r"""Draw the frozen features of a config's test images in two dimensions.

    python tools/visualization/vis_tsne.py \
        configs/classification/mbv3_linear_8xb32-100e_in1k.py work_dirs/r50_mbv3/backbone.pth

scikit-learn computes the t-SNE; `--method pca` needs no further package. Prints the share of
images whose nearest neighbour in the map has their class, writes an image and a JSON.
"""

import argparse
import json
from pathlib import Path

from mmlgd.errors import DependencyError
from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_config_options, run_tool


def project(features, method: str):
    """Coordinates (N, 2) of features (N, h)."""
    from mmlgd.report.maps import project_rows

    if method == 'pca':
        return project_rows(features)[0]
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise DependencyError(
            'vis_tsne.py needs scikit-learn: pip install scikit-learn, or --method pca.'
        ) from error
    perplexity = min(30, (len(features) - 1) / 3)
    tsne = TSNE(init='pca', perplexity=perplexity, random_state=0)
    return features.new_tensor(tsne.fit_transform(features.numpy()))


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config with labelled datasets')
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument('--method', choices=('tsne', 'pca'), default='tsne')
    parser.add_argument(
        '--images', type=int, default=2000, help='at most; default 2000'
    )
    parser.add_argument('--out', default='work_dirs/tsne.png', help='image to write')
    parser.add_argument('--device', help='default: the GPU, if there is one')
    add_config_options(parser)
    args = parser.parse_args(argv)
    check_output_file(args.out)
    import torch
    from matplotlib.figure import Figure
    from mmengine.device import get_device
    from torch.utils.data import DataLoader, Subset

    from mmlgd.apis import (
        build_preprocessor,
        evaluation_loaders,
        extract_features,
        load_backbone,
    )
    from mmlgd.evaluation import dataset_classes
    from mmlgd.utils.run_config import read_config

    cfg = read_config(args.config, args.cfg_options, ['train_dataloader'])
    loader = evaluation_loaders(cfg)[1]
    order = torch.randperm(
        len(loader.dataset), generator=torch.Generator().manual_seed(0)
    )
    part = Subset(loader.dataset, order[: args.images].tolist())
    loader = DataLoader(part, loader.batch_size, collate_fn=loader.collate_fn)
    features, labels = extract_features(
        load_backbone(args.checkpoint),
        loader,
        build_preprocessor(args.checkpoint),
        args.device or get_device(),
    )
    points = project(features, args.method)
    nearest = torch.cdist(points, points).fill_diagonal_(float('inf')).argmin(dim=1)
    share = 100 * (labels[nearest] == labels).double().mean().item()
    figure = Figure(figsize=(8, 8), layout='constrained')
    axis = figure.subplots()
    axis.scatter(*points.T, c=labels, cmap='tab20', s=12)
    axis.set_axis_off()
    figure.savefig(args.out, dpi=110)
    classes = dataset_classes(part.dataset)
    table = dict(points=points.tolist(), labels=labels.tolist(), classes=classes)
    write_atomically(Path(args.out).with_suffix('.json'), json.dumps(table) + '\n')
    print(f'{len(points)} images; nearest neighbour of the same class: {share:.1f} %')
    print(f'Written: {args.out} and {Path(args.out).with_suffix(".json")}')


if __name__ == '__main__':
    run_tool(main)
