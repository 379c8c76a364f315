"""The teacher whose embeddings a store contains."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.teachers import BaseTeacher
from mmlgd.registry import MODELS
from mmlgd.utils.identity import same_identity

from .manifest import Manifest


@MODELS.register_module()
class StoredTeacher(BaseTeacher):
    """Stands for the teacher that made a store of views; has no image tower.

    The embeddings come with the batch, from :class:`StoredViews`.

    Args:
        store (str | Path): Folder that tools/build_stored_views.py wrote.
        teacher (dict, optional): Config of the teacher that made the store. Its text
            tower is built for a textual bank that is in no cache. A config that differs
            from the store's is built at once, and must have the same weights. Defaults
            to None: no text tower; the store's config is never built.
        position (int): Which of several teachers of the store it stands for. Only the
            first has text. Defaults to 0.

    Raises:
        ConfigError: The store has fewer teachers.
        DataError: The folder does not contain a whole store.
        TeacherError: ``teacher`` did not make the store.
    """

    has_image_tower = False

    def __init__(
        self, store: str | Path, teacher: dict | None = None, position: int = 0
    ) -> None:
        super().__init__()
        made = Manifest.read(store)
        self.store, self._name = str(store), f'The stored teacher of {store}'
        self.image_size = made.image_size
        self.image_mean, self.image_std = made.image_mean, made.image_std
        member = self._member(made, position)
        self._identity, self.embed_dims = member['teacher'], member['embed_dims']
        self._made_config = made.config_of(position)
        self._has_text, self._text_identity = position == 0, ''
        if self._has_text:
            self.logit_scale, self._text_identity = made.logit_scale, made.text_encoder
        self._config = None if teacher is None else dict(teacher)
        if self._config not in (None, self._made_config):
            text = self._build().text
            self.text = text if self._has_text else None

    @property
    def has_text_tower(self) -> bool:
        """Whether :meth:`encode_text` works, once the tower is built."""
        return bool(self._text_identity)

    def image_features(self, inputs: Tensor) -> Tensor:
        """Raises a TeacherError: a stored teacher does not have an image tower."""
        raise TeacherError(
            f'{self._name} cannot embed images; its embeddings come with the batch. Set '
            "train_dataloader.dataset=dict(type='StoredViews', store=..., dataset=...), or "
            'use the teacher itself as model.teacher.'
        )

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`BaseTeacher.encode_text`; the text tower is built for it."""
        if self.text is None and self.has_text_tower:
            self.text = self._build().text
        return super().encode_text(texts)

    def _member(self, made: Manifest, position: int) -> dict:
        """Identity and width of one of the teachers that made a store."""
        single = dict(teacher=made.teacher, embed_dims=made.embed_dims)
        members = made.members or [single]
        if position in range(len(members)):
            return members[position]
        names = ', '.join(member['teacher'] for member in members)
        raise ConfigError(
            f'StoredTeacher.position is {position!r}, but the teachers of the store '
            f'{self.store} are, counted from 0: {names}.'
        )

    def _build(self) -> BaseTeacher:
        """The teacher of the config, if it is the one that made the store."""
        if self._config is None:
            raise TeacherError(
                f'{self._name} needs its text tower, which is not built from what a store '
                "says. Set StoredTeacher's option teacher to the teacher's config (the "
                f'store was made with {self._made_config}), or load a bank file.'
            )
        teacher = MODELS.build(self._config)
        made = self.identity, self.text_identity
        # A further teacher is needed for its images only.
        found = teacher.identity, teacher.text_identity if self._has_text else ''
        if not all(map(same_identity, made, found)):
            raise TeacherError(
                f'The store {self.store} was made by {made[0]}, text by '
                f'{made[1] or "none"}, but the config has {found[0]}, text by '
                f'{found[1] or "none"}; set the teacher that made the store, or build a '
                'store of this one with tools/build_stored_views.py.'
            )
        return teacher
