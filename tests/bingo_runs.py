"""A complete small run of BINGO over the toys."""

from pathlib import Path

import torch
from mmengine.config import Config

from mmlgd.datasets import Bags, UnlabeledImages, image_list_digest
from tests.runs import toy_run_cfg
from tests.toys import NAMES, ToyTeacher


def toy_bingo_cfg(**overrides) -> dict:
    """Config of a BINGO whose queue length is not a multiple of the batch size of
    four."""
    names = dict(categories=sorted(NAMES), templates=['a {}.'])
    cfg = dict(
        type='BINGO',
        teacher=dict(type='ToyTeacher'),
        backbone=dict(type='ToyBackbone'),
        queue_size=7,
        warmup_epochs=1,
        zero_shot_bank=dict(type='TextualSemanticsBank', **names),
    )
    cfg.update(overrides)
    return cfg


def bingo_run_cfg(root: Path, work_dir: Path, **overrides) -> Config:
    """:func:`tests.runs.toy_run_cfg` of BINGO, which reads ``root/bags.pth``."""
    cfg = toy_run_cfg(root, work_dir, toy_bingo_cfg(**overrides))
    views = cfg.train_dataloader.dataset
    views.dataset = dict(
        type='BagPairs', bags=str(root / 'bags.pth'), dataset=views.dataset
    )
    cfg.custom_hooks.append(dict(type='BagsHook'))
    cfg.custom_imports = dict(imports=['tests.toys'])
    return cfg


def write_ring_bags(root: Path, k: int = 3) -> None:
    """``root/bags.pth``: the bag of each image contains the images after it."""
    images = UnlabeledImages(data_root=str(root / 'train'))
    following = torch.arange(len(images))[:, None] + torch.arange(1, k + 1)
    neighbours = (following % len(images)).int()
    bags = Bags(neighbours, ToyTeacher().identity, image_list_digest(images))
    bags.save(root / 'bags.pth')
