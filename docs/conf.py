"""Sphinx configuration: the Markdown pages of this folder as a site.

sphinx-build -W docs build/docs
"""

import runpy
from pathlib import Path

project = 'mmlgd'
_version = Path(__file__).parents[1] / 'mmlgd/version.py'
release = runpy.run_path(str(_version))['__version__']
extensions = ['myst_parser']
html_theme = 'alabaster'
html_theme_options = dict(
    description='Language-guided distillation', page_width='1100px'
)
myst_heading_anchors = 4
# Links to files of the repository that are not pages of the site.
suppress_warnings = ['myst.xref_missing']
