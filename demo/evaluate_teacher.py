"""Zero-shot accuracy of a teacher of this folder on its test images.

open_clip loads the weights, and the images are transformed as in the configs, so the
accuracy is that of the teacher in a distillation.

Example:
    python demo/evaluate_teacher.py
    python demo/evaluate_teacher.py --data cifar10
"""

import argparse
import json
import sys
from pathlib import Path

if __name__ == '__main__':  # run by path: make the package importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import open_clip
import torch
from mmengine.dataset import default_collate
from mmpretrain.models import ClsDataPreprocessor
from torch.utils.data import DataLoader

from demo.teacher_data import TEACHER_DATA, TeacherData
from mmlgd.datasets.category_names import load_category_names, load_templates


def create_teacher(data: TeacherData, weights: Path | None = None) -> open_clip.CLIP:
    """Build a teacher through open_clip's factory.

    Args:
        data: Dataset of the teacher.
        weights: State dict to load; None for random weights.

    Returns:
        The model in train mode, float32.
    """
    open_clip.add_model_config(data.model_config)
    return open_clip.create_model(data.stem, pretrained=weights and str(weights))


@torch.no_grad()
def zero_shot_accuracy(
    model: open_clip.CLIP, data: TeacherData, data_dir: Path
) -> tuple[float, int]:
    """Share of test images whose most similar category text is correct.

    Args:
        model: Teacher; set to eval mode.
        data: Dataset with the test images.
        data_dir: Their folder, filled if necessary.

    Returns:
        Top-1 accuracy in percent, and the number of images.
    """
    model.eval()
    classifier = open_clip.build_zero_shot_classifier(
        model,
        tokenizer=open_clip.get_tokenizer(data.stem),
        classnames=load_category_names(data.categories),
        templates=load_templates('imagenet'),
    )
    to_rgb = dict(
        mean=[255 * value for value in model.visual.image_mean],
        std=[255 * value for value in model.visual.image_std],
        to_rgb=True,
    )
    preprocess = ClsDataPreprocessor(**to_rgb)
    images = data.read_test(data_dir, model.visual.image_size)
    hits = 0
    for batch in DataLoader(images, batch_size=250, collate_fn=default_collate):
        batch = preprocess(batch)
        labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
        scores = model.encode_image(batch['inputs'], normalize=True) @ classifier
        hits += (scores.argmax(1) == labels).sum().item()
    return 100 * hits / len(images), len(images)


def evaluate(
    data: TeacherData,
    weights: Path,
    data_dir: Path | None = None,
    out: Path | None = None,
) -> float:
    """Evaluate a weight file, print the accuracy and write it as JSON.

    Args:
        data: Dataset of the teacher and of the test images.
        weights: State dict of the teacher.
        data_dir: Folder of the test images. Defaults to the dataset's default folder.
        out: JSON file. Defaults to ``<stem>_accuracy.json`` next to the weights.

    Returns:
        Top-1 accuracy in percent.
    """
    model = create_teacher(data, weights)
    top1, count = zero_shot_accuracy(model, data, data_dir or data.test_dir)
    result = dict(
        weights=weights.name,
        categories=data.categories,
        templates='imagenet',
        data=data.tested_on,
        top1=round(top1, 2),
    )
    out = out or weights.with_name(f'{weights.stem}_accuracy.json')
    out.write_text(json.dumps(result, indent=4) + '\n', encoding='utf-8')
    print(f'{weights}: zero-shot top-1 {top1:.2f} % of {count:,} test images ({out})')
    return top1


def main() -> None:
    """Evaluate a teacher from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--data', choices=TEACHER_DATA, default='fashion_mnist')
    parser.add_argument('--weights', type=Path)
    parser.add_argument('--data-dir', type=Path, help='folder of the test images')
    parser.add_argument('--out', type=Path)
    args = parser.parse_args()
    data = TEACHER_DATA[args.data]
    evaluate(data, args.weights or data.weights, args.data_dir, args.out)


if __name__ == '__main__':
    main()
