"""Writes the training images of a run as PNG files, which other programs can read.

python benchmarks/lightly_train/write_images.py CONFIG --out FOLDER
"""

import argparse
from pathlib import Path

import cv2
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.registry import DATASETS

#: Steps of a pipeline that load an image and leave its size.
_LOADING = ('LoadImageFromFile', 'GrayToBGR')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('config')
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.default_scope)
    images = cfg.train_dataloader.dataset.dataset
    images.pipeline = [step for step in images.pipeline if step.type in _LOADING]
    dataset = DATASETS.build(images)
    args.out.mkdir(parents=True)
    for index in range(len(dataset)):
        cv2.imwrite(str(args.out / f'{index:07d}.png'), dataset[index]['img'])


if __name__ == '__main__':
    main()
