"""Numbers held by a registry's members, as arrays for validation and look-ups."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, Self

from idtone.core.errors import NumberError
from idtone.core.number_spans import NumberSpan
from idtone.core.translation import Message, capitalised
from idtone.core.yaml_documents import Location, ValidationFault

from .model import RegistryDocument
from .number_notation import read_span

_AREA: Final = 1_000_000
_POSITION_BITS: Final = 32
_POSITION_MASK: Final = (1 << _POSITION_BITS) - 1


class MemberNumbers:
    """All of the members' number entries in file order, each parsed once.

    The entries are stored in arrays, because a million tuples take 100 MB. `members` and `entries` give each entry's
    position in the document.
    """

    def __init__(self) -> None:
        self.firsts, self.lasts = array("q"), array("q")
        self.members, self.entries = array("i"), array("i")
        self.unreadable: list[ValidationFault] = []
        self.ids: Sequence[str] = ()
        """The members' ids in file order."""
        self._ported: dict[str, list[NumberSpan]] = {}
        self._joined: dict[str, tuple[list[int], list[int]]] = {}

    @classmethod
    def of(cls, document: RegistryDocument) -> Self:
        """A document's number entries."""
        held = cls()
        held.ids = [member.id for member in document.members]
        for m, member in enumerate(document.members):
            for e, text in enumerate(member.numbers):
                held.add(m, e, text)
        return held

    def add(self, member: int, entry: int, text: str) -> None:
        """Add the next entry of the file."""
        try:
            span = read_span(text)
        except NumberError as error:
            self.unreadable.append(number_fault(("members", member, "numbers", entry), error))
            return
        self.firsts.append(span.first)
        self.lasts.append(span.last)
        self.members.append(member)
        self.entries.append(entry)

    def set_positions(self, members: Sequence[int]) -> None:
        """Set the positions of the members that have entries. The entries refer to them as 0, 1, 2 …"""
        if any(at != place for at, place in enumerate(members)):
            self.members = array("i", map(members.__getitem__, self.members))

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Position of each member. Valid once the last entry has been added."""
        return {member: at for at, member in enumerate(self.ids)}

    def ascending(self) -> Iterator[int]:
        """Positions of the entries, sorted by first number.

        Sorts area by area, because sorting all entries together takes 200 MB.
        """
        areas: dict[int, array[int]] = {}
        for at, first in enumerate(self.firsts):
            area, number = divmod(first, _AREA)
            areas.setdefault(area, array("q")).append(number << _POSITION_BITS | at)
        for area in sorted(areas):
            yield from (key & _POSITION_MASK for key in sorted(areas.pop(area)))

    def add_porting(self, members: Iterable[str], span: NumberSpan) -> None:
        """Add a porting, whose numbers the members hold one after the other."""
        for member in members:
            self._ported.setdefault(member, []).append(span)
            self._joined.pop(member, None)

    def is_held_by(self, member: str, span: NumberSpan) -> bool:
        """True if the member holds all numbers of the span, even if at different times."""
        if member not in self._joined:
            self._joined[member] = self._joined_of(member)
        firsts, lasts = self._joined[member]
        at = bisect_right(firsts, span.first) - 1
        return at >= 0 and span.last <= lasts[at]

    def _joined_of(self, member: str) -> tuple[list[int], list[int]]:
        at = self.positions[member]
        begin, end = bisect_left(self.members, at), bisect_right(self.members, at)
        entries = [*zip(self.firsts[begin:end], self.lasts[begin:end], strict=True)]
        entries += ((span.first, span.last) for span in self._ported.get(member, ()))
        firsts: list[int] = []
        lasts: list[int] = []
        for first, last in sorted(entries):
            if firsts and first <= lasts[-1] + 1:
                lasts[-1] = max(lasts[-1], last)
            else:
                firsts.append(first)
                lasts.append(last)
        return firsts, lasts


def number_fault(location: Location, error: NumberError) -> ValidationFault:
    remedy = capitalised(error.remedy) if error.remedy else Message("Write a complete Japanese number")
    return ValidationFault(location, error.problem, remedy)
