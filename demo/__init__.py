"""The demo: data, teachers and scripts that the library needs nothing of.

Run it from the repository root, as ``python -m demo.run``. No part of the wheel.
"""

from pathlib import Path

import mmlgd  # noqa: F401  (first: it makes `mmpretrain::` bases resolve)

ROOT = Path(__file__).resolve().parents[1]
