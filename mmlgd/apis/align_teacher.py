"""Fitting of a projection for a teacher without text tower."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.logging import print_log

from mmlgd.errors import ConfigError
from mmlgd.models.teachers import OpenCLIPTeacher, ProjectedTeacher
from mmlgd.models.teachers.alignment import LinearMap, RidgeAlignment, check_strengths
from mmlgd.models.teachers.cosine_meter import CosineMeter
from mmlgd.models.teachers.projection import normalisation_of
from mmlgd.utils.atomic import replace_file
from mmlgd.utils.progress import shows_progress, track
from mmlgd.version import __version__

from .alignment_data import split_loaders, stacked, view_of

#: Candidates, relative to the mean eigenvalue of the features' scatter matrix.
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class Alignment:
    """A fitted projection.

    Attributes:
        projection (LinearMap): float32, on the CPU.
        meta (dict): Plain values: both models, the normalisation, the numbers of images,
            the chosen strength and its held-out cosine.
        table (list[dict]): ``strength`` and ``held_out_cosine`` of each candidate.
    """

    projection: LinearMap
    meta: dict
    table: list[dict]

    def save(self, path: str | Path) -> None:
        """Write a file for the option ``projection`` of a teacher."""
        with replace_file(path) as part:
            state = self.projection._asdict()
            torch.save(dict(state_dict=state, meta=self.meta), part)


def align_teacher(
    teacher: ProjectedTeacher,
    target: OpenCLIPTeacher,
    dataloader: dict,
    strengths: Sequence[float] = STRENGTHS,
    held_out: float = 0.05,
    num_images: int | None = None,
    seed: int = 0,
) -> Alignment:
    """Fit the linear map from a backbone's features to a CLIP's image embeddings.

    Ridge regression on unlabeled images in closed form, see
    :class:`~mmlgd.models.teachers.alignment.RidgeAlignment`. The strength with the
    highest mean cosine on held-out images is chosen; these images are not used in the
    fit. Both models see the same crop, resized to the size of each model and normalised
    with its mean and std. Uses all ranks of an initialised process group.

    Args:
        teacher (ProjectedTeacher): An ``MMPretrainTeacher`` or a ``TIMMTeacher``, without
            projection.
        target (OpenCLIPTeacher): Its unit image embeddings are the targets.
        dataloader (dict): Config of a data loader of uint8 BGR crops of one size, as
            large as the larger model requires; those of ``PackForDevice`` are augmented
            as in training. ``sampler`` and ``drop_last`` are set here.
        strengths (Sequence[float]): Candidates. Defaults to :data:`STRENGTHS`.
        held_out (float): Share of the images to hold out, in (0, 1). Defaults to 0.05.
        num_images (int, optional): Number of images to draw, including held-out ones.
            Defaults to None: all.
        seed (int): Seed of the drawing and of the split. Defaults to 0.

    Raises:
        ConfigError: Models of another type, a teacher that already has a projection,
            options out of range, or images of several sizes.
        DataError: There are no images, or too few to hold some out.
        TeacherError: A value is not finite.
    """
    _check_models(teacher, target)
    check_strengths(strengths)
    fit_loader, held_out_loader = split_loaders(dataloader, held_out, num_images, seed)
    ridge = RidgeAlignment(teacher.embed_dims, target.embed_dims, teacher.device)
    _feed(ridge, fit_loader, teacher, target, 'Fitting')
    # The maps are measured as they are saved.
    maps = [
        LinearMap(weight.float(), bias.float())
        for weight, bias in [*ridge.solve(strengths), ridge.constant()]
    ]
    meter = CosineMeter(maps)
    _feed(meter, held_out_loader, teacher, target, 'Measuring')
    *cosines, constant = meter.means()
    best = max(range(len(strengths)), key=cosines.__getitem__)
    _warn_at_limit(strengths, strengths[best])
    table = [
        dict(strength=float(strength), held_out_cosine=cosine)
        for strength, cosine in zip(strengths, cosines)
    ]
    meta = dict(
        _origin(teacher, target),
        **table[best],
        constant_cosine=constant,
        num_images=ridge.num_images,
        num_held_out=meter.num_images,
        seed=seed,
    )
    return Alignment(LinearMap(*(part.cpu() for part in maps[best])), meta, table)


def _origin(teacher: ProjectedTeacher, target: OpenCLIPTeacher) -> dict:
    """Values that a teacher compares when it loads the projection."""
    return dict(
        mmlgd_version=__version__,
        aligned_teacher=teacher.feature_identity,
        alignment_target=target.identity,
        **normalisation_of(teacher),
    )


def _feed(
    sums: RidgeAlignment | CosineMeter,
    loader: Iterable[dict],
    teacher: ProjectedTeacher,
    target: OpenCLIPTeacher,
    what: str,
) -> None:
    """Add all images of a loader, then sum over all ranks."""
    for number, batch in enumerate(track(loader, f'{what} the projection')):
        images = stacked(batch['inputs'], teacher.device)
        features = teacher.encode_features(view_of(images, teacher))
        sums.update(features, target.encode_image(view_of(images, target)))
        if number % 50 == 0 and not shows_progress():
            print_log(f'{what}: {sums.num_images} images on this rank', 'current')
    sums.reduce()


def _check_models(teacher: ProjectedTeacher, target: OpenCLIPTeacher) -> None:
    for name, model, kind, wanted in (
        ('teacher', teacher, ProjectedTeacher, 'MMPretrainTeacher or a TIMMTeacher'),
        ('target', target, OpenCLIPTeacher, 'OpenCLIPTeacher'),
    ):
        if not isinstance(model, kind):
            raise ConfigError(
                f'{name} is a {type(model).__name__}, but must be an {wanted}.'
            )
    if teacher.projection is not None:
        raise ConfigError(
            'The teacher already has a projection, but the fit needs its unprojected '
            'features. Remove projection (and text_encoder) from its config.'
        )


def _warn_at_limit(strengths: Sequence[float], best: float) -> None:
    if len(strengths) > 1 and best in (min(strengths), max(strengths)):
        print_log(
            f'The best strength, {best:g}, is the smallest or largest candidate: a '
            'better one may lie outside. Add candidates there.',
            'current',
            level=logging.WARNING,
        )
