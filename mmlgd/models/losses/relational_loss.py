"""The loss of relational distillation."""

import torch

from .kl_divergence import kl_divergence


def relational_loss(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float = 0.07
) -> torch.Tensor:
    r"""Row-wise KL divergence between the similarity matrices of student and teacher.

    Row i holds the similarities of image i to the N - 1 other images, divided by
    the temperature: :math:`s_i \cdot s_j` for the student, :math:`t_i \cdot t_j`
    for the teacher, :math:`j \neq i`. The image itself is excluded: its similarity
    is always 1 in both matrices and would only add to each row's softmax. Computed
    in float32, also under autocast.

    Args:
        student (torch.Tensor): s, unit rows (N, D), with gradient.
        teacher (torch.Tensor): t, unit rows (N, D'), without gradient.
        temperature (float): Of both softmaxes, above 0. Defaults to 0.07.

    Returns:
        torch.Tensor: KL(teacher || student), the mean over the rows, a float32
        scalar. 0 for fewer than three images.

    Source: CLIP-KD, arXiv 2307.12732, contrastive relational distillation (CRD),
    with images instead of texts, so that both directions are the same.
    """
    with torch.autocast(student.device.type, enabled=False):
        student_logits, teacher_logits = (
            _without_diagonal(rows @ rows.T)
            for rows in (student.float(), teacher.float())
        )
        return kl_divergence(student_logits, teacher_logits, temperature)


def _without_diagonal(matrix: torch.Tensor) -> torch.Tensor:
    """(N, N - 1): each row of (N, N) without its entry on the diagonal."""
    size = len(matrix)
    # After the first entry, every (N + 1)-th flattened entry is on the diagonal.
    rest = matrix.flatten()[1:].view(size - 1, size + 1)[:, :-1]
    return rest.reshape(size, size - 1)
