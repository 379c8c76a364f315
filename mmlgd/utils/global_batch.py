"""The global batch of a run, which a resumed run keeps with any number of ranks."""

import logging
from dataclasses import asdict, dataclass, fields
from typing import TypeGuard

from mmengine.config import Config
from mmengine.logging import print_log

from mmlgd.errors import CheckpointError, ConfigError

from .config_types import class_name
from .launch import Ranks
from .step_parts import share

#: Key in a checkpoint's ``meta``.
KEY = 'global_batch'


@dataclass(frozen=True)
class GlobalBatch:
    """How many images an iteration has, and how they are computed.

    Attributes:
        size (int): Images per iteration of all ranks.
        ranks (int): Number of ranks of the run that began with this size.
        part (int): Images that a rank computes in one forward pass, at most.
        config (int): ``train_dataloader.batch_size`` of the config.
    """

    size: int
    ranks: int
    part: int
    config: int

    @classmethod
    def read(cls, meta: dict) -> 'GlobalBatch | None':
        """Read it from the ``meta`` of a checkpoint.

        Returns:
            GlobalBatch | None: None if the checkpoint does not record it.

        Raises:
            CheckpointError: The record is damaged.
        """
        record = meta.get(KEY)
        if record is None:
            # Written before there was such a record, with equal batches on all ranks.
            training = meta.get('training')
            found = training if isinstance(training, dict) else {}
            each, ranks = found.get('batch_size'), found.get('ranks')
            if not _is_positive(each) or not _is_positive(ranks):
                return None
            return cls(size=each * ranks, ranks=ranks, part=each, config=each)
        names = {each.name for each in fields(cls)}
        if (
            not isinstance(record, dict)
            or set(record) != names
            or not all(map(_is_positive, record.values()))
        ):
            raise CheckpointError(
                f"meta['{KEY}'] of the checkpoint is {record!r}, but must have positive "
                f'integers for {", ".join(sorted(names))}. The file is damaged; resume '
                'from another one.'
            )
        return cls(**record)

    def as_meta(self) -> dict[str, int]:
        """As plain data for a checkpoint's ``meta``."""
        return asdict(self)


def set_global_batch(
    cfg: Config,
    ranks: Ranks,
    size: int | None = None,
    part: int | None = None,
    meta: dict | None = None,
) -> GlobalBatch | None:
    """Set the batch size of this rank, so that all ranks together have a global batch.

    A resumed run has the global batch of its checkpoint, unless the config's batch size
    or ``size`` was changed. It computes as many images at once as before, at most: a
    larger share of the batch is computed in parts.

    Args:
        cfg (Config): Config with ``train_dataloader``; changed in place.
        ranks (Ranks): Rank of this process, and the number of ranks.
        size (int, optional): Wanted size. Defaults to None: that of the checkpoint or
            of the config.
        part (int, optional): Images in one forward pass, at most. Defaults to None: as
            in the checkpoint; in a new run, the share of a rank.
        meta (dict, optional): Of the checkpoint to resume. Defaults to None.

    Returns:
        GlobalBatch | None: None if the config has no batch size.

    Raises:
        ConfigError: The size cannot be split over the ranks, or ``part`` is not
            positive.
        CheckpointError: The record of the checkpoint is damaged.
    """
    loader, world_size = cfg.train_dataloader, ranks.world_size
    given = loader.get('batch_size')
    if part is not None and part < 1:
        raise ConfigError(f'--micro-batch-size must be at least 1, but is {part}.')
    if not given and size is None:
        return None
    sampler = loader.get('sampler') or {}
    size = sampler.get('global_batch_size') if size is None else size
    before = GlobalBatch.read(meta) if meta is not None else None
    if before is not None and size is None and before.config == given:
        size = before.size
    size = given * world_size if size is None else size
    is_uneven_allowed = class_name(sampler.get('type', '')) == 'ViewSampler'
    _check_size(size, world_size, is_uneven_allowed)
    if before is None or before.size != size:
        before = None
    largest = share(size, 0, world_size)
    batch = GlobalBatch(
        size=size,
        ranks=before.ranks if before else world_size,
        part=part or (before.part if before else largest),
        config=given or largest,
    )
    loader.batch_size = share(size, ranks.rank, world_size)
    if is_uneven_allowed and (size % world_size or batch.ranks != world_size):
        sampler.update(
            global_batch_size=size,
            multiple_of=batch.ranks,
            drop_last=bool(loader.get('drop_last', False)),
        )
    elif is_uneven_allowed:
        for name in ('global_batch_size', 'multiple_of', 'drop_last'):
            sampler.pop(name, None)
    elif batch.ranks != world_size and ranks.rank == 0:
        print_log(
            f'The run began on {batch.ranks} rank(s) and has {world_size} now. '
            f'{class_name(sampler.get("type", "The sampler"))} may repeat or omit other '
            'images at the end of a pass than before; ViewSampler does not.',
            level=logging.WARNING,
        )
    return batch


def _is_positive(value: object) -> TypeGuard[int]:
    return type(value) is int and value > 0


def _check_size(size: int, world_size: int, is_uneven_allowed: bool) -> None:
    if is_uneven_allowed and size >= world_size:
        return
    if size < 1 or size % world_size:
        below = max(size, 0) // world_size * world_size
        sizes = [str(each) for each in (below, below + world_size) if each > 0]
        raise ConfigError(
            f'A global batch of {size} images cannot be split evenly over {world_size} '
            f'rank(s); nearest valid for --global-batch-size: {" and ".join(sizes)}. '
            'Batches of at least one image on each rank may be uneven with a ViewSampler.'
        )
