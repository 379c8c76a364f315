"""Groups of classes with a common accuracy."""

from collections.abc import Mapping, Sequence

from mmlgd.errors import ConfigError
from mmlgd.utils.suggest import suggest


def resolve_groups(
    groups: Mapping[str, Sequence[str]] | None,
    class_counts: Mapping[str, int] | Sequence[int] | None,
    shots: tuple[int, int],
    names: Sequence[str],
) -> dict[str, list[int]]:
    """Indices of the names of each group.

    Args:
        groups (Mapping[str, Sequence[str]], optional): Names of each group; groups may
            overlap.
        class_counts (Mapping[str, int] | Sequence[int], optional): Number of training
            images of each name, by name or in the order of the names. They define the
            groups ``many``, ``medium`` and ``few``.
        shots (tuple[int, int]): A name with fewer training images than the first number
            belongs to ``few``, one with more than the second to ``many``, as in
            long-tailed recognition.
        names (Sequence[str]): The C names.

    Returns:
        dict[str, list[int]]: Group to indices, without empty groups.

    Raises:
        ConfigError: A name is unknown, a group is empty or named like a metric, counts
            are missing, or ``shots`` is not ascending.
    """
    index = {name: place for place, name in enumerate(names)}
    found = {}
    for group, members in (groups or {}).items():
        if group.startswith('top') or group in ('balanced', 'many', 'medium', 'few'):
            raise ConfigError(
                f'groups contains {group!r}, which is the name of a metric; use another '
                'name.'
            )
        if isinstance(members, str) or not members:
            raise ConfigError(
                f'the group {group!r} must be a list of at least one name, but is '
                f'{members!r}.'
            )
        for name in members:
            if name not in index:
                raise ConfigError(
                    f'the group {group!r} contains {name!r}, which is not among the '
                    f'{len(names)} names.{suggest(str(name), names)}'
                )
        found[group] = [index[name] for name in members]
    if class_counts is not None:
        found |= _by_counts(class_counts, shots, names)
    return found


def _by_counts(
    class_counts: Mapping[str, int] | Sequence[int],
    shots: tuple[int, int],
    names: Sequence[str],
) -> dict[str, list[int]]:
    if len(shots) != 2 or not 0 < shots[0] <= shots[1]:
        raise ConfigError(f'shots must be two ascending counts, but is {shots}.')
    if isinstance(class_counts, Mapping):
        missing = [name for name in names if name not in class_counts]
        unknown = [name for name in class_counts if name not in names]
        if missing or unknown:
            raise ConfigError(
                f'class_counts must have exactly the {len(names)} names; missing: '
                f'{missing[:5]}, unknown: {unknown[:5]}.'
            )
        class_counts = [class_counts[name] for name in names]
    if len(class_counts) != len(names):
        raise ConfigError(
            f'class_counts has {len(class_counts)} counts for {len(names)} names; give '
            'one count per name, in order.'
        )
    low, high = shots
    groups: dict[str, list[int]] = dict(many=[], medium=[], few=[])
    for place, count in enumerate(class_counts):
        groups['many' if count > high else 'few' if count < low else 'medium'].append(
            place
        )
    return {group: members for group, members in groups.items() if members}
