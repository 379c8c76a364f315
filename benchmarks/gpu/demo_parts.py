"""Model and images of the demo, which have trained weights and need no download."""

import torch
from mmengine.config import Config
from torch import nn

from demo.fashion_mnist import prepare_demo_data
from demo.run import CONFIG
from mmlgd.registry import DATASETS, MODELS


def demo_config() -> Config:
    """The demo's config, with its images unpacked."""
    config = Config.fromfile(CONFIG)
    prepare_demo_data(config.val_dataloader.dataset.data_root)
    return config


def demo_model() -> nn.Module:
    """The demo's LGD with its initial weights, always the same, on the CPU."""
    torch.manual_seed(0)
    model = MODELS.build(demo_config().model)
    model.init_weights()
    model.build_text_banks()
    return model


def demo_images(count: int) -> torch.Tensor:
    """The first test images, uint8 (count, 3, 64, 64)."""
    dataset = DATASETS.build(demo_config().val_dataloader.dataset)
    return torch.stack([dataset[index]['inputs'] for index in range(count)])
