"""What student and teacher make of a sample of images, as plain data."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.field_checks import (
    check_fields,
    each,
    is_number,
    is_whole,
    read_json_object,
)

#: Name of the file in the work directory, beside the report.
FILE_NAME = 'report.json'
_MAX = 10**9
_BASE64 = re.compile(r'[A-Za-z0-9+/=]*')
_count = is_whole(0, _MAX)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_share(value: Any) -> bool:
    return is_number(value) and -1 <= value <= 1


def _is_bin(value: Any) -> bool:
    is_triple = isinstance(value, list) and len(value) == 3
    return is_triple and _count(value[0]) and all(map(_is_share, value[1:]))


def _is_calibration(value: dict) -> bool:
    return set(value) <= {'student', 'teacher'} and all(
        isinstance(bins, list) and all(map(_is_bin, bins)) for bins in value.values()
    )


@dataclass
class Example:
    """An image on which student and teacher differ.

    Attributes:
        image (str): Thumbnail, a JPEG in base64.
        path (str): Its file, or its index in the dataset.
        cosine (float): Cosine similarity of the two embeddings.
        student, teacher (str): The most similar name; '' without names.
        student_score, teacher_score (float): Probabilities of these names.
        label (str): The correct name; '' if it is not known.
    """

    image: Annotated[str, lambda value: bool(_BASE64.fullmatch(value))]
    path: str
    cosine: Annotated[float | int, _is_share]
    student: str = ''
    teacher: str = ''
    student_score: Annotated[float | int, _is_share] = 0.0
    teacher_score: Annotated[float | int, _is_share] = 0.0
    label: str = ''


@dataclass
class Sample:
    """Measurements over a sample of images.

    Attributes:
        epoch, iter (int): Of the weights.
        source (str): Where the images are from, such as ``val_dataloader``.
        images (int): Number of images in the sample.
        available (int): Number of images it was drawn from.
        seconds (float): Time of the measurement.
        ended_early (bool): Whether it ended for lack of time.
        names (list[str]): The C names; empty for a model without names.
        teacher_counts, student_counts (list[int]): Images to which each assigns a name.
        agreed (list[int]): Images to which both assign a name.
        correct (str): What the calibration compares with: 'labels', 'teacher' or ''.
        calibration (dict[str, list]): Of ``student`` and, if labels are known,
            ``teacher``, see :func:`~mmlgd.evaluation.reliability_bins`.
        cosine (float, optional): Mean cosine similarity of the two embeddings.
        examples (list[Example]): Images on which they differ, the worst first.
        host_memory (int, optional): Peak memory of the main process, in MB.
        wall_seconds (float, optional): Time of the training up to here, with validation.
    """

    epoch: Annotated[int, _count]
    iter: Annotated[int, _count]
    source: str
    images: Annotated[int, is_whole(1, _MAX)]
    available: Annotated[int, is_whole(1, _MAX)]
    seconds: Annotated[float | int, is_number]
    ended_early: bool
    names: Annotated[list, each(_is_text)] = field(default_factory=list)
    teacher_counts: Annotated[list, each(_count)] = field(default_factory=list)
    student_counts: Annotated[list, each(_count)] = field(default_factory=list)
    agreed: Annotated[list, each(_count)] = field(default_factory=list)
    correct: str = ''
    calibration: Annotated[dict, _is_calibration] = field(default_factory=dict)
    cosine: Annotated[float | int | None, _is_share] = None
    examples: list = field(default_factory=list)
    host_memory: Annotated[int | None, _count] = None
    wall_seconds: Annotated[float | int | None, is_number] = None

    @property
    def agreement(self) -> tuple[int, int] | None:
        """Images with the same name by both, and images named; None if not measured."""
        named = sum(self.teacher_counts)
        return (sum(self.agreed), named) if self.agreed and named else None

    @property
    def commonest(self) -> tuple[str, int]:
        """The name that the teacher assigns most often, and to how many images."""
        count = max(self.teacher_counts)
        return self.names[self.teacher_counts.index(count)], count

    @property
    def doubt(self) -> str:
        """Why the student may be useless; '' if there is no sign of it."""
        if self.agreement is None:
            return ''
        agreed, named = self.agreement
        name, count = self.commonest
        if count == named or agreed > count:
            return ''
        only = sum(map(bool, self.student_counts)) == 1
        return (
            f'The student agrees with the teacher on {agreed:,} of {named:,} images, but '
            f'{name!r} for every image would agree on {count:,}: '
            + ('it assigns one name to all images. ' if only else 'it is no better. ')
            + 'Train for more epochs, or use names that suit the images.'
        )


def write_sample(sample: Sample, work_dir: str | Path) -> Path:
    """Write a sample into a work directory; returns the path.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(work_dir) / FILE_NAME
    write_atomically(path, json.dumps(asdict(sample), indent=1) + '\n')
    return path


def read_sample(work_dir: str | Path) -> Sample | None:
    """Read the sample of a work directory; None if there is none.

    Raises:
        DataError: The file cannot be read or is not one of mmlgd.
    """
    path = Path(work_dir) / FILE_NAME
    if not path.exists():
        return None
    try:
        contents = check_fields(Sample, read_json_object(path))
        examples = [
            Example(**check_fields(Example, each)) for each in _listed(contents)
        ]
        sample = Sample(**{**contents, 'examples': examples})
        _check_lengths(sample)
    except (OSError, ValueError) as error:
        raise DataError(
            f'{path} cannot be used ({error}); delete it, or write it again with '
            'mmlgd report --config CONFIG.'
        ) from error
    return sample


def _listed(contents: dict) -> Sequence[object]:
    return contents.get('examples', [])


def _check_lengths(sample: Sample) -> None:
    for name in ('teacher_counts', 'student_counts', 'agreed'):
        counts = getattr(sample, name)
        if counts and len(counts) != len(sample.names):
            raise ValueError(
                f'{name} has {len(counts)} entries for {len(sample.names)} names'
            )
