"""The registry as the decision asks it: one number in, its licences or its suspension out.

Single numbers stand in a dictionary. Ranges and prefixes stand sorted in flat arrays, and a second
dictionary leads from every block of ten thousand numbers, the unit in which Japanese numbers are
allotted, to the few spans that touch it. So a look-up is two dictionary accesses at most and a bisection
inside one block, whose length has a bound that does not depend on the size of the registry.
"""

from __future__ import annotations

import copy
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from idtone.calls import Licence, Suspension, Trust
from idtone.numbers import Number, parse_japanese

from .model import Member, RegistryDocument, SuspensionEntry, SuspensionsDocument
from .notation import Span, read_span

_BLOCK: Final = 10_000


@dataclass(frozen=True, slots=True)
class Signed:
    """What the association signs beside the members: the suspensions, and until when all of it counts."""

    suspensions: SuspensionsDocument
    expires: datetime


class RegistryIndex:
    """One generation of the registry, never changed after it was made. Implements `idtone.decision.Registry`."""

    __slots__ = ("_expires", "_issued", "_ranges", "_singles", "_suspensions", "_term", "_tones", "_trust", "_version")

    def __init__(self, document: RegistryDocument, signed: Signed | None = None) -> None:
        """`document` must have passed `rules.complaints`; an unreadable number raises NumberError here.

        With `signed`, what is suspended stands there and not in the document.
        """
        header = document.registry
        self._version = header.version
        # In UTC, as the time they are compared with: Python asks no time zone for its offset then.
        self._term = _utc(header.issued), _utc(header.expires)
        self._tones = MappingProxyType({tone.id: tone.sha256 for tone in document.tones})
        self._singles: dict[int, tuple[Licence, ...]] = {}
        ranges: list[tuple[Span, tuple[Licence, ...]]] = []
        for member in document.members:
            held = licences(member)
            for text in member.numbers:
                span = read_span(text)
                if span.first == span.last:
                    self._singles[span.first] = held
                else:
                    ranges.append((span, held))
        self._ranges = _Ranges(ranges)
        self._say(document.suspensions, signed)

    def renewed(self, signed: Signed) -> RegistryIndex:
        """The same members, with other suspensions or a longer term: a generation that takes no time to make."""
        other = copy.copy(self)
        other._say((), signed)
        return other

    def _say(self, suspensions: Iterable[SuspensionEntry], signed: Signed | None) -> None:
        issued, expires = self._term
        self._trust = Trust.SIGNED if signed else Trust.UNSIGNED
        self._issued = max(issued, _utc(signed.suspensions.issued)) if signed else issued
        self._expires = min(expires, _utc(signed.expires)) if signed else expires
        entries = signed.suspensions.suspensions if signed else suspensions
        self._suspensions = {
            _key(suspension.number): suspension
            for suspension in (
                Suspension(parse_japanese(entry.number), _utc(entry.since), entry.reference) for entry in entries
            )
        }

    def __repr__(self) -> str:
        return f"<RegistryIndex version {self._version}>"

    @property
    def version(self) -> int:
        return self._version

    @property
    def trust(self) -> Trust:
        return self._trust

    @property
    def issued(self) -> datetime:
        return self._issued

    @property
    def expires(self) -> datetime:
        return self._expires

    @property
    def tones(self) -> Mapping[str, str | None]:
        """Tone id → SHA-256 of its master; None for a sound that is no recording."""
        return self._tones

    def suspension(self, number: Number) -> Suspension | None:
        """The suspension of `number`, in force or to come; None where there is none."""
        return self._suspensions.get(_key(number)) if number.e164 and self._suspensions else None

    def suspensions(self) -> Iterator[Suspension]:
        """All suspensions, in the order of the file."""
        return iter(self._suspensions.values())

    def licences(self, number: Number) -> Sequence[Licence] | None:
        """The licences of the member who holds `number`; None where nobody does."""
        if not number.e164:
            return None
        key = _key(number)
        held = self._singles.get(key)
        return self._ranges.find(key) if held is None else held


class _Ranges:
    """Spans, each with the licences of its holder. Those of one holder that touch or overlap become one."""

    __slots__ = ("_blocks", "_firsts", "_held", "_lasts")

    def __init__(self, ranges: list[tuple[Span, tuple[Licence, ...]]]) -> None:
        self._firsts, self._lasts = array("q"), array("q")
        self._held: list[tuple[Licence, ...]] = []
        for span, held in sorted(ranges, key=lambda pair: pair[0].first):
            if self._held and self._held[-1] is held and span.first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], span.last)
                continue
            self._firsts.append(span.first)
            self._lasts.append(span.last)
            self._held.append(held)
        self._blocks: dict[int, tuple[int, int]] = {}
        """Block → the positions of the spans that touch it, as a half-open interval."""
        for at, (first, last) in enumerate(zip(self._firsts, self._lasts, strict=True)):
            for block in range(first // _BLOCK, last // _BLOCK + 1):
                start, _ = self._blocks.get(block, (at, at))
                self._blocks[block] = (start, at + 1)

    def find(self, key: int) -> tuple[Licence, ...] | None:
        touching = self._blocks.get(key // _BLOCK)
        if touching is None:
            return None
        at = bisect_right(self._firsts, key, *touching) - 1
        return self._held[at] if at >= touching[0] and key <= self._lasts[at] else None


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the last day of 9999, where it is still that elsewhere
        return moment


def _key(number: Number) -> int:
    return int(number.e164)  # takes the '+'; an emergency number gives a key below every Japanese one


def licences(member: Member) -> tuple[Licence, ...]:
    """The licences of a member as the decision judges them."""
    return tuple(
        Licence(
            id=entry.id,
            member=member.id,
            tone=entry.tone,
            status=entry.status,
            valid_from=_utc(entry.valid.start),
            valid_until=_utc(entry.valid.until),
            directions=frozenset(entry.directions),
        )
        for entry in member.licences
    )
