"""The published algorithm in the plainest form, to compare with.

Written from its description (arXiv 2406.11689, and what the authors' training code
does); nothing here is meant for training.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn


class LoopedBank:
    """A visual bank whose update walks over the categories, one at a time.

    Args:
        embeddings (torch.Tensor): V, (C, D), changed in place.
        momentum (float): m. Defaults to 0.999.
    """

    def __init__(self, embeddings: torch.Tensor, momentum: float = 0.999) -> None:
        self.embeddings = embeddings
        self.momentum = momentum
        self.seen = torch.zeros(len(embeddings), dtype=torch.bool)

    @torch.no_grad()
    def update(self, teacher: torch.Tensor, text_anchors: torch.Tensor) -> None:
        """Take in the teacher's embeddings (B, D), each where T (C, D) says."""
        owner = (teacher @ text_anchors.T).argmax(dim=1)
        for category in range(len(self.embeddings)):
            hit = owner == category
            if not hit.any():
                continue
            mean = teacher[hit].mean(dim=0)
            if self.seen[category]:
                old = self.embeddings[category]
                mean = self.momentum * old + (1 - self.momentum) * mean
            self.embeddings[category] = mean
            self.seen[category] = True


class PublishedLGD(BaseModel):
    """LGD as it is described: each similarity a product of its own.

    Args:
        teacher (nn.Module): Embeds normalised images in every step, (B, D) unit rows.
        student (nn.Module): The same, with gradient.
        text_anchors (torch.Tensor): T, (C, D).
        visual_anchors (torch.Tensor): The first V, (C, D).
        data_preprocessor (nn.Module, optional): Defaults to None.
    """

    student_temperature, teacher_temperature, alpha = 0.2, 0.01, 0.5

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        text_anchors: torch.Tensor,
        visual_anchors: torch.Tensor,
        data_preprocessor: nn.Module | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        self.student = student
        # Not trained: past nn.Module's registration, as it is in the other sides.
        object.__setattr__(self, 'teacher', teacher)
        self.text_anchors = text_anchors
        self.bank = LoopedBank(visual_anchors.clone())

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        mode: str = 'loss',
    ) -> dict[str, torch.Tensor]:
        """The weighted losses of normalised images (B, 3, H, W)."""
        with torch.no_grad():
            teacher = self.teacher.encode_image(inputs)
        losses = self.losses(self.student(inputs), teacher)
        self.bank.update(teacher, self.text_anchors)
        return losses

    def losses(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The weighted losses of unit rows (B, D)."""
        text, visual = self.text_anchors, self.bank.embeddings.clone()
        student_own = (student * teacher).sum(dim=1, keepdim=True)
        teacher_own = (teacher * teacher).sum(dim=1, keepdim=True)
        textual_loss = self._cross_entropy(student @ text.T, teacher @ text.T)
        visual_loss = self._cross_entropy(
            torch.cat([student_own, student @ visual.T], dim=1),
            torch.cat([teacher_own, teacher @ visual.T], dim=1),
        )
        return dict(
            loss_textual=(1 - self.alpha) * textual_loss,
            loss_visual=self.alpha * visual_loss,
        )

    def _cross_entropy(
        self, student_logits: torch.Tensor, teacher_logits: torch.Tensor
    ) -> torch.Tensor:
        target = F.softmax(teacher_logits / self.teacher_temperature, dim=1)
        found = F.log_softmax(student_logits / self.student_temperature, dim=1)
        return -(target * found).sum(dim=1).mean()
