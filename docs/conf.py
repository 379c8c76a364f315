"""Sphinx configuration: the Markdown pages of this folder as a site.

`make docs` builds it into build/docs. The API reference is read from the source by
sphinx-autoapi, which imports nothing: neither torch nor mmlgd has to be installed.
"""

import os
import re
import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

project = 'mmlgd'
copyright = 'the authors of mmlgd, Apache-2.0'
release = runpy.run_path(str(ROOT / 'mmlgd/version.py'))['__version__']
extensions = [
    'myst_parser',
    'autoapi.extension',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
]

html_theme = 'furo'
html_title = f'mmlgd {release}'
html_static_path = ['static']
html_css_files = ['tables.css']
html_copy_source = False
# Of blocks without a language: commands and their output.
highlight_language = 'text'

myst_heading_anchors = 4

autoapi_dirs = [str(ROOT / 'mmlgd')]
# The commands are described by --help; .mim links to the configs and tools.
autoapi_ignore = ['*/.mim/*', '*/cli/*', '*/__main__.py']
# The pages of docs/api say what is public.
autoapi_generate_api_docs = False
autoapi_python_class_content = 'class'
autoapi_options = ['members', 'imported-members']
autodoc_typehints = 'none'
napoleon_use_ivar = True
napoleon_use_rtype = False
# Attributes of one name in several classes become links; the first one is taken.
suppress_warnings = ['ref.python']

#: A page that consists of this block shows a file from elsewhere in the repository.
_INCLUDE = re.compile(r'```\{include\} (\S+)\n```\n')
_LINK = re.compile(r'(?<=\]\()([^)#:\s]+\.md)')


def _included(page: Path) -> Path | None:
    """The file of the repository that a page shows, or None."""
    found = _INCLUDE.fullmatch(page.read_text())
    return (page.parent / found[1]).resolve() if found else None


#: File of the repository to its page.
_PAGES = {_included(page): page for page in DOCS.glob('*.md') if _included(page)}


def _read_source(app, docname: str, source: list[str]) -> None:
    """Insert the included file; point links to such files to their pages."""
    page = DOCS / f'{docname}.md'
    origin = _included(page) if page.is_file() else None
    if origin:
        app.env.note_dependency(str(origin))
        source[0] = origin.read_text()

    def link(match: re.Match) -> str:
        target = ((origin or page).parent / match[1]).resolve()
        return os.path.relpath(_PAGES.get(target, target), page.parent)

    source[0] = _LINK.sub(link, source[0])


def _escape_stars(app, what, name, member, options, lines: list[str]) -> None:
    """Escape `**options` after other arguments, which napoleon leaves as bold text."""
    lines[:] = [re.sub(r'(?<=, )\*\*(?=\w)', r'\*\*', line) for line in lines]


def _skip_member(app, what, name, member, skip, options) -> bool | None:
    """Leave out attributes that only the docstring of their class describes."""
    is_value = getattr(member, 'type', '') in ('attribute', 'property', 'data')
    return True if is_value and not member.docstring else None


def setup(app) -> None:
    """Connect the handlers to Sphinx."""
    app.connect('source-read', _read_source)
    app.connect('autodoc-skip-member', _skip_member)
    # Before napoleon, which has the default priority of 500.
    app.connect('autodoc-process-docstring', _escape_stars, priority=400)
