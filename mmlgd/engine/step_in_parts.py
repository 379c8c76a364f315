"""A training step on one or several parts of a batch, equal to a step on the whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from mmengine.dist import get_dist_info
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmlgd.utils.mmengine_private import backward_part
from mmlgd.utils.step_parts import computing, share, split_step

#: Number of images of a part, and its batch.
Part = tuple[int, Any]


def collate_parts(items: Sequence, collate: Callable, size: int) -> list[Part]:
    """Collate a batch in parts of at most ``size`` images.

    Args:
        items (Sequence): Items of the dataset.
        collate (Callable): Collates the items of a part.
        size (int): At least 1.
    """
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    return [(len(part), collate(part)) for part in parts]


class StepInParts:
    """A model's ``train_step``, for batches of :func:`collate_parts`.

    The gradients of all parts and ranks are weighted by their number of images, so that
    their sum is the gradient of the mean over all images. The optimizer takes one step,
    and gradients are exchanged among the ranks once. All ranks compute equally many
    parts: a rank without rows in one computes others again, with no weight.

    Args:
        train_step (Callable): That of the model, on one part.
        size (int): Maximum number of images in a part, that of :func:`collate_parts`.

    Attributes:
        total (int | None): Images of all ranks in the next step; None if the ranks have
            equally many.
    """

    def __init__(self, train_step: Callable, size: int) -> None:
        self._train_step = train_step
        self._size = size
        self.total: int | None = None

    def __call__(
        self, data: Sequence[Part], optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        """Take a step.

        Args:
            data (Sequence[Part]): Parts of this rank's share.
            optim_wrapper (OptimWrapper): Wrapper of the optimizer.

        Returns:
            dict[str, Tensor]: Outputs for logging: means over this rank's images.
        """
        rank, world_size = get_dist_info()
        total = self.total or world_size * sum(number for number, _ in data)
        shares = [share(total, each, world_size) for each in range(world_size)]
        outputs: dict[str, Tensor] = {}
        for index, part in enumerate(split_step(shares, self._size)):
            _, batch = data[min(index, len(data) - 1)]
            own = part.rows[rank]
            wrapper = _PartialUpdate(
                optim_wrapper, own * world_size / total, part.is_last
            )
            with computing(part):
                found = self._train_step(batch, optim_wrapper=wrapper)
            # A rank without images reports those that it computed.
            weight = own / shares[rank] if shares[rank] else 1.0
            for name, value in found.items() if weight else ():
                outputs[name] = outputs.get(name, 0.0) + weight * value
        return outputs


class _PartialUpdate:
    """What ``train_step`` uses of an optimizer wrapper, for a part of a step."""

    def __init__(self, wrapper: OptimWrapper, weight: float, is_last: bool) -> None:
        self._wrapper = wrapper
        self._weight = weight
        self._is_last = is_last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapper, name)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The wrapper's context; gradients are exchanged only in the last part."""
        with ExitStack() as stack:
            if not self._is_last and hasattr(model, 'no_sync'):
                stack.enter_context(model.no_sync())
            stack.enter_context(self._wrapper.optim_context(model))
            yield

    def update_params(self, loss: Tensor, **kwargs) -> None:
        """Add the part's gradients, and in the last part update the parameters."""
        loss = loss * self._weight
        if self._is_last:
            self._wrapper.update_params(loss, **kwargs)
        else:
            backward_part(self._wrapper, loss)
