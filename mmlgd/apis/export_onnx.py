"""A distilled backbone, or a whole zero-shot classifier, as ONNX."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.onnx_file import check_against, write_onnx
from mmlgd.utils.preprocessing import Preprocessing

from .load_backbone import load_backbone
from .zero_shot import ZeroShotClassifier

INPUT_TYPES = ('uint8', 'float32')


class _Normalise(nn.Module):
    """Images (B, 3, H, W), 0 to 255, to what the backbone was trained with."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        for name in ('mean', 'std'):
            values = torch.tensor(getattr(preprocessing, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float() - self.mean) / self.std


class _Classifier(nn.Module):
    """Backbone, projector, and the names as one linear layer without bias."""

    def __init__(self, classifier: ZeroShotClassifier, as_logits: bool) -> None:
        super().__init__()
        self.student = classifier.student
        text = classifier.text_embeddings / classifier.temperature
        self.names = nn.Linear(text.shape[1], text.shape[0], bias=False)
        self.names.weight.data = text.float()
        self.as_logits = as_logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        student = self.student
        embeddings = F.normalize(student.projector(student.extract_feat(images)), dim=1)
        logits = self.names(embeddings)
        return logits if self.as_logits else logits.softmax(dim=1)


def export_backbone_onnx(
    checkpoint: str | Path,
    out: str | Path,
    out_indices: Sequence[int] | None = None,
    image_size: int | Sequence[int] | None = None,
    fold_preprocessing: str | None = None,
    opset: int = 17,
) -> float:
    """Write the backbone as ONNX and compare it with onnxruntime.

    The input ``images`` is (B, 3, H, W), any B; the outputs ``feature_map_0``, ... are
    the backbone's feature maps. Branches of MobileOne and RepVGG are merged.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        out (str | Path): File to write.
        out_indices (Sequence[int], optional): Which feature maps. Defaults to None:
            those of the distilled backbone.
        image_size (int | Sequence[int], optional): Side, or height and width, in
            pixels. Defaults to None: the checkpoint's, else 224.
        fold_preprocessing (str, optional): 'uint8' or 'float32': the graph takes
            images of 0 to 255 in this type, and normalises them itself. Defaults to
            None: it takes normalised float32 images.
        opset (int): ONNX operator set. Defaults to 17.

    Returns:
        float: Largest difference between torch and onnxruntime, relative to the
        largest value where that is above 1.

    Raises:
        CheckpointError: The checkpoint cannot be used, or the results differ.
        ConfigError: An unknown option.
        DependencyError: onnx or onnxruntime is not installed.
    """
    overrides = {} if out_indices is None else dict(out_indices=tuple(out_indices))
    backbone = load_backbone(checkpoint, **overrides)
    record = CheckpointMeta.from_meta(read_checkpoint(checkpoint)['meta'], checkpoint)
    return _export(backbone, record, out, image_size, fold_preprocessing, opset, {})


def export_classifier_onnx(
    checkpoint: str | Path,
    out: str | Path,
    categories: str | Path | Sequence[str] | None = None,
    bank_file: str | Path | None = None,
    templates: str | Path | Sequence[str] = 'imagenet',
    as_logits: bool = False,
    image_size: int | Sequence[int] | None = None,
    fold_preprocessing: str | None = None,
    opset: int = 17,
) -> float:
    """Write the zero-shot classifier as ONNX and compare it with onnxruntime.

    The names are a linear layer of the graph, so it runs without text encoder. Its
    output is ``scores`` (B, C), the softmax at the student's temperature; the names
    stand in the file's metadata as ``category_names``.

    Args:
        checkpoint (str | Path): A training checkpoint of LGD.
        out (str | Path): File to write.
        categories, bank_file, templates: Other names, as
            :class:`~mmlgd.apis.ZeroShotClassifier` takes them.
        as_logits (bool): Leave the softmax out; the output is then called
            ``logits``. Defaults to False.
        image_size, fold_preprocessing, opset: As for :func:`export_backbone_onnx`.

    Returns:
        float: As :func:`export_backbone_onnx`.

    Raises:
        CheckpointError, ConfigError, DependencyError: As there.
        BankError: The bank file does not fit.
    """
    classifier = ZeroShotClassifier(checkpoint, categories, bank_file, templates)
    record = CheckpointMeta.from_meta(read_checkpoint(checkpoint)['meta'], checkpoint)
    model = _Classifier(classifier, as_logits)
    told = dict(
        category_names=json.dumps(classifier.category_names),
        temperature=str(classifier.temperature),
        output='logits' if as_logits else 'scores',
    )
    return _export(model, record, out, image_size, fold_preprocessing, opset, told)


def _export(
    model: nn.Module,
    record: CheckpointMeta,
    out: str | Path,
    image_size: int | Sequence[int] | None,
    fold_preprocessing: str | None,
    opset: int,
    told: dict,
) -> float:
    if fold_preprocessing not in (None, *INPUT_TYPES):
        raise ConfigError(
            f'fold_preprocessing is {fold_preprocessing!r}, but must be one of '
            f'{INPUT_TYPES}, or None.'
        )
    preprocessing = record.preprocessing
    if fold_preprocessing is not None:
        if preprocessing is None:
            raise CheckpointError(
                'The checkpoint does not tell the mean and std it was trained with, so '
                'they cannot be folded in; export without fold_preprocessing.'
            )
        model = nn.Sequential(_Normalise(preprocessing), model)
    for part in list(model.modules()):
        # MobileOne and RepVGG merge the branches that only training needs.
        if hasattr(part, 'switch_to_deploy'):
            part.switch_to_deploy()
    model.eval()
    size = image_size or record.image_size or 224
    height, width = (size, size) if isinstance(size, int) else size
    example = _example(3, height, width, fold_preprocessing)
    told = dict(told, **_told(record, preprocessing, fold_preprocessing))
    names = [told['output']] if 'output' in told else None
    write_onnx(model, example[:2], out, names, told, opset)
    # Other batch sizes than the traced one.
    return max(check_against(model, batch, out) for batch in (example[:1], example))


def _example(batch: int, height: int, width: int, dtype: str | None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if dtype is None:
        return torch.randn(batch, 3, height, width, generator=generator)
    images = torch.randint(0, 256, (batch, 3, height, width), generator=generator)
    return images.to(getattr(torch, dtype))


def _told(
    record: CheckpointMeta, preprocessing: Preprocessing | None, folded: str | None
) -> dict:
    """What a user of the file must know, as texts."""
    told = dict(mmlgd_version=record.mmlgd_version or 'unknown')
    told['input'] = f'{folded} images of 0 to 255' if folded else 'normalised images'
    if preprocessing is not None:
        told['image_mean'] = json.dumps(preprocessing.mean)
        told['image_std'] = json.dumps(preprocessing.std)
        told['channel_order'] = 'RGB' if preprocessing.to_rgb else 'BGR'
    return told
