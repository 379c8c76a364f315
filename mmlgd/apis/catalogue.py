"""Lists of the included students, teachers and sets of category names."""

import functools
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import load

import mmlgd
from mmlgd.datasets.category_names import (
    available_category_sets,
    category_file,
    load_category_names,
)
from mmlgd.errors import DependencyError


def list_students() -> dict[str, dict]:
    """The students of ``configs/_base_/students``.

    Returns:
        dict[str, dict]: Name to plain data, sorted: ``description``, ``config`` (its
        distillation config), ``student`` (``backbone`` and ``neck`` of this config), and,
        for one image of 224 pixels, ``feature_width``, ``parameters``, ``macs``,
        ``deployed_parameters`` and ``deployed_macs``. The last five are None for
        ``timm``, which accepts any name of timm.

    Example:
        >>> list_students()['mbv3']['feature_width']
        960
    """
    counted = {
        model['Metadata']['Student']: model['Metadata']
        for model in load(configs_folder() / 'lgd/metafile.yml')['Models']
        if 'Metadata' in model
    }
    found = {}
    for path in _files('students'):
        counts = counted.get(path.stem, {})
        found[path.stem] = dict(
            description=_description(path),
            config=str(configs_folder() / f'lgd/r50_{path.stem}.py'),
            student=Config.fromfile(path).student.to_dict(),
            feature_width=counts.get('Feature width'),
            parameters=counts.get('Parameters'),
            macs=counts.get('FLOPs'),
            deployed_parameters=counts.get('Deployed parameters'),
            deployed_macs=counts.get('Deployed FLOPs'),
        )
    return found


def list_teachers() -> dict[str, dict]:
    """The teachers of ``configs/_base_/teachers``.

    Returns:
        dict[str, dict]: Name to plain data, sorted: ``description``, ``config`` (a base
        config) and ``teacher`` (its entry in this config).

    Example:
        >>> list_teachers()['clip_rn50']['teacher']['model_name']
        'RN50'
    """
    return {
        path.stem: dict(
            description=_description(path),
            config=str(path),
            teacher=Config.fromfile(path).teacher.to_dict(),
        )
        for path in _files('teachers')
    }


def list_category_sets() -> dict[str, dict]:
    """The built-in sets of category names, for ``categories='<name>'``.

    Returns:
        dict[str, dict]: Name to plain data, sorted: ``size`` (number of names),
        ``examples`` (the first three) and ``file``.

    Example:
        >>> list_category_sets()['coco']['size']
        80
    """
    found = {}
    for name in available_category_sets():
        names = load_category_names(name)
        found[name] = dict(
            size=len(names), examples=names[:3], file=str(category_file(name))
        )
    return found


@functools.cache
def configs_folder() -> Path:
    """The folder of the configs in an installation or in a checkout.

    Raises:
        DependencyError: It is missing.
    """
    package = Path(mmlgd.__file__).resolve().parent
    folders = (package / '.mim/configs', package.parent / 'configs')
    for folder in folders:
        if (folder / 'lgd/metafile.yml').is_file():
            return folder
    raise DependencyError(
        f'The configs of mmlgd are missing in {" and ".join(map(str, folders))}; install '
        'it again, with `pip install .`.'
    )


def _files(kind: str) -> list[Path]:
    return sorted((configs_folder() / '_base_' / kind).glob('*.py'))


def _description(path: Path) -> str:
    """The comment at the top of a config, as one line."""
    lines = []
    for line in path.read_text(encoding='utf-8').splitlines():
        if not line.startswith('#'):
            break
        lines.append(line.removeprefix('#').strip())
    return ' '.join(lines)
