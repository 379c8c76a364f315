"""LGD with more anchors than names, and balanced categories."""

from mmlgd.registry import MODELS

from .lgd import LGD

CLUSTERS = dict(type='ClusterBank', num_clusters=256)


@MODELS.register_module()
class LGDPlus(LGD):
    """LGD whose visual loss also has clusters of teacher embeddings as anchors.

    Few names say little about an image: clusters describe it by its similarity to other
    images, in the same softmax. Images of rarely assigned categories count more, so that
    the names in the tail of a long-tailed dataset are learned as well.

    Args:
        teacher (dict | nn.Module): Teacher, or its config.
        backbone (dict): Config of an mmpretrain backbone, the student.
        textual_bank (dict): See :class:`LGD`.
        visual_bank (dict): See :class:`LGD`.
        anchor_bank (dict, optional): See :class:`LGD`. Defaults to 256
            clusters.
        balance (float): See :class:`LGD`. Defaults to 0.5.
        **kwargs: The other options of :class:`LGD`.

    Source: ours. docs/methods.md reports what was measured, and what else was tried.
    """

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        textual_bank: dict,
        visual_bank: dict,
        anchor_bank: dict | None = CLUSTERS,
        balance: float = 0.5,
        **kwargs,
    ) -> None:
        super().__init__(
            teacher,
            backbone,
            textual_bank,
            visual_bank,
            anchor_bank=anchor_bank,
            balance=balance,
            **kwargs,
        )
