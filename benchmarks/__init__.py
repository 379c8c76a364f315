"""Benchmarks: speed of the components, and a comparison of methods.

Run them from the repository root, e.g. ``python -m benchmarks.comparison CONFIG`` and
``python -m benchmarks.speed.train_step``. They are not part of the wheel.
"""

from pathlib import Path

import mmlgd  # noqa: F401  (first: it makes `mmpretrain::` bases resolve)

ROOT = Path(__file__).resolve().parents[1]
