"""The shell commands and Python blocks of the documentation, read from its Markdown."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob('docs/*.md')),
    *sorted(ROOT.glob('configs/*/README.md')),
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'demo/README.md',
    ROOT / 'benchmarks/comparison/README.md',
]
#: Text that is neither a command nor its output has the language `text`.
_SHELL = ('', 'bash', 'shell', 'sh')
_FENCE = re.compile(r'^( *)```([^\n`]*)\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r'(?<=\n\n)(?: {4}.*\S.*\n)+')
_SPAN = re.compile(r'(?<!`)`([^`]+)`(?!`)')
_VARIABLE = re.compile(r'[A-Za-z_]+=')
_KEYWORDS = ('until', 'while', 'if', 'do', 'then', 'eval')
_OUTPUT = re.compile(r'\$\((.*?)\)')
_SCRIPT = re.compile(r'(tools|demo|benchmarks|docs|mmlgd)[/.]')


class Command(NamedTuple):
    """A command of this repository that a page shows.

    Attributes:
        page (str): Path of the page in the repository.
        words (tuple[str, ...]): Its words, without variables that are set before it.
        whole (bool): False in a sentence, where required options may be missing.
    """

    page: str
    words: tuple[str, ...]
    whole: bool

    @property
    def text(self) -> str:
        """The command as typed, for messages."""
        return shlex.join(self.words)


def python_blocks() -> list[tuple[str, str]]:
    """Each Python block, with the path of its page."""
    return [
        (str(page.relative_to(ROOT)), dedent(block))
        for page in PAGES
        for _, language, block in _FENCE.findall(page.read_text())
        if language == 'python'
    ]


def commands() -> tuple[list[Command], set[str]]:
    """The commands of all pages, each once; and the other programs of their blocks."""
    found = {}
    others = set()
    for page in PAGES:
        for line, whole in _lines(page.read_text()):
            for words in filter(None, _split(line)):
                if _is_ours(words):
                    command = Command(str(page.relative_to(ROOT)), words, whole)
                    found.setdefault((words, whole), command)
                elif whole:
                    others.add(words[0])
    return list(found.values()), others


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines of shell blocks, and code in sentences and tables."""
    rest = _FENCE.sub('\n', text)
    blocks = [text for _, lang, text in _FENCE.findall(text) if lang in _SHELL]
    for block in blocks + _INDENTED.findall(rest):
        for line in block.replace('\\\n', ' ').splitlines():
            yield line, True
    for span in _SPAN.findall(_INDENTED.sub('\n', rest)):
        yield span.replace('\n', ' '), False


def _split(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line."""
    try:
        words = shlex.split(_OUTPUT.sub('OUTPUT', line), comments=True)
    except ValueError:  # code of another language
        return
    for inner in _OUTPUT.findall(line):
        yield from _split(inner)
    command: list[str] = []
    for word in [*words, ';']:
        if word.rstrip(';') and word not in ('&&', '||', '|', '&'):
            command.append(word.rstrip(';'))
            if not word.endswith(';'):
                continue
        while command and (_VARIABLE.match(command[0]) or command[0] in _KEYWORDS):
            command.pop(0)
        yield tuple(command)
        command = []


def _is_ours(words: tuple[str, ...]) -> bool:
    """Whether a command starts a program of this repository."""
    if len(words) < 2:
        return False
    program = words[0].rpartition('/')[2]
    if program == 'python':
        return bool(_SCRIPT.match(words[2 if words[1] == '-m' else 1]))
    if program in ('bash', 'torchrun', 'srun'):
        return any(map(_SCRIPT.match, words[1:]))
    return program in ('mmlgd', 'make')
