"""Config and activation of a CLIP, checked before open_clip builds it."""

import logging
from collections.abc import Mapping
from pathlib import Path

from mmengine.logging import print_log

from mmlgd.errors import ConfigError
from mmlgd.utils.field_checks import read_json_object

from .weight_files import is_torchscript

_CONFIG_KEYS = ('embed_dim', 'vision_cfg', 'text_cfg')


def read_model_config(path: Path, model_name: str) -> dict:
    """Read and check an open_clip model JSON.

    Args:
        path (Path): The file, named ``model_name`` + '.json'.
        model_name (str): Name of the model.

    Returns:
        dict: The config.

    Raises:
        ConfigError: The file is missing, is not JSON, lacks a key or has another name.
    """
    if not path.is_file():
        raise ConfigError(
            f'model_config {path} does not exist. Relative paths start at the working '
            'directory: run from the repository root, or set an absolute path.'
        )
    try:
        config = read_json_object(path)
    except ValueError as error:
        raise ConfigError(f'model_config {path} is not JSON: {error}.') from error
    if any(key not in config for key in _CONFIG_KEYS):
        raise ConfigError(
            f'model_config {path} lacks one of {", ".join(_CONFIG_KEYS)}; the JSON '
            "files in open_clip's folder model_configs are examples."
        )
    if path.stem != model_name or path.suffix != '.json':
        raise ConfigError(
            f'model_config {path} would be known to open_clip as {path.stem!r}, but '
            f'model_name is {model_name!r}. Name the file {model_name}.json.'
        )
    return config


def needs_quick_gelu(
    model_name: str,
    forced: bool | None,
    in_config: bool,
    in_tag: bool,
    file: Path | None,
    siblings: Mapping[str, bool],
) -> bool:
    """Determine the activation, in the order documented in OpenCLIPTeacher.

    Args:
        model_name (str): Name of the model, for messages.
        forced (bool, optional): The user's ``force_quick_gelu``.
        in_config (bool): Whether the model's config sets QuickGELU.
        in_tag (bool): Whether the selected tag sets it.
        file (Path, optional): The weight file, if there is one.
        siblings (Mapping[str, bool]): Whether each published tag of the model sets it.

    Raises:
        ConfigError: ``forced`` contradicts the model's config.
    """
    if in_config and forced is False:
        raise ConfigError(
            f'force_quick_gelu=False contradicts {model_name}, whose config sets '
            "QuickGELU. Use the model without '-quickgelu'."
        )
    if in_config:
        return True
    if forced is not None:
        return forced
    if file is None:
        return in_tag
    return is_torchscript(file) or _guess(model_name, file, siblings)


def _guess(model_name: str, file: Path, siblings: Mapping[str, bool]) -> bool:
    """Guess the activation, which a state dict does not record, from published tags."""
    quick = [tag for tag, is_quick in siblings.items() if is_quick]
    guess = bool(quick) and len(quick) == len(siblings)
    if quick:
        print_log(
            f'{file} does not record whether it was trained with QuickGELU. '
            f'{"All" if guess else "Some"} published weights of {model_name} were '
            f'({", ".join(quick)}): using {"QuickGELU" if guess else "GELU"}. Set '
            'force_quick_gelu to override; the wrong one corrupts the text embeddings.',
            logger='current',
            level=logging.WARNING,
        )
    return guess
