"""Transforms that change the layout of an image, but not its content."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmlgd.errors import DataError
from mmlgd.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GrayToBGR(BaseTransform):
    """Repeat the channel of a gray image three times.

    Datasets such as Fashion-MNIST have (H, W) arrays, while teachers, students and
    colour transforms need three channels.

    **Required Keys:** ``img``: (H, W) or (H, W, 1), any dtype.

    **Modified Keys:** ``img``: (H, W, 3), same dtype, contiguous.

    Raises:
        DataError: The image has another number of channels.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']`` and return ``results``."""
        image = results['img']
        plane = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
        if plane.ndim != 2:
            where = results.get('img_path', 'this image')
            raise DataError(
                f'GrayToBGR needs (H, W) or (H, W, 1) images, but {where} has the '
                f'shape {image.shape}; omit the transform for colour images'
            )
        results['img'] = np.repeat(plane[..., None], 3, axis=2)
        return results
