"""Zero-shot accuracy of the demo's teacher on the embedded test images.

The weights are loaded by open_clip as any others are, and the images come
through the transforms of the demo's configs, so that the figure is the one that
a distillation with this teacher starts from.

Example:
    python demo/evaluate_teacher.py
"""

import argparse
import json
from pathlib import Path

import mmcv.transforms  # noqa: F401  (registers Resize)
import open_clip
import torch
from mmengine.dataset import default_collate
from mmpretrain.datasets import FashionMNIST
from mmpretrain.models import ClsDataPreprocessor
from torch.utils.data import DataLoader

from mmlgd.datasets.category_names import load_category_names, load_templates
from mmlgd.datasets.fashion_mnist import prepare_demo_data

TEACHER_DIR = Path(__file__).parent / 'teacher'
MODEL_CONFIG = TEACHER_DIR / 'fashion-clip.json'
WEIGHTS = TEACHER_DIR / 'fashion-clip.pt'
RESULT = TEACHER_DIR / 'fashion-clip_accuracy.json'
DATA = Path('work_dirs/demo/data')


def create_teacher(weights: Path | None = None) -> open_clip.CLIP:
    """Build the teacher through open_clip's factory.

    Args:
        weights: State dict to load; None for random weights.

    Returns:
        The model in train mode, float32.
    """
    open_clip.add_model_config(MODEL_CONFIG)
    return open_clip.create_model(
        MODEL_CONFIG.stem, pretrained=weights and str(weights)
    )


def make_loader(data_dir: Path, image_size: int) -> DataLoader:
    """Batches of the test split as the demo's student sees them.

    Args:
        data_dir: Folder with unpacked idx files.
        image_size: Side of the teacher's input in pixels.

    Returns:
        Loader of dicts with ``inputs`` (uint8 BGR) and ``data_samples``.
    """
    pipeline = [
        dict(type='mmlgd.GrayToBGR'),
        dict(type='Resize', scale=(image_size, image_size), interpolation='bilinear'),
        dict(type='mmpretrain.PackInputs'),
    ]
    # Without test_mode the class reads the training files, whatever the split.
    dataset = FashionMNIST(
        data_root=str(data_dir),
        split='test',
        test_mode=True,
        pipeline=pipeline,
        download=False,
    )
    return DataLoader(dataset, batch_size=250, collate_fn=default_collate)


@torch.no_grad()
def zero_shot_accuracy(model: open_clip.CLIP, data_dir: Path) -> float:
    """Share of test images whose nearest category text is the right one.

    Args:
        model: Teacher; put into eval mode.
        data_dir: Folder with unpacked idx files.

    Returns:
        Top-1 accuracy in percent.
    """
    model.eval()
    classifier = open_clip.build_zero_shot_classifier(
        model,
        tokenizer=open_clip.get_tokenizer(MODEL_CONFIG.stem),
        classnames=load_category_names('fashion_mnist'),
        templates=load_templates('imagenet'),
    )
    to_rgb = dict(
        mean=[255 * value for value in model.visual.image_mean],
        std=[255 * value for value in model.visual.image_std],
        to_rgb=True,
    )
    preprocess = ClsDataPreprocessor(**to_rgb)
    hits = total = 0
    for batch in make_loader(data_dir, model.visual.image_size):
        batch = preprocess(batch)
        labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
        scores = model.encode_image(batch['inputs'], normalize=True) @ classifier
        hits += (scores.argmax(1) == labels).sum().item()
        total += len(labels)
    return 100 * hits / total


def evaluate(weights: Path, data_dir: Path = DATA, out: Path | None = None) -> float:
    """Measure a weight file, print the figure and write it as JSON.

    Args:
        weights: State dict of the teacher.
        data_dir: Where the embedded images are unpacked.
        out: JSON file. Defaults to ``<stem>_accuracy.json`` beside the weights.

    Returns:
        Top-1 accuracy in percent.
    """
    model = create_teacher(weights)
    top1 = zero_shot_accuracy(model, prepare_demo_data(data_dir))
    result = dict(
        weights=weights.name,
        categories='fashion_mnist',
        templates='imagenet',
        data='the 2,000 embedded test images of Fashion-MNIST',
        top1=round(top1, 2),
    )
    out = out or weights.with_name(f'{weights.stem}_accuracy.json')
    out.write_text(json.dumps(result, indent=4) + '\n', encoding='utf-8')
    print(f'{weights}: zero-shot top-1 {top1:.2f} % of 2,000 test images ({out})')
    return top1


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--weights', type=Path, default=WEIGHTS)
    parser.add_argument('--data', type=Path, default=DATA)
    parser.add_argument('--out', type=Path)
    args = parser.parse_args()
    evaluate(args.weights, args.data, args.out)


if __name__ == '__main__':
    main()
