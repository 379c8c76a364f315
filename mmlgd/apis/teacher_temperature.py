"""Entropy and agreement of a teacher's targets by temperature, on unlabeled images."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mmlgd.errors import ConfigError, DataError
from mmlgd.models.distillers import build_language_teacher
from mmlgd.models.teachers import BaseTeacher, batch_encoder, learned_temperature
from mmlgd.registry import DATASETS, MODELS
from mmlgd.utils.checks import check_count, check_in_range
from mmlgd.utils.progress import track
from mmlgd.utils.teacher_config import teacher_configs

#: Around 0.01, the temperature of most CLIPs.
TEMPERATURES = (0.002, 0.005, 0.01, 0.014, 0.017, 0.02, 0.03, 0.05, 0.1)


@dataclass(frozen=True)
class TemperatureReport:
    """Targets of a teacher at several temperatures.

    Attributes:
        teacher (str): Identity of the teacher.
        learned_temperature (float | None): 1 / exp(logit_scale), if the teacher has one.
        num_images (int): N.
        num_categories (int): C.
        top1_agreement (float): Share of images whose two views have the same best name,
            which does not depend on the temperature.
        rows (list[dict]): See :func:`temperature_rows`.
    """

    teacher: str
    learned_temperature: float | None
    num_images: int
    num_categories: int
    top1_agreement: float
    rows: list[dict]


def temperature_rows(
    first: Tensor, second: Tensor, temperatures: Sequence[float]
) -> list[dict]:
    r"""Entropy and agreement of the targets of two views of the same images.

    With p and q the softmaxes of an image's two views at a temperature, and r their mean
    over all images and both views, a row has

    - ``entropy``: mean of H(p) over images and views, in nats;
    - ``effective_names``: exp(entropy), the equivalent number of equally likely names;
    - ``top1_probability``: mean of max p;
    - ``agreement``: mean of :math:`\sum_c p_c q_c`, the probability that names drawn from
      the targets of both views are the same;
    - ``chance``: :math:`\sum_c r_c^2`, the same for views of two arbitrary images;
    - ``shared``: H(r) minus the mean cross-entropy of one view's target under the
      other's, in nats: how much a view predicts about the other view of its image. It
      is low at low temperatures, where the views disagree, and at high temperatures,
      where the targets are uniform.

    Args:
        first (Tensor): Similarities of N images to C names, (N, C).
        second (Tensor): Similarities of another view of each image, (N, C).
        temperatures (Sequence[float]): Above 0.

    Returns:
        list[dict]: One row per temperature, in the given order, with ``temperature``.
    """
    rows = []
    for temperature in temperatures:
        logs = [
            (part.double() / temperature).log_softmax(dim=1) for part in (first, second)
        ]
        p, q = (each.exp() for each in logs)
        mean = torch.cat([p, q]).mean(dim=0)
        entropy = -sum((a * b).sum(1).mean() for a, b in zip((p, q), logs)) / 2
        crossed = -sum((a * b).sum(1).mean() for a, b in zip((q, p), logs)) / 2
        best = sum(each.amax(dim=1).mean() for each in (p, q)) / 2
        row = dict(
            entropy=entropy,
            effective_names=entropy.exp(),
            top1_probability=best,
            agreement=(p * q).sum(dim=1).mean(),
            chance=mean.square().sum(),
            shared=torch.special.entr(mean).sum() - crossed,
        )
        rows.append(
            {'temperature': temperature, **{k: float(v) for k, v in row.items()}}
        )
    return rows


def report_temperatures(
    cfg: Config,
    temperatures: Sequence[float] = TEMPERATURES,
    num_images: int = 2000,
    seed: int = 0,
    device: str | torch.device = 'cpu',
    cache_dir: str | None = None,
) -> TemperatureReport:
    """Compare temperatures of a teacher on two views of the images of a config.

    Images, augmentation and names are those of the config. The temperature that the
    teacher has learned and that of the config are added to the grid.

    Args:
        cfg (Config): Distillation config: ``model`` has a teacher and a textual bank, and
            ``train_dataloader.dataset`` is ``SeededViews``, or ``StoredViews``, whose
            embeddings are used.
        temperatures (Sequence[float]): The grid. Defaults to :data:`TEMPERATURES`.
        num_images (int): Number of images to draw. Defaults to 2000.
        seed (int): Seed of the drawing. Defaults to 0.
        device (str | torch.device): Device of the teacher. Defaults to 'cpu'.
        cache_dir (str, optional): Cache of text embeddings. Defaults to None.

    Raises:
        ConfigError: A temperature or another option is out of range, or the config has
            no names or no views.
        DataError: The dataset has no images.
        TeacherError: The learned scale of the teacher is implausible.
    """
    check_count('num_images', num_images, 1)
    configured = cfg.model.get('teacher_temperature')
    if configured not in (None, 'auto'):
        temperatures = [*temperatures, configured]
    for temperature in temperatures:
        check_in_range('temperatures', temperature, 0, math.inf, low_open=True)
    bank_cfg = cfg.model.get('textual_bank') or cfg.model.get('zero_shot_bank')
    if not teacher_configs(cfg.model) or bank_cfg is None:
        raise ConfigError(
            'The model of this config has no teacher, or neither a textual_bank nor a '
            'zero_shot_bank, whose names are needed. Use an LGD config.'
        )
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    loader = _pairs(cfg, num_images, seed)
    teacher = build_language_teacher(cfg.model)
    learned = None
    if teacher.logit_scale is not None:
        learned = learned_temperature(teacher, 'teacher_temperature')
    bank = MODELS.build(dict(bank_cfg, embed_dims=teacher.embed_dims))
    teacher.to(device)
    bank.build(teacher, cache_dir)
    teacher.release_text_tower()
    logits = _embed(teacher, loader, device) @ bank.embeddings.cpu().T
    first, second = logits.chunk(2)
    grid = {*temperatures, *([] if learned is None else [learned])}
    same = first.argmax(dim=1) == second.argmax(dim=1)
    return TemperatureReport(
        teacher=teacher.identity,
        learned_temperature=learned,
        num_images=len(first),
        num_categories=len(bank.category_names),
        top1_agreement=same.double().mean().item(),
        rows=temperature_rows(first, second, sorted(grid)),
    )


def _pairs(cfg: Config, num_images: int, seed: int) -> DataLoader:
    """Build a loader of one view of each drawn image, followed by another view of each."""
    loader = copy.deepcopy(cfg.train_dataloader)
    dataset = DATASETS.build(loader.pop('dataset'))
    if not hasattr(dataset, 'split') or getattr(dataset, 'num_views', 2) < 2:
        raise ConfigError(
            'train_dataloader.dataset must be SeededViews, or StoredViews with two views '
            f'or more, but is {type(dataset).__name__}. Wrap the images in SeededViews.'
        )
    total = len(dataset)
    if not total:
        raise DataError(
            'The dataset has no images. Check data_root of train_dataloader.'
        )
    generator = torch.Generator().manual_seed(seed)
    drawn = sorted(torch.randperm(total, generator=generator)[:num_images].tolist())
    views = Subset(
        dataset, [view * total + index for view in (0, 1) for index in drawn]
    )
    options = dict(
        sampler=dict(type='DefaultSampler', shuffle=False),
        drop_last=False,
        dataset=views,
    )
    loader.pop('batch_sampler', None)
    return Runner.build_dataloader({**loader, **options})


@torch.no_grad()
def _embed(
    teacher: BaseTeacher, loader: DataLoader, device: str | torch.device
) -> Tensor:
    """Unit rows (2 N, D), computed by the teacher or read from a store."""
    encode = batch_encoder(teacher, device)
    rows = []
    for batch in track(loader, 'Embedding images'):
        inputs = batch['inputs']
        if isinstance(inputs, dict):  # of PackForDevice
            inputs = inputs['image']
        if not isinstance(inputs, Tensor) or inputs.dim() != 4:
            raise ConfigError(
                'train_dataloader must return one view of each image, in a batch '
                '(B, 3, H, W): omit MultiView and BagPairs, and use the collate_fn '
                "'default_collate'."
            )
        stored = batch.get('teacher_embeddings')
        # Of several stored teachers, the language teacher's embedding is the first.
        width = teacher.embed_dims
        found = encode(batch) if stored is None else stored[:, :width].float()
        rows.append(torch.nn.functional.normalize(found, dim=1))
    return torch.cat(rows)
