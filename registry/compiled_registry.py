"""Compiled registries: sorted arrays for fast look-ups, and their binary file format.

Reading a million numbers takes seconds and blocks all other threads for tenths of a second. Another process therefore
compiles a large registry (`registry_compiler`), and the service can read the result immediately. Only a checksum
protects the result, because it is in the service's own folder, next to the verified text.
"""

import functools
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from mmap import mmap
from typing import Any, Final

from idtone.core.binary_table import packed_parts, packed_table, unpacked_table
from idtone.core.calls import Direction, Holding, Licence, LicenceStatus, Period, WholesaleChain
from idtone.core.errors import TrustError
from idtone.core.number_spans import NumberSpan

from .holder_spans import HolderSpans, read_arrays, spans_of
from .member_numbers import MemberNumbers
from .model import ChainEntry, ChainLink, Member, PortingEntry, RegistryDocument, day_begins
from .number_notation import read_span

BLOCK_DIGITS: Final = -3
"""End of the slice that yields a number's block: its E.164 text without the last three digits."""
MAGIC: Final = b"idtone registry 10\n"
"""The format's name. Increment its number when the format or the block size in `holder_spans` changes."""
_Interval = tuple[int, int, int]
"""First number, last number and holder of an interval."""


@dataclass(frozen=True, slots=True)
class Porting:
    """A change of the member in charge of a number: `before` until `at`, then `after`."""

    before: Holding
    after: Holding
    at: datetime

    def holding(self, now: datetime) -> Holding:
        return self.before if now < self.at else self.after


def periods(holder: Holding | Porting) -> tuple[tuple[Holding, Period], ...]:
    """Members in charge of the numbers, each with its period."""
    if isinstance(holder, Porting):
        return ((holder.before, Period(until=holder.at)), (holder.after, Period(since=holder.at)))
    return ((holder, Period()),)


class Holdings(dict[int, Holding | Porting | None]):
    """Members in charge of numbers, by the value returned by `HolderSpans.find`.

    A holding is built the first time it is looked up, because building all of them at startup would block other threads
    for half a second. `members` maps member ids to holders. `lines` are ordered by holder: members, then wholesale
    chains, then portings.
    """

    def __init__(self, members: Iterable[str], lines: Sequence[bytes], chains: int) -> None:
        super().__init__({0: None})
        self.members = {member: holder for holder, member in enumerate(members)}
        self.lines = lines
        self.chains = range(len(self.members), len(self.members) + chains)
        """Indices of the holders that are wholesale chains."""

    def __missing__(self, found: int) -> Holding | Porting:
        self[found] = built = self._built(found - 1)
        return built

    def of(self, holder: int) -> Holding | Porting:
        found = self[holder + 1]
        assert found is not None, "only 0 has no holder"
        return found

    def of_member(self, member: str | None) -> Holding | None:
        """Holding for a member's numbers without a chain or porting; None for an unknown member."""
        holder = None if member is None else self.members.get(member)
        return None if holder is None else self._held(holder)

    def lapses(self, member: str | None) -> datetime | None:
        """Time at which the member's certification lapses, or None.

        No holding is built, because this is called for many members, few of which have calls.
        """
        holder = None if member is None else self.members.get(member)
        return None if holder is None else moment_of(json.loads(self.lines[holder])[1])

    def of_chains(self) -> Iterator[Holding]:
        return map(self._held, self.chains)

    def all(self) -> Iterator[Holding | Porting]:
        """All holdings in holder order. They are not kept in memory."""
        return map(self._built, range(len(self.lines)))

    def _held(self, holder: int) -> Holding:
        found = self.of(holder)
        assert isinstance(found, Holding), "the portings come last"
        return found

    def _built(self, holder: int) -> Holding | Porting:
        said = json.loads(self.lines[holder])
        if holder >= self.chains.stop:
            before, after, at = said
            return Porting(self._held(before), self._held(after), _moment(at))
        if holder not in self.chains:
            member, lapses, *packed = said
            return Holding(member, tuple(_unpacked(member, each) for each in packed), None, moment_of(lapses))
        names, checked, lapses = said
        chain = WholesaleChain(tuple(names), tuple(map(moment_of, checked)), moment_of(lapses))
        through = [self._held(self.members[member]) for member in names]
        # It has the licences of the member in charge, and the first lapse of all its members and links.
        ends = (chain.certified_until, *(each.certified_until for each in through))
        return Holding(names[-1], through[-1].licences, chain, min(filter(None, ends), default=None))


class MemberLines:
    """The members of a registry, encoded for `Holdings`."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self.lines: list[bytes] = []
        self.licences = 0
        """Number of licences."""
        self.extend(members)

    def extend(self, members: Iterable[Member]) -> None:
        for member in members:
            held = licences(member)
            self.lines.append(_line([member.id, text_of(_lapses(member)), *map(_packed, held)]))
            self.licences += len(held)


def _line(said: list[Any]) -> bytes:
    return json.dumps(said).encode("ascii")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled registry. `lines` are the encoded holdings for `Holdings`."""

    version: int
    issued: datetime
    expires: datetime
    tones: Mapping[str, str | None]
    members: tuple[str, ...]
    lines: tuple[bytes, ...]
    spans: HolderSpans
    counts: Mapping[str, int]
    """Totals for the whole file: members, licences, numbers, chains and portings."""
    holdings: Holdings = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "holdings", Holdings(self.members, self.lines, self.counts["chains"]))


def compile_registry(
    document: RegistryDocument, held: MemberNumbers | None = None, members: MemberLines | None = None
) -> Compiled:
    """Compile a registry that has passed `validation_rules.registry_faults`.

    Raises NumberError for an unreadable number. If the document was read without its members, `held` contains their
    numbers and `members` contains the members.
    """
    header = document.registry
    held, members = held or MemberNumbers.of(document), members or MemberLines(document.members)
    spans, ported, numbers = _spans(document, held)
    chains = [
        _line([chain.members, [*map(text_of, chain.checked)], text_of(chain.certified_until)])
        for chain in map(wholesale_chain, document.chains)
    ]
    portings = [_line([before, after, text_of(at)]) for before, after, at in ported]
    # All times are in UTC, like the time of a decision: comparing equal time zones is faster.
    return Compiled(
        header.version,
        utc(header.issued),
        utc(header.expires),
        {tone.id: tone.sha256 for tone in document.tones},
        tuple(held.ids),
        (*members.lines, *chains, *portings),
        spans,
        {
            "members": len(held.ids),
            "licences": members.licences,
            "numbers": numbers,
            "chains": len(document.chains),
            "portings": len(document.portings),
        },
    )


def _lapses(entry: Member | ChainLink) -> datetime | None:
    return entry.certification.lapses if entry.certification else None


def wholesale_chain(entry: ChainEntry) -> WholesaleChain:
    """Convert a wholesale chain into the decision's type."""
    return WholesaleChain(
        (entry.links[0].wholesaler, *(link.reseller for link in entry.links)),
        tuple(day_begins(link.checked.day) if link.checked else None for link in entry.links),
        min(filter(None, map(_lapses, entry.links)), default=None),
    )


_Ported = tuple[int, int, datetime]
"""Holder before, holder after and time of the change."""


def _spans(document: RegistryDocument, held: MemberNumbers) -> tuple[HolderSpans, list[_Ported], int]:
    """Number intervals by holder, the portings and how many numbers the members hold.

    Joins touching or overlapping intervals of the same holder. Wholesale chains and portings count as holders.
    """
    firsts, lasts, holders = array("q"), array("q"), array("i")
    for at in held.ascending():
        first, last, holder = held.firsts[at], held.lasts[at], held.members[at]
        if holders and holders[-1] == holder and first <= lasts[-1] + 1:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
            holders.append(holder)
    numbers = sum(lasts) - sum(firsts) + len(firsts)
    if document.chains:
        joined = zip(firsts, lasts, holders, strict=True)
        chained = sorted((span.first, span.last, holder) for holder, span in _chain_spans(document, len(held.ids)))
        firsts, lasts, holders = (array("q", numbers) for numbers in zip(*_parted(joined, chained), strict=True))
    ported: list[_Ported] = []
    if document.portings:
        intervals = list(_with_portings(zip(firsts, lasts, holders, strict=True), document, held, ported))
        firsts, lasts, holders = (array("q", numbers) for numbers in zip(*intervals, strict=True))
    return spans_of(firsts, lasts, holders), ported, numbers


def _chain_spans(document: RegistryDocument, first: int) -> Iterator[tuple[int, NumberSpan]]:
    return enumerate((read_span(chain.numbers) for chain in document.chains), first)


def _parted(joined: Iterable[_Interval], chained: Iterable[_Interval]) -> Iterator[_Interval]:
    """Cut each wholesale chain's numbers out of the joined intervals. Both inputs must be ascending."""
    chains = iter(chained)
    chain = next(chains, None)
    for first, last, holder in joined:
        while chain and chain[0] <= last:
            if first < chain[0]:
                yield first, chain[0] - 1, holder
            yield chain
            first, chain = chain[1] + 1, next(chains, None)
        if first <= last:
            yield first, last, holder


def _with_portings(
    intervals: Iterable[_Interval], document: RegistryDocument, held: MemberNumbers, ported: list[_Ported]
) -> Iterator[_Interval]:
    """Cut each porting's numbers out of the intervals and add the new holders to `ported`.

    A wholesale chain applies while its first member holds the numbers.
    """
    places, begins = held.positions, [*held.ids, *(chain.links[0].wholesaler for chain in document.chains)]
    known: dict[_Ported, int] = {}

    def holder_of(entry: PortingEntry, holder: int) -> int:
        before, after = (
            holder if begins[holder] == member else places[member] for member in (entry.giver, entry.taker)
        )
        porting = before, after, utc(entry.at)
        if porting not in known:
            known[porting] = len(begins) + len(ported)
            ported.append(porting)
        return known[porting]

    entries = sorted(((read_span(entry.numbers), entry) for entry in document.portings), key=lambda one: one[0].first)
    left = iter(entries)
    current = next(left, None)
    for start, last, holder in intervals:
        first = start
        while current and current[0].first <= last:
            span, entry = current
            if span.first > first:
                yield first, span.first - 1, holder
            if span.last >= first:
                yield max(first, span.first), min(last, span.last), holder_of(entry, holder)
                first = min(last, span.last) + 1
            if span.last > last:
                break
            current = next(left, None)
        if first <= last:
            yield first, last, holder


def licences(member: Member) -> tuple[Licence, ...]:
    """Convert a member's licences into the decision's type."""
    pledge = member.pledge
    return tuple(
        Licence(
            id=entry.id,
            member=member.id,
            tone=entry.tone,
            status=entry.status,
            valid_from=utc(entry.valid.start),
            valid_until=utc(entry.valid.until),
            directions=frozenset(entry.directions),
            pledged_from=day_begins(pledge.signed) if pledge else None,
            pledged_until=day_begins(pledge.until) if pledge and pledge.until else None,
        )
        for entry in member.licences
    )


def utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # a time in UTC after the year 9999
        return moment


# -- as octets --------------------------------------------------------------------------------------------------------


def pack_parts(index: Compiled) -> list[bytes | memoryview]:
    """Encode a compiled registry for `unpack` in parts, without copying the arrays.

    Only a machine with the same byte order can decode the result.
    """
    head: dict[str, Any] = {
        "version": index.version,
        "issued": index.issued.isoformat(),
        "expires": index.expires.isoformat(),
        "tones": dict(index.tones),
        "counts": dict(index.counts),
        "members": index.members,
    }
    return packed_parts(MAGIC, head, index.lines, index.spans.arrays())


def packed_spans(magic: bytes, head: dict[str, Any], lines: Iterable[Any], spans: HolderSpans) -> bytes:
    """Encode number intervals with their holders for `unpacked_spans`."""
    return packed_table(magic, head, lines, spans.arrays())


def unpacked_spans(magic: bytes, octets: bytes | mmap) -> tuple[dict[str, Any], Iterator[bytes], HolderSpans]:
    """Decode bytes from `packed_spans` into the header, lines and intervals. Raises ValueError."""
    head, lines, arrays = unpacked_table(magic, octets, "registry")
    return head, lines, read_arrays(arrays)


def unpack(octets: bytes | mmap) -> Compiled:
    """Decode a compiled registry from `pack_parts`. Raises TrustError for any other bytes."""
    try:
        head, lines, spans = unpacked_spans(MAGIC, octets)
        issued, expires = datetime.fromisoformat(head["issued"]), datetime.fromisoformat(head["expires"])
        members, counts = tuple(head["members"]), head["counts"]
        return Compiled(head["version"], issued, expires, head["tones"], members, tuple(lines), spans, counts)
    except (ValueError, LookupError, TypeError) as error:
        raise TrustError("this is no compiled registry") from error


def _packed(licence: Licence) -> list[Any]:
    return [
        licence.id, licence.tone, licence.status, licence.valid_from.isoformat(), licence.valid_until.isoformat(),
        sorted(licence.directions), text_of(licence.pledged_from), text_of(licence.pledged_until),
    ]  # fmt: skip


def _unpacked(member: str, fields: list[Any]) -> Licence:
    name, tone, status, start, until, directions, pledged_from, pledged_until = fields
    return Licence(
        name,
        member,
        tone,
        LicenceStatus(status),
        _moment(start),
        _moment(until),
        _directions(tuple(directions)),
        moment_of(pledged_from),
        moment_of(pledged_until),
    )


def text_of(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


@functools.cache
def moment_of(text: str | None) -> datetime | None:
    return _moment(text) if text else None


@functools.cache
def _moment(text: str) -> datetime:
    """Parse a time. Results are cached, so that licences share the objects."""
    return utc(datetime.fromisoformat(text))


@functools.cache
def _directions(names: tuple[str, ...]) -> frozenset[Direction]:
    """Directions with the given names.

    Results are cached, so that licences share three objects. A million objects would slow down garbage collection.
    """
    return frozenset(map(Direction, names))
