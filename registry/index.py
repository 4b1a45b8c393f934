"""A registry made ready for the call path: immutable, and quick however large it is.

Numbers are allotted in blocks of ten thousand, so the index has one entry a block, with the few spans
that touch it: one look-up in a dict and a walk over what is nearly always a single span.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from idtone.calls import Licence, Suspension
from idtone.numbers import Number, parse_japanese

from .model import MemberEntry, RegistryFile
from .spans import Span, read_span

BLOCK: Final = 10_000


@dataclass(frozen=True, slots=True)
class Holding:
    """A span of numbers and the member who holds it."""

    span: Span
    member: str
    licences: tuple[Licence, ...]


class RegistryIndex:
    """One generation of the registry; the production form of `idtone.decision.Registry`."""

    def __init__(self, file: RegistryFile) -> None:
        """`file` has passed `rules.complaints`."""
        self.file: Final = file
        blocks: defaultdict[int, list[Holding]] = defaultdict(list)
        self._licences = MappingProxyType({member.id: _licences(member) for member in file.members})
        for member in file.members:
            licences = self._licences[member.id]
            for text in member.numbers:
                holding = Holding(read_span(text), member.id, licences)
                for block in range(holding.span.first // BLOCK, holding.span.last // BLOCK + 1):
                    blocks[block].append(holding)
        self._blocks = MappingProxyType({block: _Block(holdings) for block, holdings in blocks.items()})
        self._suspensions = MappingProxyType(
            {
                suspension.number.e164: suspension
                for suspension in (
                    Suspension(parse_japanese(entry.number), entry.since, entry.reference) for entry in file.suspensions
                )
            }
        )

    @property
    def version(self) -> int:
        return self.file.registry.version

    @property
    def expires(self) -> datetime:
        return self.file.registry.expires

    def suspension(self, number: Number) -> Suspension | None:
        return self._suspensions.get(number.e164)

    def suspensions(self) -> Iterable[Suspension]:
        """All of them, those that are not yet in force included."""
        return self._suspensions.values()

    def licences(self, number: Number) -> Sequence[Licence] | None:
        holding = self.holding(number)
        return holding.licences if holding else None

    def licences_of(self, member: str) -> Sequence[Licence]:
        return self._licences[member]

    def holding(self, number: Number) -> Holding | None:
        """Who holds the number; None where nobody of this registry does."""
        if not number.e164.startswith("+"):
            return None
        value = int(number.e164)
        block = self._blocks.get(value // BLOCK)
        return block.holding(value) if block else None


class _Block:
    """The spans of one block: single numbers by number, the rest in a row."""

    __slots__ = ("_rows", "_singles")

    def __init__(self, holdings: Iterable[Holding]) -> None:
        holdings = list(holdings)
        self._singles = {h.span.first: h for h in holdings if len(h.span) == 1}
        self._rows = tuple(h for h in holdings if len(h.span) > 1)

    def holding(self, value: int) -> Holding | None:
        single = self._singles.get(value)
        if single:
            return single
        return next((h for h in self._rows if h.span.first <= value <= h.span.last), None)


def _licences(member: MemberEntry) -> tuple[Licence, ...]:
    return tuple(
        Licence(
            entry.id,
            member.id,
            entry.tone,
            entry.status,
            entry.valid.from_,
            entry.valid.until,
            frozenset(entry.directions),
        )  # fmt: skip
        for entry in member.licences
    )
