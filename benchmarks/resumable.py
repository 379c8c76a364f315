"""Results that a benchmark continues: rows in JSON, and their page in Markdown."""

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.provenance import dump_rows, provenance
from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import write_atomically


def read_result(path: Path, **settings: object) -> dict:
    """The settings and ``rows`` of a file, or no rows if there is no file.

    ``provenance`` becomes that of this process: call it before the work.

    Raises:
        ConfigError: The file has rows that were measured with other settings.
    """
    if not path.is_file():
        return dict(settings, rows=[], provenance=provenance())
    result = json.loads(path.read_text(encoding='utf-8'))
    found = {name: result.get(name) for name in settings}
    if found != settings:
        raise ConfigError(
            f'{path} has results of {found}, which cannot be mixed with those of '
            f'{settings}; set another --out.'
        )
    return dict(result, provenance=provenance())


def add_row(path: Path, result: dict, row: dict, page: Callable[[dict], str]) -> None:
    """Add a row and print it; write the result."""
    print(json.dumps(row), flush=True)
    result['rows'].append(row)
    write_result(path, result, page)


def write_result(path: Path, result: dict, page: Callable[[dict], str]) -> None:
    """Write the file, and beside it the page of the result."""
    write_atomically(path, dump_rows(result))
    write_atomically(path.with_suffix('.md'), page(result))


def origin(result: dict) -> list[str]:
    """Lines of Markdown on the origin of the rows."""
    last = result['provenance']
    return [
        f'- last call: `{last["command"]}`, commit {last["commit"][:7]}',
        f'- {last["machine"]}',
        '',
    ]
