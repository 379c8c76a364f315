"""The ``mmlgd`` command: dispatches to the subcommands."""

import sys
from importlib import import_module

from mmlgd.utils.suggest import suggest
from mmlgd.utils.tool import run_tool
from mmlgd.version import __version__

#: Subcommand to its module, which has ``main(argv)``, and its description.
COMMANDS = {
    'distill': (
        'mmlgd.cli.distill',
        'distil a CLIP into a small network, on your images and names',
    ),
    'train': ('mmlgd.cli.train', 'train any config'),
    'test': ('mmlgd.cli.test', 'test a checkpoint of any config'),
    'embed': ('mmlgd.cli.embed', 'write the embeddings of images'),
    'classify': ('mmlgd.cli.classify', 'classify images by names'),
    'autolabel': ('mmlgd.cli.autolabel', 'name the images of an unlabeled folder'),
    'info': ('mmlgd.cli.info', 'print what a checkpoint contains'),
    'list': ('mmlgd.cli.list', 'list students, teachers and sets of names'),
    'probe': ('mmlgd.cli.probe', 'classify by a linear probe of frozen features'),
    'export': ('mmlgd.cli.export', 'write a student for another library or as ONNX'),
    'knn': ('mmlgd.cli.knn', 'classify by nearest neighbours of frozen features'),
    'report': ('mmlgd.cli.report', 'write what a student has learned as an HTML file'),
    'align-teacher': (
        'mmlgd.cli.align_teacher',
        'fit the projection of a teacher without text into a CLIP space',
    ),
    'build-text-bank': (
        'mmlgd.cli.build_text_bank',
        'write the text embeddings of category names',
    ),
    'build-bags': ('mmlgd.cli.build_bags', 'write the nearest neighbours for BINGO'),
    'build-stored-views': (
        'mmlgd.cli.build_stored_views',
        'store augmented views with their teacher embeddings, or verify them',
    ),
    'teacher-temperature': (
        'mmlgd.cli.teacher_temperature',
        'compare temperatures of a teacher on unlabeled images',
    ),
    'check-datasets': (
        'mmlgd.cli.check_datasets',
        'list the datasets that are present and how to get the others',
    ),
    'index-shards': (
        'mmlgd.cli.index_shards',
        'write the index of tar shards, which UnlabeledShards reads',
    ),
    'collect-env': ('mmlgd.cli.collect_env', 'print the environment, for bug reports'),
}


def main(argv: list[str] | None = None) -> None:
    """Run a subcommand.

    Args:
        argv (list[str], optional): Defaults to the command line.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ('-h', '--help'):
        print(_usage())
        return
    name, *rest = argv
    if name == '--version':
        print(f'mmlgd {__version__}')
        return
    if name not in COMMANDS:
        hint = suggest(name, COMMANDS)
        print(f'mmlgd: unknown command {name!r}.{hint}\n{_usage()}', file=sys.stderr)
        sys.exit(2)
    # For the usage lines of argparse.
    sys.argv[0] = f'mmlgd {name}'
    run_tool(lambda: import_module(COMMANDS[name][0]).main(rest))


def _usage() -> str:
    rows = '\n'.join(f'  {name:<20}{what}' for name, (_, what) in COMMANDS.items())
    return (
        f'usage: mmlgd COMMAND [options]\n\n{rows}\n\n'
        'mmlgd COMMAND --help lists the options of a command.'
    )
