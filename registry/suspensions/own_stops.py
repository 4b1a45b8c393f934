"""Looks up the numbers that this node's operator has suspended. Implements the decision's `OwnStops`."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from idtone.core.calls import Suspension
from idtone.core.number_spans import NumberSpan, disjoint
from idtone.core.numbers import Number

from .own_suspension import OwnSuspension

ALWAYS_SINCE: Final = datetime.fromtimestamp(0, UTC)
"""Start time of every stop in a look-up. Stops do not depend on the clock: they apply until they are lifted or taken
over.
"""


class OwnStopIndex:
    """An immutable look-up of the operator's suspensions. An empty look-up is false."""

    __slots__ = ("_covering", "_firsts", "_lasts", "_placed", "digest")

    def __init__(self, suspensions: Iterable[OwnSuspension] = ()) -> None:
        placed = [
            (span, Suspension(ALWAYS_SINCE, None, one.reference, one.id)) for one in suspensions for span in one.spans()
        ]
        self._placed = sorted(placed, key=lambda each: each[0].first)
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._covering: list[tuple[Suspension, ...]] = []
        for span, covering in disjoint(self._placed):
            self._firsts.append(span.first)
            self._lasts.append(span.last)
            self._covering.append(covering)
        text = " ".join(f"{span.first}-{span.last}:{each.own}" for span, each in self._placed)
        self.digest: str = hashlib.sha256(text.encode()).hexdigest() if placed else ""
        """Digest of the stops; empty if there are none."""

    def __bool__(self) -> bool:
        return bool(self._placed)

    def of(self, number: Number) -> Sequence[Suspension]:
        if not number.e164:
            return ()
        wanted = int(number.e164)
        at = bisect_right(self._firsts, wanted) - 1
        return self._covering[at] if at >= 0 and wanted <= self._lasts[at] else ()

    def spans(self) -> Iterator[tuple[NumberSpan, Suspension]]:
        """Suspended number ranges in ascending order."""
        return iter(self._placed)


NO_STOPS: Final = OwnStopIndex()
