"""Checks the links between the pages of a built site: `python docs/check_links.py SITE`.

Every link to a page, to a place in a page, to a file and every image must exist. Links to
other sites are not followed.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The links of a page, and the places that links can point to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places = {''}
        self.feed(path.read_text('utf-8'))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ('href', 'src') and value:
                self.links.append(value)
            elif name in ('id', 'name') and value:
                self.places.add(value)


def broken_links(site: Path) -> list[str]:
    """The links of a folder of HTML pages that point to nothing.

    Args:
        site (Path): The folder.

    Returns:
        list[str]: A line for each, with the page and the link.
    """
    pages = {path.resolve(): _Page(path) for path in sorted(site.rglob('*.html'))}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (
                (path.parent / unquote(parts.path)).resolve() if parts.path else path
            )
            place = unquote(parts.fragment)
            known = pages[target].places if target in pages else {'', place}
            if not target.is_file() or place not in known:
                broken.append(f'{path.relative_to(site.resolve())}: {link}')
    return broken


def main() -> None:
    """Print broken links, and exit with 1 if there are any."""
    site = Path(sys.argv[1])
    if not (site / 'index.html').is_file():
        sys.exit(f'{site} has no index.html: build it with `make docs`.')
    broken = broken_links(site)
    for line in broken:
        print(line)
    sys.exit(f'{len(broken)} broken link(s)' if broken else 0)


if __name__ == '__main__':
    main()
