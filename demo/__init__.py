"""The demo: data, teachers and scripts, on which the library does not depend.

Run it from the repository root with ``python -m demo.run``. It is not part of the
wheel.
"""

from pathlib import Path

import mmlgd  # noqa: F401  (first: it makes `mmpretrain::` bases resolve)

ROOT = Path(__file__).resolve().parents[1]
