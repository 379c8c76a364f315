"""Loading whole images."""

import numpy as np
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile

from mmlgd.errors import ImageReadError
from mmlgd.registry import TRANSFORMS

from .decoding import decode, read_file


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """mmcv's transform, reading images as :class:`FastRandomResizedCrop` does.

    So training, validation and testing see the same pixels of a file, and damaged or
    unsuitable files are errors rather than wrong colours; :func:`~.decoding.decode`
    has the rules. In the scope ``mmlgd``, configs get it by mmcv's name.

    **Required Keys:** ``img_path``.

    **Added Keys:** ``img``: (H, W, 3) BGR uint8, or float32; ``img_shape``;
    ``ori_shape``.

    Args are mmcv's. Another ``color_type`` than 'color', another ``imdecode_backend``
    than 'cv2' and ``file_client_args`` leave the reading to mmcv.

    Raises:
        ImageReadError: The file cannot be read or decoded.
    """

    @property
    def separates_reading(self) -> bool:
        """Whether of its errors only ImageReadError is the fault of an image."""
        return (
            self.color_type == 'color'
            and self.imdecode_backend == 'cv2'
            and self.file_client_args is None
        )

    def transform(self, results: dict) -> dict | None:
        """Set ``results['img']`` and return ``results``; None as mmcv's does."""
        if not self.separates_reading:
            return super().transform(results)
        path = results['img_path']
        try:
            image = decode(read_file(path, self.backend_args), path)
        except ImageReadError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
