"""Language-guided distillation with further teachers of features and maps."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlgd.errors import ConfigError
from mmlgd.models.feature_statistics import FeatureStatistics
from mmlgd.models.losses import feature_matching_loss
from mmlgd.models.pooled_features import as_maps
from mmlgd.registry import MODELS
from mmlgd.utils.identity import joint_identity

from .lgd import LGD
from .several_teachers import FurtherTeacher, build_teachers


@MODELS.register_module()
class MultiTeacherLGD(LGD):
    """LGD by a language teacher, and matching of the features of further teachers.

    The first teacher is the one of :class:`LGD`: its banks guide, and it names what is
    predicted. The student also matches the features or the last feature map of each
    further teacher. A projector of its own maps the student's pooled features (a 1 x 1
    convolution the last map) to the teacher's width. Targets are unit embeddings, or
    unnormalised maps, standardised by a mean and a standard deviation for each dimension.
    ``FeatureStatisticsHook`` computes these once, before the first iteration.

    All teachers and the student see one crop in the size of the largest teacher, resized
    for each and normalised as it expects. Each teacher is run once in a training step;
    for predictions only the first one is.

    With ``target='features'`` for all, the embeddings may come from stored views.

    Args:
        teachers (Sequence[dict]): First the language teacher's config. Then one dict for
            each further teacher, with ``teacher`` (its config), ``weight`` (of its
            losses, above 0; 1 by default), ``target`` ('features', 'maps' or both in a
            list; 'features' by default) and ``projector`` (options of the
            ``Projector`` of its features).
        backbone (dict): See :class:`LGD`.
        **kwargs: The other options of :class:`LGD`, except ``teacher``.

    Attributes:
        further_teachers (list[FurtherTeacher]): Teachers 1, 2, ... of ``teachers``; not
            submodules.
        feature_projectors (nn.ModuleDict): By target and position in ``teachers``:
            ``features_1``, ``maps_2``.
        feature_statistics (nn.ModuleDict): Under the same names.

    Raises:
        ConfigError: ``teachers`` is invalid, see :func:`build_teachers`; the student has
            no map; or maps are wanted from a store; see also :class:`LGD`.
        TeacherError: A teacher of maps has none.

    Source: ours, for the combination. Projectors, one for each teacher: AM-RADIO, arXiv
    2312.06709. Fixed mean and standard deviation: EUPE, arXiv 2603.22387.
    """

    def __init__(self, teachers: Sequence[dict], backbone: dict, **kwargs) -> None:
        if 'teacher' in kwargs:
            raise ConfigError(
                'MultiTeacherLGD has the option teachers, a list, in place of teacher. '
                'Put the language teacher first in the list.'
            )
        self.further_teachers: list[FurtherTeacher] = []
        # See build_teacher.
        super().__init__(teachers, backbone, **kwargs)  # type: ignore[arg-type]
        self.feature_projectors = nn.ModuleDict()
        self.feature_statistics = nn.ModuleDict()
        self._weights: dict[str, float] = {}
        for number, one in enumerate(self.further_teachers, 1):
            for target in one.targets:
                name = f'{target}_{number}'
                projector, width = self._projector(one, target)
                self.feature_projectors[name] = projector
                self.feature_statistics[name] = FeatureStatistics(width)
                self._weights[name] = one.weight

    def build_teacher(self, teacher: Any) -> Any:
        """Build all teachers and return that of language."""
        language, further = build_teachers(teacher, f'{type(self).__name__}.teachers')
        self.further_teachers = further
        self.learns_from_store = all(one.targets == ('features',) for one in further)
        return language

    @property
    def stored_identity(self) -> str:
        """See :attr:`BaseDistiller.stored_identity`; of all teachers, in order."""
        others = (one.teacher.identity for one in self.further_teachers)
        return joint_identity([self.teacher.identity, *others])

    @property
    def checkpoint_meta(self) -> dict:
        """See :attr:`LGD.checkpoint_meta`; with the further teachers."""
        further = [
            dict(teacher=one.teacher.identity, targets=list(one.targets))
            for one in self.further_teachers
        ]
        return dict(super().checkpoint_meta, further_teachers=further)

    def loss(
        self,
        inputs: Tensor,
        data_samples: list | None = None,
        teacher_embeddings: Tensor | None = None,
    ) -> dict:
        """Compute the weighted losses of a batch, then update the visual bank.

        Args:
            inputs (Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: training needs no labels.
            teacher_embeddings (Tensor, optional): (B, D_0 + D_1 + ...), the stored
                embeddings of all teachers side by side.

        Returns:
            dict[str, Tensor]: Those of :meth:`LGD.loss`, and ``loss_features_<k>`` or
            ``loss_maps_<k>`` of teacher k: scalars.
        """
        # The teachers first: their features are freed before the student's are kept.
        targets = {
            name: self.feature_statistics[name](target)
            for name, target in self.feature_targets(inputs, teacher_embeddings).items()
        }
        if teacher_embeddings is not None:
            teacher_embeddings = self._split(teacher_embeddings)[0]
        language = self.targets(inputs, teacher_embeddings)
        outputs = self.run_backbone(inputs)
        pooled = self.pool(outputs)
        losses = self.guide(self.project(pooled), language)
        for name, target in targets.items():
            features = as_maps(outputs)[-1] if target.dim() == 4 else pooled
            loss = feature_matching_loss(
                self.feature_projectors[name](features), target
            )
            losses[f'loss_{name}'] = self._weights[name] * loss
        return losses

    @torch.no_grad()
    def feature_targets(
        self, inputs: Tensor, teacher_embeddings: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What the further teachers teach, not standardised.

        Args:
            inputs (Tensor): Normalised images (B, 3, H, W).
            teacher_embeddings (Tensor, optional): See :meth:`loss`; no teacher is then
                run.

        Returns:
            dict[str, Tensor]: ``features_<k>``, unit rows (B, D_k), and ``maps_<k>``,
            (B, C, h, w), both float32.

        Raises:
            ConfigError: There are several views, maps are wanted from a store, or the
                store has other widths.
        """
        self._check_single_view(inputs)
        if teacher_embeddings is not None:
            self.check_learns_from_store()
            _, *parts = self._split(teacher_embeddings)
            return {
                f'features_{number}': F.normalize(part.float(), dim=1)
                for number, part in enumerate(parts, 1)
            }
        found = {}
        for number, one in enumerate(self.further_teachers, 1):
            if 'maps' in one.targets:
                spatial = one.teacher.encode_spatial(inputs)
                values = dict(features=spatial.embeddings, maps=spatial.feature_map)
            else:
                values = dict(features=one.teacher.encode_image(inputs))
            found.update({f'{each}_{number}': values[each] for each in one.targets})
        return found

    def _split(self, teacher_embeddings: Tensor) -> Sequence[Tensor]:
        """Columns of each teacher in stored embeddings (B, D_0 + D_1 + ...)."""
        widths = [self.teacher.embed_dims]
        widths += [one.teacher.embed_dims for one in self.further_teachers]
        if teacher_embeddings.shape[1] != sum(widths):
            raise ConfigError(
                f'The stored embeddings have {teacher_embeddings.shape[1]} values, but '
                f'the teachers of the model have {" + ".join(map(str, widths))}. Build a '
                'store of these teachers with tools/build_stored_views.py.'
            )
        return teacher_embeddings.split(widths, dim=1)

    def _projector(self, one: FurtherTeacher, target: str) -> tuple[nn.Module, int]:
        """From the student's features to a teacher's, and the width of the latter."""
        if target == 'maps':
            self.check_gives_maps()
            width = one.teacher.feature_map_dims
            return nn.Conv2d(self.map_dims[-1], width, kernel_size=1), width
        width = one.teacher.embed_dims
        options = dict(in_channels=self.feature_dims, out_channels=width)
        return MODELS.build({'type': 'Projector', **one.projector, **options}), width

    def _apply(self, fn: Callable, *args, **kwargs) -> nn.Module:
        for one in self.further_teachers:
            one.teacher._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)
