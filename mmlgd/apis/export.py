"""Export of a distilled backbone, its embeddings or a zero-shot classifier."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import ConfigDict
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.export.check import check_file
from mmlgd.export.model import (
    Classifier,
    Embedder,
    ExportModel,
    check_image_size,
    check_input_type,
)
from mmlgd.export.registry import Exported, ExportFormat, build_format, export_model
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta

from .export_images import (
    check_images_given,
    read_calibration,
    read_check,
    read_labelled,
)
from .loading import load_backbone, stored_backbone
from .stored_student import projected_width, stored_student
from .zero_shot import ZeroShotClassifier


def export_backbone(
    checkpoint: str | Path,
    format: str,
    out: str | Path,
    backbone: dict | None = None,
    out_indices: Sequence[int] | None = None,
    image_size: int | Sequence[int] | None = None,
    fold_preprocessing: str | None = None,
    calibration: object = None,
    check: object = None,
    **options: object,
) -> Exported:
    """Export a backbone to another format, and compare its features with the original.

    For another library ('mmpretrain', 'mmdet', 'mmseg', 'torchvision', 'timm') the file
    contains ``state_dict`` with the keys of that library's model, and ``meta`` with the
    normalisation, the original config as ``backbone`` and the model to build as
    ``target``.

    For 'onnx' the input ``images`` is (B, 3, H, W) with any B; the outputs
    ``feature_map_0``, ... are the backbone's feature maps.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        format (str): One of :func:`mmlgd.export.format_names`.
        out (str | Path): File to write.
        backbone (dict, optional): Config of the backbone. Defaults to None: the one in
            the checkpoint.
        out_indices (Sequence[int], optional): Stages of the feature maps, ascending.
            Defaults to None: those of the distilled backbone.
        image_size (int | Sequence[int], optional): Side, or height and width, in
            pixels. Defaults to None: the checkpoint's, else 224.
        fold_preprocessing (str, optional): 'uint8' or 'float32': the graph accepts
            images from 0 to 255 of this dtype and normalises them. Defaults to None: it
            accepts normalised float32 images.
        calibration (object, optional): For ``dtype='int8'``: a few hundred images like
            those of the application, a folder or a list as for
            :func:`~mmlgd.apis.images.iter_images`. Labels are not used. Defaults to None.
        check (object, optional): Images on which the file is compared with the student,
            in the same forms. Defaults to None: no check.
        **options: Options of the format: ``fuse`` for libraries, ``dtype`` for runtimes,
            ``opset`` for ONNX.

    Returns:
        Exported: The file, the largest difference found, and code that loads the file.

    Raises:
        ConfigError: An option is invalid, or the format does not support the backbone.
        CheckpointError: The file cannot be read, contains no backbone config, its weights
            do not fit, or the exported features differ.
        DependencyError: A package that the format needs is not installed.
    """
    form = build_format(format, out, options)
    _check_options(out_indices, image_size, fold_preprocessing)
    check_images_given(form, calibration, check)
    record = _record_of(checkpoint)
    config = ConfigDict(backbone or stored_backbone(record)).to_dict()
    overrides = {} if out_indices is None else dict(out_indices=tuple(out_indices))
    try:
        module = load_backbone(checkpoint, backbone, **overrides)
    except ConfigError as error:
        if not overrides:
            raise
        raise ConfigError(
            f'out_indices={overrides["out_indices"]} does not suit {config["type"]}; use '
            f'stages that it has. {error}'
        ) from error
    model = ExportModel(
        module, record, {**config, **overrides}, image_size, fold_preprocessing
    )
    found = len(model.output_names)
    if out_indices is not None and found != len(out_indices):
        raise ConfigError(
            f'out_indices is {tuple(out_indices)}, but {config["type"]} returns {found} '
            'feature maps for them; use stages that it has.'
        )
    return _export(model, form, format, out, calibration, check)


def export_classifier(
    checkpoint: str | Path,
    format: str,
    out: str | Path,
    categories: str | Path | Sequence[str] | None = None,
    bank_file: str | Path | None = None,
    templates: str | Path | Sequence[str] = 'imagenet',
    as_logits: bool = False,
    image_size: int | Sequence[int] | None = None,
    fold_preprocessing: str | None = None,
    calibration: object = None,
    check: object = None,
    labels: bool = False,
    **options: object,
) -> Exported:
    """Export a zero-shot classifier as a graph, and compare its outputs.

    The names are a linear layer of the graph, so no text encoder is needed. The output
    ``scores`` (B, C) is the softmax at the student's temperature. The names are in the
    file's metadata as ``category_names``.

    Args:
        checkpoint (str | Path): A training checkpoint of LGD.
        format (str): 'onnx', or another runtime.
        out (str | Path): File to write.
        categories, bank_file, templates: Other names, see
            :class:`~mmlgd.apis.ZeroShotClassifier`.
        as_logits (bool): Omit the softmax; the output is then called ``logits``.
            Defaults to False.
        image_size, fold_preprocessing, calibration, check, **options: See
            :func:`export_backbone`.
        labels (bool): ``check`` is a folder with a subfolder per class, named like the
            categories; accuracies are part of the check. Defaults to False.

    Returns:
        Exported: See :func:`export_backbone`.

    Raises:
        CheckpointError, ConfigError, DependencyError: See :func:`export_backbone`.
        BankError: The bank file does not match.
    """
    form = build_format(format, out, options)
    _check_options(None, image_size, fold_preprocessing)
    check_images_given(form, calibration, check)
    classifier = ZeroShotClassifier(checkpoint, categories, bank_file, templates)
    output = 'logits' if as_logits else 'scores'
    model = ExportModel(
        _graph_of(classifier, as_logits),
        _record_of(checkpoint),
        None,
        image_size,
        fold_preprocessing,
        output,
        dict(
            category_names=json.dumps(classifier.category_names),
            temperature=str(classifier.temperature),
            output=output,
        ),
    )
    names = classifier.category_names if labels else None
    return _export(model, form, format, out, calibration, check, names)


def export_embedding(
    checkpoint: str | Path,
    format: str,
    out: str | Path,
    image_size: int | Sequence[int] | None = None,
    fold_preprocessing: str | None = None,
    calibration: object = None,
    check: object = None,
    **options: object,
) -> Exported:
    """Export backbone and projector as a graph, for names that are chosen later.

    The output ``embedding`` (B, D) has unit rows. Its product with the embeddings of
    names, divided by the ``temperature`` in the metadata, gives the logits.

    Args:
        checkpoint (str | Path): A training checkpoint, with or without names.
        format (str): 'onnx', or another runtime.
        out (str | Path): File to write.
        image_size, fold_preprocessing, calibration, check, **options: See
            :func:`export_backbone`.

    Returns:
        Exported: See :func:`export_backbone`.

    Raises:
        CheckpointError, ConfigError, DependencyError: See :func:`export_backbone`.
    """
    form = build_format(format, out, options)
    _check_options(None, image_size, fold_preprocessing)
    check_images_given(form, calibration, check)
    contents = read_checkpoint(checkpoint)
    state = contents['state_dict']
    record = CheckpointMeta.from_meta(contents['meta'], checkpoint)
    record.require('image_size', 'student_temperature')
    embed_dims = projected_width(state)
    if embed_dims is None:
        raise CheckpointError(
            f'{checkpoint} contains no projector, so it gives no embeddings; pass the '
            'epoch_*.pth or iter_*.pth of the training.'
        )
    model = ExportModel(
        Embedder(stored_student(record, state, embed_dims)),
        record,
        None,
        image_size,
        fold_preprocessing,
        'embedding',
        dict(temperature=str(record.student_temperature)),
    )
    return _export(model, form, format, out, calibration, check)


def export_backbone_onnx(
    checkpoint: str | Path,
    out: str | Path,
    out_indices: Sequence[int] | None = None,
    image_size: int | Sequence[int] | None = None,
    fold_preprocessing: str | None = None,
    opset: int = 17,
) -> float | None:
    """:func:`export_backbone` to ONNX; returns the largest relative difference."""
    return export_backbone(
        checkpoint,
        'onnx',
        out,
        None,
        out_indices,
        image_size,
        fold_preprocessing,
        opset=opset,
    ).difference


def export_classifier_onnx(
    checkpoint: str | Path, out: str | Path, *args, **kwargs
) -> float | None:
    """:func:`export_classifier` to ONNX; returns the largest difference."""
    return export_classifier(checkpoint, 'onnx', out, *args, **kwargs).difference


def _export(
    model: ExportModel,
    form: ExportFormat,
    name: str,
    out: str | Path,
    calibration: object,
    check: object,
    names: Sequence[str] | None = None,
) -> Exported:
    """Export and check, with images read before anything is written."""
    if form.is_quantised:
        model.calibration = read_calibration(model, calibration)
    images = labels = None
    if check is not None and names is not None:
        images, labels = read_labelled(model, check, names)
    elif check is not None:
        images = read_check(model, check)
    done = export_model(model, form, out)
    if images is None:
        return done
    return done._replace(check=check_file(form, name, done.path, model, images, labels))


def _record_of(checkpoint: str | Path) -> CheckpointMeta:
    return CheckpointMeta.from_meta(read_checkpoint(checkpoint)['meta'], checkpoint)


def _graph_of(classifier: ZeroShotClassifier, as_logits: bool) -> nn.Module:
    return Classifier(
        classifier.student,
        classifier.text_embeddings,
        classifier.temperature,
        as_logits,
    )


def _check_options(
    out_indices: Sequence[int] | None,
    image_size: int | Sequence[int] | None,
    fold_preprocessing: str | None,
) -> None:
    """Check options before anything is read."""
    check_input_type(fold_preprocessing)
    if image_size is not None:
        check_image_size(image_size)
    if out_indices is None:
        return
    indices = list(out_indices)
    is_valid = indices and all(type(index) is int for index in indices)
    # Backbones return each map once, in ascending order, and accept no negative index.
    if not is_valid or indices != sorted(set(indices)) or indices[0] < 0 <= indices[-1]:
        raise ConfigError(
            f'out_indices is {tuple(indices)}, but must be different stages in ascending '
            'order, such as (1, 2, 3).'
        )
