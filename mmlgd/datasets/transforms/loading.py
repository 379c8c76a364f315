"""Loading of whole images."""

import numpy as np
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile

from mmlgd.errors import ImageReadError
from mmlgd.registry import TRANSFORMS

from .decoding import decode, read_encoded


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """mmcv's transform, with the decoding of :class:`FastRandomResizedCrop`.

    Training, validation and testing therefore use the same pixels of a file. Damaged or
    unsupported files raise errors instead of yielding wrong colours; see
    :func:`~.decoding.decode`. In the scope ``mmlgd``, it replaces mmcv's transform of the
    same name.

    **Required Keys:** ``img_path``; ``img_bytes``, the encoded image, is used if present.

    **Added Keys:** ``img``: (H, W, 3) BGR uint8, or float32; ``img_shape``;
    ``ori_shape``.

    The arguments are those of mmcv. With a ``color_type`` other than 'color', an
    ``imdecode_backend`` other than 'cv2', or ``file_client_args``, mmcv reads the image.

    Raises:
        ImageReadError: The file cannot be read or decoded.
    """

    @property
    def separates_reading(self) -> bool:
        """Whether only ImageReadErrors are caused by the image file."""
        return (
            self.color_type == 'color'
            and self.imdecode_backend == 'cv2'
            and self.file_client_args is None
        )

    def transform(self, results: dict) -> dict | None:
        """Set ``results['img']`` and return ``results``, or None as in mmcv."""
        if not self.separates_reading:
            return super().transform(results)
        path = results['img_path']
        try:
            image = decode(read_encoded(results, self.backend_args), path)
        except ImageReadError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
