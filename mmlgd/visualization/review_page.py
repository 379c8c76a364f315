"""A page on which a person checks the names of images, in one HTML file."""

import base64
import html
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from PIL import Image

from mmlgd.datasets.transforms.decoding import decode, read_file

#: Thumbnails of a name: the least certain ones, since these are wrong more often.
MAX_SHOWN = 60
_SIDE = 112

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:1.5rem;max-width:80rem}
h2{margin:1.5rem 0 .4rem;font-size:1.1rem}
.row{display:flex;flex-wrap:wrap;gap:.5rem}
label{width:7.5rem;font-size:.75rem;overflow-wrap:anywhere;cursor:pointer}
img{display:block;width:7rem;height:7rem;object-fit:contain;background:#8882}
label:has(:checked){outline:3px solid #d33;opacity:.6}
.bar{position:sticky;top:0;background:Canvas;padding:.5rem 0;z-index:1}
button,input[type=search]{font:inherit;padding:.3rem .7rem}
"""
_SCRIPT = """
const boxes=()=>[...document.querySelectorAll('input[type=checkbox]:checked')];
document.addEventListener('change',()=>{
  document.querySelector('#count').textContent=boxes().length;});
document.querySelector('#save').addEventListener('click',()=>{
  const text=boxes().map(box=>box.value+'\\n').join('');
  const link=document.createElement('a');
  link.href=URL.createObjectURL(new Blob([text],{type:'text/plain'}));
  link.download='rejected.txt';link.click();});
document.querySelector('#find').addEventListener('input',event=>{
  const wanted=event.target.value.toLowerCase();
  document.querySelectorAll('section').forEach(part=>{
    part.hidden=!part.dataset.name.toLowerCase().includes(wanted);});});
"""


def review_page(
    kept: Sequence[Any], unsure: Sequence[Any], threshold: float, who: str
) -> str:
    """The HTML text of the page.

    Images that are marked as wrong are saved by the page as ``rejected.txt``, one path
    per line. The page needs no network.

    Args:
        kept (Sequence): Labels with ``image`` (path), ``name`` and ``score``.
        unsure (Sequence): Those below the threshold, which are shown last.
        threshold (float): The threshold.
        who (str): The model that predicted, for the heading.
    """
    groups = defaultdict(list)
    for label in kept:
        groups[label.name].append(label)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    parts = chain.from_iterable(_section(name, labels) for name, labels in ordered)
    title = f'below {threshold:g}: not labelled'
    below = _section(title, unsure, certain_first=True) if unsure else []
    return ''.join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f'<title>Review of {len(kept)} labels</title><style>{_STYLE}</style>',
            f'<h1>{len(kept)} images named by the {who}</h1>',
            f'<p>{len(unsure)} others have a score below {threshold:g}. Mark wrong ones, '
            'save the list, and run <code>mmlgd autolabel</code> again with '
            '<code>--exclude rejected.txt</code>. Of each name, the least certain images '
            'come first; of those below the threshold, the most certain.</p>',
            '<p class="bar"><input type="search" id="find" placeholder="find a name"> ',
            '<button id="save">Save rejected.txt</button> ',
            '<span id="count">0</span> marked</p>',
            *parts,
            *below,
            f'<script>{_SCRIPT}</script></html>',
        ]
    )


def _section(
    name: str, labels: Sequence[Any], certain_first: bool = False
) -> Iterator[str]:
    title = html.escape(name, quote=True)
    ordered = sorted(labels, key=lambda label: label.score, reverse=certain_first)
    shown = ordered[:MAX_SHOWN]
    more = f', {len(shown)} shown' if len(shown) < len(labels) else ''
    yield f'<section data-name="{title}"><h2>{title} ({len(labels)}{more})</h2>'
    yield '<div class="row">'
    for label in shown:
        path = html.escape(label.image, quote=True)
        yield (
            f'<label title="{path}"><input type="checkbox" value="{path}">'
            f'<img alt="" loading="lazy" src="{_thumbnail(label.image)}">'
            f'{html.escape(label.name)} {label.score:.2f}</label>'
        )
    yield '</div></section>'


def _thumbnail(path: str) -> str:
    small = Image.fromarray(decode(read_file(path), path)[..., ::-1])
    small.thumbnail((2 * _SIDE, 2 * _SIDE))
    stream = io.BytesIO()
    small.save(stream, 'JPEG', quality=70)
    return f'data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}'
