"""Write a textual semantics bank, for training without a text encoder.

Give a distillation config, or a teacher and the category names. Options override the
config. Training then reads the file through
``custom_hooks=[dict(type='SemanticsBankHook', bank_file=FILE)]``.
"""

import argparse

from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.tool import add_config_options


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', help='distillation config file')
    parser.add_argument('--out', required=True, help='bank file to write')
    parser.add_argument('--model-name', help='open_clip model, such as RN50')
    parser.add_argument('--pretrained', help='open_clip tag or local weight file')
    parser.add_argument(
        '--categories',
        nargs='+',
        help='a built-in set, a file of names (.txt, .json, .yaml), or two or more names',
    )
    parser.add_argument(
        '--templates',
        nargs='+',
        help='a built-in set, a file, or two or more templates with one {} each',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def _override(part: dict, **options: object) -> dict:
    """Return a part of the config, with the given options replaced."""
    given = {name: value for name, value in options.items() if value is not None}
    return {**part, **given}


def _one_or_list(values: list[str] | None) -> str | list[str] | None:
    return values[0] if values and len(values) == 1 else values


def read_parts(args: argparse.Namespace) -> tuple[dict, dict]:
    """Return the configs of the teacher and of the bank.

    Raises:
        ConfigError: Neither the config nor the options define what to build.
    """
    # Imported here, since --help need not wait for torch.
    from mmlgd.utils.run_config import read_config
    from mmlgd.utils.teacher_config import teacher_configs

    teacher, bank = dict(type='OpenCLIPTeacher'), dict(type='TextualSemanticsBank')
    if args.config:
        model = read_config(args.config, args.cfg_options, needed=('model',)).model
        configured = teacher_configs(model)
        if not configured or 'textual_bank' not in model:
            raise ConfigError(
                f'The model of {args.config!r} has no teacher or no textual_bank; give '
                'a distillation config, or --model-name and --categories.'
            )
        teacher, bank = configured[0], model.textual_bank
    teacher = _override(teacher, model_name=args.model_name, pretrained=args.pretrained)
    bank = _override(
        bank,
        categories=_one_or_list(args.categories),
        templates=_one_or_list(args.templates),
    )
    if not args.config and ('model_name' not in teacher or 'categories' not in bank):
        raise ConfigError(
            'Give a distillation config, or --model-name (with --pretrained) and '
            '--categories.'
        )
    if not args.config and 'pretrained' not in teacher:
        raise ConfigError(
            f'--model-name {args.model_name} needs --pretrained (an open_clip tag or a '
            'weight file): embeddings of names from random weights are meaningless.'
        )
    return teacher, bank


def main(argv: list[str] | None = None) -> None:
    """Build and write the bank."""
    args = parse_args(argv)
    from mmengine.device import get_device
    from mmengine.registry import init_default_scope

    from mmlgd.registry import MODELS

    check_output_file(args.out)
    teacher_cfg, bank_cfg = read_parts(args)
    init_default_scope('mmlgd')
    teacher = MODELS.build(teacher_cfg).to(get_device())
    bank = MODELS.build(dict(bank_cfg, embed_dims=teacher.embed_dims))
    bank.build(teacher)
    bank.save(args.out, teacher)
    rows, width = bank.embeddings.shape
    print(
        f'{args.out}: {rows} names x {len(bank.templates)} templates, {width} '
        f'dimensions, from {teacher.text_identity}'
    )
