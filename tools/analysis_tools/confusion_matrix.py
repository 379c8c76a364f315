#!/usr/bin/env python
r"""Count which names a student gives to the images of each class.

    python tools/analysis_tools/confusion_matrix.py configs/lgd/r50_mbv3.py \
        work_dirs/r50_mbv3/epoch_200.pth

The images are those of the config's test set, or of its validation set. Classes are matched
to names. Prints the commonest confusions, draws the matrix with mmpretrain's function and
writes a JSON.
"""

import argparse
import json
from pathlib import Path

from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_config_options, run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config with a labelled dataset')
    parser.add_argument('checkpoint', help='training checkpoint, epoch_*.pth')
    parser.add_argument(
        '--out', default='work_dirs/confusion.png', help='image to write'
    )
    parser.add_argument('--device', default='cpu', help='default: cpu')
    add_config_options(parser)
    args = parser.parse_args(argv)
    check_output_file(args.out)
    import torch
    from mmengine.registry import init_default_scope
    from mmpretrain.evaluation import ConfusionMatrix

    from mmlgd.apis import ZeroShotClassifier
    from mmlgd.engine.tool_runner import ToolRunner
    from mmlgd.evaluation import EXCLUDED, match_dataset
    from mmlgd.utils.run_config import read_config

    classifier = ZeroShotClassifier(args.checkpoint, device=args.device)
    names, found, correct = classifier.category_names, [], []
    cfg = read_config(args.config, args.cfg_options, [])
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    config = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if config is None:
        raise ConfigError(
            f'{args.config} has neither test_dataloader nor val_dataloader.'
        )
    loader = ToolRunner.build_dataloader(config)
    to_name = torch.tensor(match_dataset(loader.dataset, names, 'the dataset'))
    for batch in loader:
        inputs = classifier.student.data_preprocessor(dict(inputs=batch['inputs']))[
            'inputs'
        ]
        found.append(classifier.scores(inputs, len(inputs)).argmax(dim=1))
        correct += [int(sample.gt_label) for sample in batch['data_samples']]
    labels = to_name[torch.tensor(correct)]
    used = labels != EXCLUDED
    matrix = ConfusionMatrix.calculate(torch.cat(found)[used], labels[used], len(names))
    wrong = matrix.clone().fill_diagonal_(0)
    for index in wrong.flatten().argsort(descending=True, stable=True)[:10].tolist():
        label, name = divmod(index, len(names))
        if wrong[label, name]:
            print(
                f'{int(wrong[label, name]):6} images of {names[label]!r} as {names[name]!r}'
            )
    print(f'right: {int(matrix.trace())} of {int(matrix.sum())} images')
    ConfusionMatrix.plot(matrix, classes=names).savefig(args.out)
    table = Path(args.out).with_suffix('.json')
    contents = dict(names=names, matrix=matrix.long().tolist())
    write_atomically(table, json.dumps(contents) + '\n')
    print(f'Written: {args.out} and {table}')


if __name__ == '__main__':
    run_tool(main)
