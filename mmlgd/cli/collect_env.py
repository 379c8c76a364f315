"""Print the versions of the environment, for bug reports."""

import argparse


def main(argv: list[str] | None = None) -> None:
    """Print one line for each entry."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    # Imported late: it imports torch.
    from mmlgd.utils.collect_env import collect_env

    for name, value in collect_env().items():
        print(f'{name}: {value}')
