"""Hides small counts so that published counts identify no one."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishableCounts:
    """Counts for publication. A hidden count is None."""

    counts: Mapping[str, int | None]
    total: int | None


def without_small_counts(counts: Mapping[str, int], least: int) -> PublishableCounts:
    """Hide counts below `least`, and as many others as needed to keep the hidden ones from being computed.

    Readers could compute hidden counts from the total if there are fewer than two or they add up to less than `least`.
    The smallest remaining count is then hidden too. If that is not enough, the total is hidden.
    """
    hidden = {name for name, count in counts.items() if 0 < count < least}
    rest = sorted((count, name) for name, count in counts.items() if count >= least)
    while hidden and rest and (len(hidden) < 2 or sum(counts[name] for name in hidden) < least):
        hidden.add(rest.pop(0)[1])
    computable = len(hidden) == 1 or 0 < sum(counts[name] for name in hidden) < least
    return PublishableCounts(
        {name: None if name in hidden else count for name, count in counts.items()},
        None if computable else sum(counts.values()),
    )
