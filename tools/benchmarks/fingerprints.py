"""Short digests that tell whether a run is still what would be run now."""

import hashlib
import json

from mmengine.config import Config
from transfer.runs import ROOT


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


def code_fingerprint() -> str:
    """Twelve hexadecimal digits of all Python files of the package."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / 'mmlgd').rglob('*.py')):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]
