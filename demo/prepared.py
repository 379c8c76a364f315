"""Folders that are written once, with a stamp that tells what they contain."""

import json
from pathlib import Path

from mmlgd.errors import DataError


def is_prepared(folder: Path, stamp: str, summary: dict, what: str) -> bool:
    """Whether the stamp of a folder has this summary.

    Args:
        folder (Path): The folder, which may be missing.
        stamp (str): Name of the JSON file in it that was written last.
        summary (dict): What the stamp must contain.
        what (str): The data, for the message.

    Raises:
        DataError: The folder contains something else, which must not be replaced.
    """
    path = folder / stamp
    if path.is_file():
        return json.loads(path.read_text(encoding='utf-8')) == summary
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f'{folder} is not a folder of {what} (it has no {stamp}): give a new or an '
            'empty folder.'
        )
    return False
