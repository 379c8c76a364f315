#!/usr/bin/env python
"""Draw where in an image a student sees a name (Grad-CAM).

    python tools/visualization/vis_cam.py photo.jpg work_dirs/demo/epoch_10.pth --name Coat

The gradient of the similarity to the name is averaged over the last feature map of the
backbone and weights its channels. Without --name, the most similar name is used.
"""

import argparse

from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.suggest import suggest
from mmlgd.utils.tool import run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('image', help='image file')
    parser.add_argument('checkpoint', help='training checkpoint, epoch_*.pth')
    parser.add_argument('--name', help='one of the names of the checkpoint')
    parser.add_argument('--out', default='work_dirs/cam.png', help='image to write')
    args = parser.parse_args(argv)
    check_output_file(args.out)
    import cv2
    import torch

    from mmlgd.apis import ZeroShotClassifier
    from mmlgd.apis.images import iter_images
    from mmlgd.models.pooled_features import last_of

    classifier = ZeroShotClassifier(args.checkpoint)
    names, student = classifier.category_names, classifier.student
    if args.name is not None and args.name not in names:
        raise ConfigError(
            f'--name {args.name!r} is not among the {len(names)} names of the checkpoint.'
            f'{suggest(args.name, names)}'
        )
    image = classifier.pipeline(next(iter_images(args.image)))
    with torch.no_grad():
        inputs = student.data_preprocessor(dict(inputs=image[None]))['inputs']
        maps = student.run_backbone(inputs)
    features = last_of(maps).requires_grad_()
    if features.dim() != 4:
        raise ConfigError(
            f'The student returns {tuple(features.shape)}, not a feature map (B, C, H, W); '
            'Grad-CAM needs one.'
        )
    outputs = (*maps[:-1], features) if isinstance(maps, tuple) else features
    scores = student.project(student.pool(outputs)) @ classifier.text_embeddings.T
    index = int(scores.argmax()) if args.name is None else names.index(args.name)
    (gradient,) = torch.autograd.grad(scores[0, index], features)
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1)[0].relu()
    heat = (255 * heat / heat.max().clamp(min=1e-12)).byte().detach().numpy()
    # Drawn onto the image as the student gets it.
    shown = image.permute(1, 2, 0).numpy()
    heat = cv2.resize(heat, shown.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap(heat, cv2.COLORMAP_VIRIDIS)
    cv2.imwrite(args.out, cv2.addWeighted(shown, 0.5, colours, 0.5, 0))
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    print(
        f'{names[index]}: similarity {scores[0, index]:.3f}, highest at ({column}, {row})'
    )
    print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
