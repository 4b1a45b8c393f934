"""Steps that could not be written yet and are kept, in order, up to a limit.

Beyond the limit, steps are only counted. The count is recorded as a separate step, so the gap is visible in the
evidence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import islice
from typing import Any, Final, Self

from ..evidence.steps import Step, StepKind

KEPT_LIMIT: Final = 50_000
"""Maximum number of steps that are kept, enough for about 8,000 calls."""


@dataclass(frozen=True, slots=True)
class MissingSteps:
    """Number of missing steps and decisions, with the times of the first and last missing step.

    `calls` is the number of decisions.
    """

    since: datetime
    until: datetime
    steps: int
    calls: int

    def __add__(self, other: MissingSteps) -> MissingSteps:
        return MissingSteps(
            min(self.since, other.since),
            max(self.until, other.until),
            self.steps + other.steps,
            self.calls + other.calls,
        )

    @classmethod
    def of(cls, step: Step) -> Self:
        """Count the steps that will be missing if a step is not written.

        This is one step or, for a gap, the number of steps that the gap counts.
        """
        if step.kind is StepKind.GAP:
            return cls.parse(step.details)
        return cls(step.at, step.at, 1, int(step.kind is StepKind.DECIDED))

    @classmethod
    def parse(cls, told: Any) -> Self:
        """Parse a gap's details.

        Raises ValueError, KeyError or TypeError.
        """
        since, until = (datetime.fromisoformat(told[name]) for name in ("from", "to"))
        return cls(since, until, int(told["steps"]), int(told["calls"]))

    def to_json(self) -> dict[str, str | int]:
        return {
            "from": self.since.isoformat(),
            "to": self.until.isoformat(),
            "steps": self.steps,
            "calls": self.calls,
        }


def _sum(known: MissingSteps | None, *more: MissingSteps) -> MissingSteps | None:
    found = [known, *more] if known else more
    return reduce(MissingSteps.__add__, found) if found else None


class UnwrittenSteps:
    """Steps that could not be written yet.

    `gap` creates the step that counts missing steps. At most `limit` steps are kept.
    """

    def __init__(self, gap: Callable[[MissingSteps], Step], limit: int = KEPT_LIMIT) -> None:
        self._gap = gap
        self._limit = limit
        self._kept: deque[Step] = deque()
        self._missing: MissingSteps | None = None
        self._owed: MissingSteps | None = None

    @property
    def owed(self) -> MissingSteps | None:
        """Count of the steps that would be missing if no more could be written."""
        return self._owed

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, steps: Iterable[Step]) -> None:
        """Append steps to those waiting to be written."""
        for step in steps:
            absent = MissingSteps.of(step)
            self._owed = _sum(self._owed, absent)
            if len(self._kept) < self._limit:
                self._kept.append(step)
            else:
                self._missing = _sum(self._missing, absent)

    def count_lost(self, steps: Iterable[Step]) -> None:
        """Count steps that will never be written."""
        self._missing = _sum(self._missing, *map(MissingSteps.of, steps))
        self._enter()
        self._owed = self._count()

    def first(self, count: int) -> Sequence[Step]:
        return list(islice(self._kept, count))

    def drop_first(self, count: int) -> None:
        """Drop the first `count` steps, which have been written or lost."""
        for _ in range(count):
            self._kept.popleft()
        self._enter()
        self._owed = self._count()

    def _count(self) -> MissingSteps | None:
        return _sum(self._missing, *map(MissingSteps.of, self._kept))

    def _enter(self) -> None:
        if self._missing and len(self._kept) < self._limit:
            self._kept.append(self._gap(self._missing))
            self._missing = None
