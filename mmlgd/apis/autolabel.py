"""Names for the images of an unlabeled folder, as other tools read them."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.device import get_device
from PIL import Image

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import check_output_folder, replace_folder, write_atomically
from mmlgd.utils.checks import check_in_range
from mmlgd.visualization.review_page import review_page

from .images import list_inputs
from .inferencers import ZeroShotInferencer
from .label_files import best_names, write_labels
from .stored_student import stored_teacher

_ORIENTATION, _QUARTER_TURNS = 0x0112, (5, 6, 7, 8)
FORMATS = ('csv', 'imagefolder', 'coco')


class Label(NamedTuple):
    """The best name of an image."""

    image: str
    name: str
    score: float


class Labels(NamedTuple):
    """The result of :func:`autolabel`.

    Attributes:
        kept (list[Label]): Labels with a score of at least the threshold.
        unsure (list[Label]): The others; no name is written for them.
        broken (list[tuple[str, str]]): Images that cannot be read, with the reason.
        files (list[Path]): Files and folders that were written.
    """

    kept: list[Label]
    unsure: list[Label]
    broken: list[tuple[str, str]]
    files: list[Path]


class TeacherInferencer(ZeroShotInferencer):
    """As :class:`ZeroShotInferencer`, with the teacher of the checkpoint.

    Raises:
        CheckpointError: The checkpoint has no config of its teacher.
        TeacherError: The teacher's weights are not available.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        names: Any = None,
        device: str | torch.device | None = None,
        **options: Any,
    ) -> None:
        super().__init__(checkpoint, names, device, **options)
        record = self.classifier.record
        record.require('teacher_temperature')
        self.temperature = float(record.teacher_temperature or 0)  # required above
        self.teacher = stored_teacher(record, options.get('teacher'))
        self.teacher.to(self.classifier.device)

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        """See the base class; at the teacher's temperature."""
        rows = self.teacher.encode_image(images.to(self.classifier.device))
        logits = rows @ self.classifier.text_embeddings.T
        return (logits / self.temperature).softmax(dim=1).cpu()


def autolabel(
    checkpoint: str | Path,
    images: Any,
    out: str | Path,
    names: str | Path | Sequence[str] | None = None,
    threshold: float = 0.5,
    formats: Sequence[str] = ('csv',),
    use_teacher: bool = False,
    exclude: Sequence[str] = (),
    link: bool = False,
    batch_size: int = 32,
    device: str | torch.device | None = None,
) -> Labels:
    """Name the images of a folder, and write the names above a threshold.

    Args:
        checkpoint (str | Path): A training checkpoint of a distillation.
        images (object): Folders or paths of images.
        out (str | Path): Folder to write: ``labels.csv`` (image, name, score),
            ``images/<name>/`` for 'imagefolder', ``labels.json`` for 'coco', and
            ``review.html``.
        names (str | Path | Sequence[str], optional): Other names. Defaults to None: those
            of the checkpoint.
        threshold (float): Least score, in [0, 1]. A score is a probability over all
            names, so it depends on their number. Defaults to 0.5.
        formats (Sequence[str]): Of :data:`FORMATS`. Defaults to 'csv', which is always
            written.
        use_teacher (bool): Whether the teacher predicts. Defaults to False: the student.
        exclude (Sequence[str]): Images to leave out, by their path as written.
        link (bool): Whether 'imagefolder' has links to the images instead of copies.
            Defaults to False.
        batch_size (int): Images in memory at a time. Defaults to 32.
        device (str | torch.device, optional): Defaults to None: the GPU, if any.

    Raises:
        ConfigError: An option is unknown or out of range.
        DataError: No image can be read.
    """
    check_in_range('threshold', threshold, 0, 1)
    unknown = sorted({*formats} - {*FORMATS})
    if unknown:
        raise ConfigError(f'format {unknown[0]!r} is not one of {", ".join(FORMATS)}.')
    check_output_folder(out, 'out')
    found_inputs = list_inputs(images)
    if not all(isinstance(each, str) and '://' not in each for each in found_inputs):
        raise ConfigError('Only image files can be labelled; give folders or paths.')
    left_out = {*exclude}
    paths = [each for each in found_inputs if each not in left_out]
    kind = TeacherInferencer if use_teacher else ZeroShotInferencer
    inferencer = kind(checkpoint, names, device or get_device())
    broken: list[tuple[str, str]] = []
    labels = [
        Label(path, *best_names(sample.pred_score, inferencer.classes, 1)[0])
        for found, samples in inferencer.stream(
            paths, 'Labelling', batch_size, broken=broken
        )
        for path, sample in zip(found, samples)
    ]
    if not labels:
        raise DataError('No image could be read; check the paths.')
    kept = [label for label in labels if label.score >= threshold]
    unsure = [label for label in labels if label.score < threshold]
    out = Path(out)
    files = [out / 'labels.csv', out / 'review.html']
    write_labels(files[0], [(each.image, [(each.name, each.score)]) for each in kept])
    who = 'teacher' if use_teacher else 'student'
    page = review_page(kept, unsure, threshold, who)
    write_atomically(files[1], page.encode('utf-8', 'backslashreplace'))
    if 'imagefolder' in formats:
        files.append(_write_folders(out / 'images', kept, link))
    if 'coco' in formats:
        files.append(out / 'labels.json')
        _write_coco(files[-1], kept, inferencer.classes)
    return Labels(kept, unsure, broken, files)


def _write_folders(folder: Path, labels: Sequence[Label], link: bool) -> Path:
    names = [os.path.basename(label.image) for label in labels]
    counts = Counter(zip((label.name for label in labels), names))
    with replace_folder(folder) as part:
        for number, (label, name) in enumerate(zip(labels, names)):
            place = part / folder_name(label.name)
            place.mkdir(exist_ok=True)
            # Equal names from several folders.
            is_alone = counts[label.name, name] == 1
            target = place / (name if is_alone else f'{number}_{name}')
            if link:
                target.symlink_to(os.path.abspath(label.image))
            else:
                shutil.copyfile(label.image, target)
    return folder


def folder_name(name: str) -> str:
    """A category name as the name of a folder on any system."""
    plain = re.sub(r'[<>:"/\\|?*\x00-\x1f]', '_', name).strip(' .')
    return plain or '_'


def _write_coco(path: Path, labels: Sequence[Label], names: Sequence[str]) -> None:
    """COCO with one annotation per image, whose box is the whole image."""
    ids = {name: number for number, name in enumerate(names, 1)}
    images, annotations = [], []
    for number, label in enumerate(labels, 1):
        width, height = _upright_size(label.image)
        images.append(
            dict(id=number, file_name=label.image, width=width, height=height)
        )
        annotations.append(
            dict(
                id=number,
                image_id=number,
                category_id=ids[label.name],
                bbox=[0, 0, width, height],
                area=width * height,
                iscrowd=0,
                score=round(label.score, 6),
            )
        )
    contents = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=number, name=name) for name, number in ids.items()],
    )
    write_atomically(path, json.dumps(contents))


def _upright_size(path: str) -> tuple[int, int]:
    """Width and height after the rotation in the file, as images are read."""
    with Image.open(path) as image:
        width, height = image.size
        is_turned = image.getexif().get(_ORIENTATION, 1) in _QUARTER_TURNS
    return (height, width) if is_turned else (width, height)
