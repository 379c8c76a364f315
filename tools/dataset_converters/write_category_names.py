r"""Write mmlgd's category names and prompt templates from their official sources.

ImageNet's names and the templates come from open_clip (for one name of each colliding
pair, mmpretrain's WordNet name is used), Fashion-MNIST's and CIFAR-10's from
mmpretrain, COCO's and LVIS's from mmdet, Cityscapes' and ADE20K's from mmseg.
Caltech-256's are the folder names of the dataset; its file is written only if the
folder is given. The changes and their reasons are listed in
``mmlgd/datasets/category_names.py``.

    python tools/dataset_converters/write_category_names.py \
        --caltech256 data/caltech256/256_ObjectCategories
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmlgd.errors import DataError

_DATASETS_DIR = Path(__file__).resolve().parents[2] / 'mmlgd' / 'datasets'

# Folder names of Caltech-256 that need more than replacing hyphens by spaces: proper
# names, plurals, and words whose most common meaning differs from the images.
_CALTECH256_READABLE = {
    'airplanes': 'airplane',
    'ak47': 'AK-47',
    'american-flag': 'American flag',
    'bat': 'bat (animal)',
    'breadmaker': 'bread maker',
    'buddha': 'Buddha',
    'car-side': 'car (side view)',
    'cartman': 'Cartman',
    'cd': 'CD',
    'dumb-bell': 'dumbbell',
    'eiffel-tower': 'Eiffel Tower',
    'faces-easy': 'face',
    'french-horn': 'French horn',
    'golden-gate-bridge': 'Golden Gate Bridge',
    'hawksbill': 'hawksbill turtle',
    'head-phones': 'headphones',
    'homer-simpson': 'Homer Simpson',
    'ipod': 'iPod',
    'iris': 'iris (flower)',
    'jesus-christ': 'Jesus Christ',
    'joy-stick': 'joystick',
    'leopards': 'leopard',
    'light-house': 'lighthouse',
    'mars': 'Mars (planet)',
    'motorbikes': 'motorbike',
    'palm-pilot': 'Palm Pilot',
    'pci-card': 'PCI card',
    'pez-dispenser': 'PEZ dispenser',
    'saturn': 'Saturn (planet)',
    'segway': 'Segway',
    'self-propelled-lawn-mower': 'self-propelled lawn mower',
    'speed-boat': 'speedboat',
    'superman': 'Superman',
    'swiss-army-knife': 'Swiss Army knife',
    't-shirt': 't-shirt',
    'tower-pisa': 'Tower of Pisa',
    'tweezer': 'tweezers',
    'vcr': 'VCR',
    'yo-yo': 'yo-yo',
}


def imagenet_names() -> list[str]:
    """open_clip's names; for duplicates, mmpretrain's first WordNet word."""
    from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    count = Counter(IMAGENET_CLASSNAMES)
    return [
        name if count[name] == 1 else synset.split(',')[0]
        for name, synset in zip(IMAGENET_CLASSNAMES, IMAGENET_CATEGORIES, strict=True)
    ]


def lvis_name(name: str) -> str:
    """A readable LVIS name: one synonym, with spaces instead of underscores."""
    # Spaces occur only in 'monitor_(computer_equipment) computer_monitor'.
    return name.split(' ')[0].replace('_', ' ')


def caltech256_names(root: Path) -> list[str]:
    """Readable names of the 256 object categories, in the folders' order.

    Raises:
        DataError: If the folders are not numbered 001 to 257.
    """
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    numbers = [folder.split('.')[0] for folder in folders]
    if numbers != [f'{number:03d}' for number in range(1, 258)]:
        raise DataError(
            f"{root} holds {len(folders)} folders, not Caltech-256's 001.ak47 to "
            '257.clutter: give the folder 256_ObjectCategories.'
        )
    slugs = [folder.split('.', 1)[1].removesuffix('-101') for folder in folders[:-1]]
    return [_CALTECH256_READABLE.get(slug, slug.replace('-', ' ')) for slug in slugs]


def category_sets() -> dict[str, list[str]]:
    """All sets whose source is an installed package, by file stem."""
    from mmdet.datasets import CocoDataset, LVISV1Dataset
    from mmpretrain.datasets.categories import (
        CIFAR10_CATEGORIES,
        FASHIONMNIST_CATEGORITES,
    )
    from mmseg.datasets import ADE20KDataset, CityscapesDataset

    return {
        'imagenet': imagenet_names(),
        'coco': list(CocoDataset.METAINFO['classes']),
        'lvis_v1': [lvis_name(name) for name in LVISV1Dataset.METAINFO['classes']],
        'cityscapes': list(CityscapesDataset.METAINFO['classes']),
        # mmseg's 'bed ' ends with a space.
        'ade20k': [name.strip() for name in ADE20KDataset.METAINFO['classes']],
        'cifar10': list(CIFAR10_CATEGORIES),
        'fashion_mnist': [n.replace('/', ' or ') for n in FASHIONMNIST_CATEGORITES],
    }


def template_sets() -> dict[str, list[str]]:
    """All sets of prompt templates, by file stem."""
    from open_clip.zero_shot_metadata import (
        OPENAI_IMAGENET_TEMPLATES,
        SIMPLE_IMAGENET_TEMPLATES,
    )

    return {
        'imagenet': [template('{}') for template in OPENAI_IMAGENET_TEMPLATES],
        'simple': [template('{}') for template in SIMPLE_IMAGENET_TEMPLATES],
        'plain': ['a photo of a {}.'],
    }


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8', newline='\n')
    print(f'{path}: {len(lines)}')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--caltech256', type=Path, help='folder 256_ObjectCategories')
    parser.add_argument(
        '--out-dir', type=Path, default=_DATASETS_DIR, help='default: mmlgd/datasets'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    categories = category_sets()
    if args.caltech256:
        categories['caltech256'] = caltech256_names(args.caltech256)
    for folder, sets in (('categories', categories), ('prompts', template_sets())):
        for name, lines in sets.items():
            write_lines(args.out_dir / folder / f'{name}.txt', lines)


if __name__ == '__main__':
    main()
