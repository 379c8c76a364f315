"""A teacher whose embeddings were computed before, and lie on disk."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mmlgd.datasets.view_store import Manifest
from mmlgd.errors import TeacherError
from mmlgd.registry import MODELS

from .base import BaseTeacher


@MODELS.register_module()
class StoredTeacher(BaseTeacher):
    """Stands for the teacher that made a store of views; has no image tower.

    The embeddings come with the batch, from
    :class:`~mmlgd.datasets.StoredViews`. For a textual bank that is in no cache the
    text tower is loaded, and dropped again when the bank is there.

    Args:
        store (str | Path): Folder that tools/build_stored_views.py wrote.
        teacher (dict, optional): Config of the teacher that the run means to use.
            Where it is not the config that the store was made with, as when
            weights have moved, the teacher is built once and must be the same by
            its weights. Its text tower serves the banks. Defaults to None: the
            store's own.

    Raises:
        DataError: There is no whole store in the folder.
        TeacherError: ``teacher`` did not make the store.
    """

    def __init__(self, store: str | Path, teacher: dict | None = None) -> None:
        super().__init__()
        manifest = Manifest.read(store)
        self.store = str(store)
        self.embed_dims = manifest.embed_dims
        self.image_mean = list(manifest.image_mean)
        self.image_std = list(manifest.image_std)
        self.image_size = manifest.image_size
        self._name = f'The stored teacher of {store}'
        self._identity = manifest.teacher
        self._text_identity = manifest.text_encoder
        self._config = manifest.teacher_config
        if teacher is not None and dict(teacher) != self._config:
            self._config = dict(teacher)
            self.text = self._build().text

    @property
    def has_image_tower(self) -> bool:
        """See :attr:`BaseTeacher.has_image_tower`."""
        return False

    @property
    def has_text_tower(self) -> bool:
        """Whether :meth:`encode_text` works; the tower may still have to be loaded."""
        return bool(self._text_identity)

    def image_features(self, inputs: Tensor) -> Tensor:
        """Not to be had.

        Raises:
            TeacherError: Always.
        """
        raise TeacherError(
            f'{self._name} cannot embed images; its embeddings come with the batch. Set '
            "train_dataloader.dataset=dict(type='StoredViews', store=..., dataset=...), or "
            'use the teacher itself as model.teacher.'
        )

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Encodes texts as :meth:`BaseTeacher.encode_text` does.

        Raises:
            TeacherError: The store's teacher has no text tower, or its weights are
                not to be had any more.
        """
        if self.text is None and self.has_text_tower:
            self.text = self._build().text
        return super().encode_text(texts)

    def _build(self) -> BaseTeacher:
        """The teacher of the config, if it is the one that made the store."""
        teacher = MODELS.build(self._config)
        wanted = (self._identity, self._text_identity)
        found = (teacher.identity, teacher.text_identity)
        if found != wanted:
            raise TeacherError(
                f'The store {self.store} was made by {wanted[0]}, text by '
                f'{wanted[1] or "none"}, but the config has {found[0]}, text by '
                f'{found[1] or "none"}; set the teacher that made the store, or build a '
                'store of this one with tools/build_stored_views.py.'
            )
        return teacher
