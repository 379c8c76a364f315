"""List the students, the teachers and the built-in sets of category names.

mmlgd list
mmlgd list students
mmlgd list names --json
"""

import argparse
import json

_KINDS = ('students', 'teachers', 'names')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', nargs='?', choices=_KINDS, help='default: all three')
    parser.add_argument('--json', action='store_true', help='print everything as JSON')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Print the lists."""
    args = parse_args(argv)
    # Imported here, since --help need not wait for mmengine.
    from mmlgd.utils.quiet import import_apis

    import_apis()
    from mmlgd.apis.catalogue import list_category_sets, list_students, list_teachers

    lists = dict(
        students=list_students, teachers=list_teachers, names=list_category_sets
    )
    kinds = [args.kind] if args.kind else _KINDS
    found = {kind: lists[kind]() for kind in kinds}
    if args.json:
        print(json.dumps(found[args.kind] if args.kind else found, indent=2))
        return
    for kind in kinds:
        print(f'{kind}:')
        for name, each in found[kind].items():
            print(f'  {name:<24}{_describe(each)}')
    if 'students' in kinds:
        print('Any other network of timm is a student, too: timm.list_models().')
    if 'teachers' in kinds:
        print('Any model of open_clip is a teacher, too, as MODEL/TAG.')


def _describe(each: dict) -> str:
    if 'size' in each:
        return f'{each["size"]} names: {", ".join(each["examples"])}, ...'
    # The first sentence.
    return each['description'].partition('. ')[0].rstrip('.') + '.'
