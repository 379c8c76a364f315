"""Recognition of other formats in a text file that should have one name per line."""

import json
import re
from collections.abc import Callable, Sequence

#: Longest text, in characters, that can be a name or a template.
MAX_LENGTH = 1000

_BULLET = re.compile(r'[-*•] ')
_QUOTED = re.compile(r"""(["']).*\1,?""")
_SYNSET = re.compile(r'n\d{8}\b')
_COMMENT = re.compile(r'#( |$)|//')
_MARKUP = re.compile(r'<[/?!\w][^>]*>')
_SECTION = re.compile(r'\[[^\]]+\]')
_ASSIGNMENT = re.compile(r'[A-Za-z_]\w* *= *\S')
_FIRST_NUMBER = re.compile(r'\(?(\d{1,9})[\s.,:;|)\]-]+(\S.*)')
_LAST_NUMBER = re.compile(r'(.*\S)[\s,:;|=]+(\d{1,9})')
# A delimiter of columns; in prose it is followed by a space.
_DELIMITER = re.compile(r'[,;|](?! )')

# What a single line can reveal, and how to fix it.
_LINE_FORMATS: tuple[tuple[Callable[[str], object], str, str], ...] = (
    (
        _BULLET.match,
        'starts with a list mark',
        'Remove the marks, or name the file .yaml.',
    ),
    (_QUOTED.fullmatch, 'is in quotes', 'Remove quotes and commas.'),
    (_SYNSET.match, 'starts with a WordNet number', 'Keep only the names.'),
    (_COMMENT.match, 'is a comment', 'Remove it.'),
    (_MARKUP.match, 'is markup', 'Keep only the names.'),
    (_SECTION.fullmatch, 'is a section heading', 'Keep only the names.'),
    (_ASSIGNMENT.match, 'is a setting', 'Keep only the names.'),
)


def find_other_format(lines: Sequence[str]) -> str:
    """Describe the contents of a text file that is not one name per line.

    Args:
        lines (Sequence[str]): Stripped lines.

    Returns:
        str: A sentence with the line and how to fix it; '' if no other format is found.
    """
    # Patterns are slow on long lines, which the caller refuses.
    if any(len(line) > MAX_LENGTH for line in lines):
        return ''
    whole = '\n'.join(lines)
    if _is_list(whole):
        return 'it contains a JSON or Python list or mapping. Name a JSON file .json.'
    for number, line in enumerate(lines, 1):
        for matches, what, fix in _LINE_FORMATS:
            if matches(line):
                return f'line {number} {what}: {line[:80]!r}. {fix}'
    # The first line may be a header.
    for part in (lines, lines[1:]):
        if _is_numbered(part):
            return f'its lines are numbered, as {part[-1][:80]!r}. Remove the numbers.'
    if len(lines) == 1 and '{}' not in whole and re.search('[,;|]', whole):
        return f'it has everything on one line: {whole[:80]!r}. Write one per line.'
    counts = {len(_DELIMITER.findall(line)) for line in lines}
    if len(lines) > 1 and len(counts) == 1 and 0 not in counts:
        return (
            f'it is a table with several columns: {lines[0][:80]!r}. Keep one column.'
        )
    return ''


def _is_list(text: str) -> bool:
    """Whether a text is a JSON list or mapping, or strings in Python's brackets."""
    if not text.startswith(('[', '(', '{')) or not text.endswith((']', ')', '}')):
        return False
    # A template may begin with '{}'.
    if not text.startswith('{}') and ('"' in text or "'" in text):
        return True
    try:
        return bool(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _is_numbered(lines: Sequence[str]) -> bool:
    """Whether each line has its own number next to its own name.

    '1 finger, 2 fingers, 3 fingers' are names: they are not distinct without their
    numbers.
    """
    for pattern, number, rest in ((_FIRST_NUMBER, 1, 2), (_LAST_NUMBER, 2, 1)):
        found = [match for line in lines if (match := pattern.fullmatch(line))]
        if len(found) < 2 or len(found) < len(lines):
            continue
        numbers = [int(match[number]) for match in found]
        texts = {match[rest] for match in found}
        rising = all(a < b for a, b in zip(numbers, numbers[1:]))
        if rising and numbers[0] in (0, 1) and len(texts) == len(lines):
            return True
    return False
