r"""Write random category names, one per line.

For an ablation of language guidance: as many names as the task has categories, made of
pronounceable syllables without meaning.

    python tools/dataset_converters/write_random_names.py 1000 \
        --out configs/ablations/random_names_1000.txt
"""

import argparse
import random
from pathlib import Path

from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import run_tool

_CONSONANTS, _VOWELS = 'bdfgklmnprstvz', 'aeiou'


def random_names(number: int, seed: int = 0) -> list[str]:
    """Distinct words of three syllables, such as 'kovate'.

    Args:
        number (int): At least 1, at most 100,000.
        seed (int): The same seed gives the same names; a longer list begins with the
            shorter one. Defaults to 0.

    Raises:
        ConfigError: The number is out of range.
    """
    if not 1 <= number <= 100_000:
        raise ConfigError(f'the number of names must be 1 to 100000, not {number}.')
    generator = random.Random(seed)
    names: dict[str, None] = {}
    while len(names) < number:
        syllables = (
            generator.choice(_CONSONANTS) + generator.choice(_VOWELS) for _ in range(3)
        )
        names[''.join(syllables)] = None
    return list(names)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('number', type=int)
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args(argv)
    check_output_file(args.out)
    names = random_names(args.number, args.seed)
    write_atomically(args.out, '\n'.join(names) + '\n')


if __name__ == '__main__':
    run_tool(main)
