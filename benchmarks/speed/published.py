"""A direct implementation of the published algorithm, for comparison.

Written from its description (arXiv 2406.11689) and the behaviour of the authors'
training code. It is not intended for training.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn


class LoopedBank:
    """A visual bank that updates one category at a time in a loop.

    Args:
        embeddings (torch.Tensor): V, (C, D), updated in place.
        momentum (float): m. Defaults to 0.999.
    """

    def __init__(self, embeddings: torch.Tensor, momentum: float = 0.999) -> None:
        self.embeddings = embeddings
        self.momentum = momentum
        self.seen = torch.zeros(len(embeddings), dtype=torch.bool)

    @torch.no_grad()
    def update(self, teacher: torch.Tensor, text_anchors: torch.Tensor) -> None:
        """Update with the teacher's embeddings (B, D), assigned to categories by T (C,
        D)."""
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
    """LGD as described in the paper, with a separate product for each similarity.

    Args:
        teacher (nn.Module): Returns (B, D) unit rows for normalised images, in every
            step.
        student (nn.Module): The same with gradient.
        text_anchors (torch.Tensor): T, (C, D).
        visual_anchors (torch.Tensor): Initial V, (C, D).
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
        # Not trained, so it bypasses nn.Module's registration, as in the other
        # variants.
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
