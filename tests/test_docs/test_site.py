"""The site: broken links are found, and the sources name what exists."""

import importlib.util
import re
import subprocess
import sys

import pytest

from tests.test_docs.commands import ROOT

DOCS = ROOT / 'docs'
SCRIPT = DOCS / 'check_links.py'


@pytest.fixture
def site(tmp_path):
    """Two pages that link to each other."""
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'a b.png').touch()
    (tmp_path / 'index.html').write_text(
        '<h1 id="top">A</h1><a href="sub/b.html#here">b</a><a href="#top">up</a>'
        '<img src="a%20b.png"><a href="https://none.invalid/x">elsewhere</a>'
    )
    (tmp_path / 'sub/b.html').write_text('<p id="here"><a href="../index.html">a</a>')
    return tmp_path


def check(site):
    return subprocess.run(
        [sys.executable, SCRIPT, site], capture_output=True, text=True
    )


def test_whole_site(site):
    assert check(site).returncode == 0


@pytest.mark.parametrize('link', ['none.html', '../index.html#none', '#none', 'x.png'])
def test_a_broken_link_is_found(site, link):
    with open(site / 'sub/b.html', 'a') as page:
        page.write(f'<a href="{link}">c</a>')
    result = check(site)
    assert result.returncode == 1
    assert result.stdout == f'sub/b.html: {link}\n'


def test_an_empty_folder_is_refused(tmp_path):
    result = check(tmp_path)
    assert result.returncode == 1
    assert 'index.html' in result.stderr


def test_the_reference_names_modules_that_exist():
    text = '\n'.join(page.read_text() for page in DOCS.glob('api/*.md'))
    named = re.findall(r'autoapi(\w+):: (mmlgd[\w.]+)', text)
    assert len(named) > 20
    for kind, name in named:
        module = name if kind == 'module' else name.rpartition('.')[0]
        assert importlib.util.find_spec(module), name
        if kind != 'module':
            assert hasattr(importlib.import_module(module), name.rpartition('.')[2])


def test_every_page_is_in_the_navigation():
    pages = {page.stem for page in DOCS.glob('*.md')} - {'index'}
    blocks = re.findall(
        r'```\{toctree\}\n(.*?)```', (DOCS / 'index.md').read_text(), re.S
    )
    entries = {
        re.sub(r'.*<(.*)>', r'\1', line) for b in blocks for line in b.split('\n')
    }
    assert pages <= entries
