"""Train a teacher: a small CLIP for Fashion-MNIST or CIFAR-10.

Uses open_clip's model and loss on the training images, each with a caption made from
the category name and a random prompt template. The run is seeded:

    python demo/train_teacher.py

or, for CIFAR-10, the one in demo/README.md. It writes the weights in half precision,
evaluates them like ``demo/evaluate_teacher.py``, and prints the training time.

A teacher for other images needs a model config and one of these:

    python demo/train_teacher.py --captions captions.csv --model-config my-clip.json \\
        --out my-clip.pt
    python demo/train_teacher.py --images FOLDER --model-config my-clip.json \\
        --out my-clip.pt

The first takes a CSV with the columns path and caption, or a JSON object that maps each
path to a caption or a list of captions; paths are relative to --images. The second
takes one folder per class, of any size, named like the class. Images are kept in
memory.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == '__main__':  # run by path: make the package importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import open_clip
import torch

from demo.caption_data import read_captions, read_classes
from demo.contrastive import (
    grouped_batches,
    grouped_clip_loss,
    multi_positive_clip_loss,
    random_views,
)
from demo.evaluate_teacher import create_teacher, evaluate
from demo.teacher_data import TEACHER_DATA, TeacherData
from mmlgd.datasets.category_names import load_category_names, load_templates
from mmlgd.utils.tool import run_tool

MAX_LOG_SCALE = math.log(100)  # bounded as in CLIP's training


def caption_tokens(data: TeacherData) -> torch.Tensor:
    """Tokens of every category with every template, (C, P, 77) int64."""
    tokenizer = open_clip.get_tokenizer(data.stem)
    templates = load_templates('imagenet')
    names = load_category_names(data.categories)
    return torch.stack(
        [tokenizer([template.format(name) for template in templates]) for name in names]
    )


def make_optimizer(model: torch.nn.Module, lr: float) -> torch.optim.Optimizer:
    """AdamW without weight decay on gains, biases and token embeddings.

    Most tokens never occur, and their embeddings would only shrink.
    """
    decayed, spared = [], []
    for name, parameter in model.named_parameters():
        spare = parameter.ndim < 2 or name == 'token_embedding.weight'
        (spared if spare else decayed).append(parameter)
    groups = [dict(params=decayed, weight_decay=0.05), dict(params=spared)]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.0)


class CaptionEncoder:
    """Text features of random captions, with a few sets of captions per batch.

    If every image had its own caption, the text tower would take a third of the
    training time. The groups of a batch therefore share ``sets`` captions per category.
    """

    def __init__(self, data: TeacherData, sets: int = 5) -> None:
        self.tokens = caption_tokens(data)
        self.sets = sets

    def __call__(self, model: open_clip.CLIP, groups: int) -> torch.Tensor:
        """Draw and encode captions: (groups, C, D) unit rows."""
        categories, templates, length = self.tokens.shape
        drawn = torch.randint(templates, (self.sets, categories))
        tokens = self.tokens[torch.arange(categories), drawn].view(-1, length)
        features = model.encode_text(tokens, normalize=True)
        features = features.view(self.sets, categories, -1)
        picked = torch.randint(self.sets, (groups, categories))
        return features[picked, torch.arange(categories)]


class Grouped:
    """A dataset with classes of equal size, in groups of ``grouped_batches``."""

    def __init__(self, data: TeacherData, args: argparse.Namespace) -> None:
        self.images, self.labels = data.read_train(args.train_dir or data.train_dir)
        self.groups = args.groups
        self.model = create_teacher(data)
        self.encode_captions = CaptionEncoder(data)

    def batches(self) -> Iterator[torch.Tensor]:
        """One epoch of image indices (G, C)."""
        return grouped_batches(self.labels, self.groups)

    def loss(self, features: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        """Loss of a batch with image features (G * C, D) and random captions."""
        return grouped_clip_loss(
            features.view(*batch.shape, -1),
            self.encode_captions(self.model, len(batch)),
            self.model.logit_scale.exp(),
        )


class Captioned:
    """Your own images with captions, in random batches."""

    def __init__(self, args: argparse.Namespace) -> None:
        if args.captions:
            self.data = read_captions(args.captions, args.images)
        else:
            self.data = read_classes(args.images, args.templates or 'imagenet')
        self.batch_size = min(args.batch_size, len(self.data.paths))
        open_clip.add_model_config(args.model_config)
        self.model = open_clip.create_model(args.model_config.stem)
        tokenizer = open_clip.get_tokenizer(args.model_config.stem)
        self.tokens = tokenizer(self.data.texts)
        # Views are crops, so images are 1.25 times as large.
        size = self.model.visual.image_size
        size = size if isinstance(size, int) else max(size)
        self.images = self.data.read_images(size + size // 4)

    def batches(self) -> Iterator[torch.Tensor]:
        """One epoch of image indices (B,); the last incomplete batch is dropped."""
        order = torch.randperm(len(self.images)).split(self.batch_size)
        return (batch for batch in order if len(batch) == self.batch_size)

    def loss(self, features: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        """Loss of a batch with image features (B, D) and random captions."""
        drawn = self.data.draw(batch)
        texts = self.model.encode_text(self.tokens[drawn], normalize=True)
        keys, scale = self.data.keys[drawn], self.model.logit_scale.exp()
        return multi_positive_clip_loss(features, texts, keys, scale)


def train(data: Grouped | Captioned, args: argparse.Namespace) -> open_clip.CLIP:
    """Train on all images and return the model."""
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    model = data.model.to(memory_format=layout)
    mean = torch.tensor(model.visual.image_mean)[:, None, None]
    std = torch.tensor(model.visual.image_std)[:, None, None]
    optimizer = make_optimizer(model, args.lr)
    steps = len(list(data.batches()))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=steps * args.epochs
    )
    start = time.time()
    for epoch in range(args.epochs):
        for step, batch in enumerate(data.batches()):
            views = random_views(
                data.images[batch.flatten()].float(), model.visual.image_size
            )
            inputs = ((views / 255 - mean) / std).contiguous(memory_format=layout)
            loss = data.loss(model.encode_image(inputs, normalize=True), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(max=MAX_LOG_SCALE)
            if step % 20 == 0:
                print(
                    f'epoch {epoch + 1}/{args.epochs}, step {step}/{steps}, '
                    f'loss {loss.item():.3f}, {time.time() - start:.0f} s',
                    flush=True,
                )
    return model


def save_half(model: open_clip.CLIP, path: Path) -> None:
    """Write the state dict, floating-point tensors in half precision."""
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    torch.save(state, path)


def main(argv: list[str] | None = None) -> None:
    """Train a teacher, write the weights, and evaluate the written file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--data', choices=TEACHER_DATA, default='fashion_mnist')
    parser.add_argument('--epochs', type=int, default=4)
    parser.add_argument(
        '--groups', type=int, default=25, help='number of groups in a batch'
    )
    parser.add_argument('--lr', type=float, default=2e-3)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument(
        '--channels-last',
        action='store_true',
        help='faster if all widths are multiples of eight; changes rounding',
    )
    parser.add_argument('--train-dir', type=Path, help='folder of training images')
    parser.add_argument('--out', type=Path, help='weights (default: in demo/teacher)')
    own = parser.add_argument_group('your own images')
    own.add_argument('--captions', type=Path, help='CSV or JSON of paths and captions')
    own.add_argument('--images', type=Path, help='folder of images')
    own.add_argument(
        '--templates', type=Path, help='default: the 80 ImageNet templates'
    )
    own.add_argument(
        '--model-config',
        type=Path,
        help="open_clip's model config of the teacher (JSON)",
    )
    own.add_argument('--batch-size', type=int, default=250)
    args = parser.parse_args(argv)
    is_own = bool(args.captions or args.images)
    if is_own and not (args.model_config and args.out):
        parser.error('--captions and --images need --model-config and --out')
    data = TEACHER_DATA[args.data]
    out = args.out or data.weights
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    start = time.time()
    model = train(Captioned(args) if is_own else Grouped(data, args), args)
    print(f'trained in {time.time() - start:.0f} s')
    out.parent.mkdir(parents=True, exist_ok=True)
    save_half(model, out)
    if not is_own:
        evaluate(data, out)


if __name__ == '__main__':
    run_tool(main)
