"""The files that each dataset consists of, and how to obtain it."""

from dataclasses import dataclass

from .caltech256 import NUM_CLASSES, NUM_IMAGES
from .imagenet_subsets import NUM_TRAIN, SIMCLR_COUNTS

_CALTECH_CLUTTER = 827
_CALTECH_TRAIN = 60 * NUM_CLASSES


@dataclass(frozen=True)
class Need:
    """Files that a dataset must have.

    Attributes:
        patterns (tuple[str, ...]): Paths relative to the dataset's folder; parts may
            contain ``*`` and ``?``. Files that match any pattern are counted together.
        count (int, optional): Required number of files. Defaults to None: at
            least one.
        lines (int, optional): Required number of lines of the file.
        unless (str): Pattern of files that make this requirement obsolete.
    """

    patterns: tuple[str, ...]
    count: int | None = None
    lines: int | None = None
    unless: str = ''


@dataclass(frozen=True)
class ExpectedDataset:
    """A dataset that configs of mmlgd read.

    Attributes:
        title (str): Readable name.
        folder (str): Folder below ``data/`` that the configs read.
        needs (tuple[Need, ...]): Required files.
        get (str): How to obtain it.
    """

    title: str
    folder: str
    needs: tuple[Need, ...]
    get: str


def _file(path: str, lines: int | None = None, unless: str = '') -> Need:
    return Need((path,), 1, lines, unless)


def _files(*patterns: str, count: int | None = None) -> Need:
    return Need(patterns, count)


_COCO_IMAGES = (
    _files('train2017/*.jpg', count=118_287),
    _files('val2017/*.jpg', count=5_000),
)

EXPECTED = {
    'imagenet': ExpectedDataset(
        'ImageNet-1k (ILSVRC 2012)',
        'imagenet',
        (
            _files('train/n*/*.JPEG', count=NUM_TRAIN),
            _files('val/*.JPEG', 'val/n*/*.JPEG', count=50_000),
            _file('meta/val.txt', lines=50_000, unless='val/n*/*.JPEG'),
        ),
        'Sign up at https://image-net.org/download-images, fetch the ILSVRC 2012 '
        'training and validation images, unpack each class archive into '
        'train/<WordNet id>/. Sort val/ into such folders too, or write meta/val.txt '
        '("name label" lines).',
    ),
    'imagenet_subsets': ExpectedDataset(
        "SimCLR's 1 % and 10 % of ImageNet",
        'imagenet',
        tuple(
            _file(f'meta/{percent}percent.txt', lines=count)
            for percent, count in SIMCLR_COUNTS.items()
        ),
        'Fetch 1percent.txt and 10percent.txt from the folder imagenet_subsets of '
        'https://github.com/google-research/simclr, then: python '
        'tools/dataset_converters/imagenet_subset.py data/imagenet --percent 1 --list '
        '1percent.txt (and likewise 10).',
    ),
    'caltech256': ExpectedDataset(
        'Caltech-256 and its split',
        'caltech256',
        (
            _files(
                '256_ObjectCategories/*/???_????.jpg',
                count=NUM_IMAGES + _CALTECH_CLUTTER,
            ),
            _file('meta/train.txt', lines=_CALTECH_TRAIN),
            _file('meta/test.txt', lines=NUM_IMAGES - _CALTECH_TRAIN),
            _file('meta/names.txt', lines=NUM_CLASSES),
        ),
        'Fetch 256_ObjectCategories.tar from '
        'https://data.caltech.edu/records/nyy15-4j048, unpack it in data/caltech256, '
        'then: python tools/dataset_converters/caltech256.py data/caltech256.',
    ),
    'coco': ExpectedDataset(
        'COCO 2017',
        'coco',
        (
            *_COCO_IMAGES,
            _file('annotations/instances_train2017.json'),
            _file('annotations/instances_val2017.json'),
        ),
        'Fetch train2017.zip, val2017.zip and annotations_trainval2017.zip from '
        'https://cocodataset.org/#download and unpack them in data/coco.',
    ),
    'lvis_v1': ExpectedDataset(
        'LVIS v1',
        'lvis_v1',
        (
            *_COCO_IMAGES,
            _file('annotations/lvis_v1_train.json'),
            _file('annotations/lvis_v1_val.json'),
        ),
        'Fetch the v1 training and validation annotations from '
        "https://www.lvisdataset.org/dataset into annotations/. The images are COCO's: "
        'ln -s ../coco/train2017 ../coco/val2017 data/lvis_v1/.',
    ),
    'ade20k': ExpectedDataset(
        'ADE20K (scene parsing, 150 classes)',
        'ade/ADEChallengeData2016',
        (
            _files('images/training/*.jpg', count=20_210),
            _files('images/validation/*.jpg', count=2_000),
            _files('annotations/training/*.png', count=20_210),
            _files('annotations/validation/*.png', count=2_000),
        ),
        'Fetch ADEChallengeData2016.zip from '
        'http://sceneparsing.csail.mit.edu and unpack it in data/ade.',
    ),
    'cityscapes': ExpectedDataset(
        'Cityscapes',
        'cityscapes',
        (
            _files('leftImg8bit/train/*/*_leftImg8bit.png', count=2_975),
            _files('leftImg8bit/val/*/*_leftImg8bit.png', count=500),
            _files('gtFine/train/*/*_gtFine_labelTrainIds.png', count=2_975),
            _files('gtFine/val/*/*_gtFine_labelTrainIds.png', count=500),
        ),
        'Sign up at https://www.cityscapes-dataset.com, unpack '
        'leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip in data/cityscapes, '
        "then write the labelTrainIds.png with mmsegmentation's "
        'tools/dataset_converters/cityscapes.py (it needs cityscapesscripts).',
    ),
}
