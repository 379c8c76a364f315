"""Print what a checkpoint contains: names, teacher, student, sizes, how images are read.

    mmlgd info work_dirs/photos/epoch_20.pth
    mmlgd info work_dirs/photos/backbone.pth --json

Nothing in the file is executed.
"""

import argparse
import json


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument('--json', action='store_true', help='print everything as JSON')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Print the summary."""
    args = parse_args(argv)
    # Imported here, since --help need not wait for torch.
    from mmlgd.apis.checkpoint_summary import summarise_checkpoint

    found = summarise_checkpoint(args.checkpoint)
    if args.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    names = found.pop('category_names', None)
    if names:
        shown = ', '.join(names[:10]) + (', ...' if len(names) > 10 else '')
        found['names'] = f'{len(names)}: {shown}'
    found['values'] = ', '.join(
        f'{root} {count:,}' for root, count in found['values'].items()
    )
    for name, value in found.items():
        if name == 'test_pipeline':
            value = ' -> '.join(str(step.get('type')) for step in value)
        print(f'{name.replace("_", " "):<21}{value}')
