"""Measurements: speed of the parts, and a comparison of the methods.

Run them from the repository root, as ``python -m benchmarks.comparison CONFIG`` and
``python -m benchmarks.speed.train_step``. No part of the wheel.
"""

from pathlib import Path

import mmlgd  # noqa: F401  (first: it makes `mmpretrain::` bases resolve)

ROOT = Path(__file__).resolve().parents[1]
