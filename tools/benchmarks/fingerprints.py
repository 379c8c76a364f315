"""Short digests that tell whether a run is still what would be run now."""

import hashlib
import json
from pathlib import Path

from mmengine.config import Config
from transfer.runs import ROOT

# What decides a figure besides a run's config: the package with its names and prompts,
# what evaluates and fine-tunes, and the weights of the teachers.
_CODE = (
    'mmlgd/**/*.py',
    'mmlgd/**/*.txt',
    'tools/benchmarks/evaluate_run.py',
    'tools/benchmarks/scene_transfer.py',
    'tools/transfer/*.py',
    'configs/demo/scenes_*.py',
    'configs/_base_/downstream/fashion_scenes.py',
    'demo/teacher/*',
)


def fingerprint(settings: object) -> str:
    """Twelve hexadecimal digits that change with any value within.

    Args:
        settings (object): A config, without regard to its ``work_dir``, or plain
            values.
    """
    if isinstance(settings, Config):
        settings = {k: v for k, v in settings.to_dict().items() if k != 'work_dir'}
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def code_fingerprint(root: Path = ROOT) -> str:
    """Twelve hexadecimal digits of all files that decide a figure.

    Args:
        root (Path): Of the repository. Defaults to this one's.
    """
    digest = hashlib.sha256()
    found = {path for pattern in _CODE for path in root.glob(pattern)}
    for path in sorted(path for path in found if path.is_file()):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]
