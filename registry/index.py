"""The registry as decisions use it, with look-ups of licences and suspensions by number."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Self

from idtone.core.calls import Direction, ForwardedCall, Holding, Licence, Period, Reason, Suspension, Trust
from idtone.core.decision import NewerStops
from idtone.core.licence_standing import judge
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number

from .compiled_registry import BLOCK_DIGITS, Compiled, Porting, compile_registry, periods, utc
from .licence_lapses import LicenceLapse, lapses
from .model import RegistryDocument, SuspensionEntry, SuspensionsDocument
from .never_originating import NO_BLOCKS, NeverOriginating, compiled_never_originating
from .suspended_numbers import SuspendedNumbers


@dataclass(frozen=True, slots=True)
class Signed:
    """The signed parts of an edition other than its members.

    `never_originating` is None if the association publishes no such list. `sha256` is the digest of the suspensions
    file, `origin` of all files, and `metadata` of the signed metadata. `expires` applies to all parts.
    """

    suspensions: SuspensionsDocument
    expires: datetime
    sha256: str = ""
    origin: str = ""
    never_originating: NeverOriginating | None = None
    metadata: str = ""


class RegistryIndex:
    """An immutable edition of the registry. Implements `idtone.core.decision.Registry`."""

    __slots__ = (
        "_compiled", "_find", "_holdings", "_never", "_never_blocks", "_origin", "_signed", "_suspended", "_tones",
        "expires", "issued", "newer", "sha256", "trust", "version",
    )  # fmt: skip

    # Attributes, and not properties: each call reads all of them.
    version: int
    trust: Trust
    issued: datetime
    expires: datetime
    sha256: str | None
    """Digest of the signed metadata or of an unsigned file; None if the registry was not read from files."""
    newer: NewerStops | None

    def __init__(self, document: RegistryDocument, signed: Signed | None = None, origin: str = "") -> None:
        """Index a document that has passed `validation_rules.registry_faults`.

        An unreadable number raises NumberError. With `signed`, the suspensions come from it instead of the document.
        `origin` is the digest of an unsigned file.
        """
        listed = document.never_originates if signed is None else None
        never = None if listed is None else compiled_never_originating(listed)
        self._hold(compile_registry(document), document.suspensions, signed, never, origin)

    @classmethod
    def of(cls, ready: Compiled, signed: Signed) -> Self:
        """Index of a compiled registry."""
        index = cls.__new__(cls)
        index._hold(ready, (), signed)
        return index

    def renewed(self, signed: Signed) -> RegistryIndex:
        """Edition with the same members but other suspensions or another expiry. Creating it takes almost no time."""
        other = copy.copy(self)
        other._hold(self._compiled, (), signed)
        return other

    def _hold(
        self,
        ready: Compiled,
        suspensions: Iterable[SuspensionEntry],
        signed: Signed | None,
        never: NeverOriginating | None = None,
        origin: str = "",
    ) -> None:
        self._compiled, self.version = ready, ready.version
        self._find, self._holdings = ready.spans.find, ready.holdings
        self._tones = MappingProxyType(ready.tones)
        self.trust = Trust.SIGNED if signed else Trust.UNSIGNED
        self.issued = max(ready.issued, utc(signed.suspensions.issued)) if signed else ready.issued
        self.expires = min(ready.expires, utc(signed.expires)) if signed else ready.expires
        self._signed = signed
        self._origin = signed.origin if signed else origin
        self.sha256 = (signed.metadata if signed else self._origin) or None
        self.newer = None
        self._never = signed.never_originating if signed else never
        self._never_blocks = self._never.blocks if self._never is not None else NO_BLOCKS
        if self._never is not None and self._never.issued:
            self.issued = max(self.issued, self._never.issued)
        self._suspended = SuspendedNumbers(signed.suspensions.suspensions if signed else suspensions)

    def __repr__(self) -> str:
        return f"<RegistryIndex version {self.version}>"

    @property
    def origin(self) -> str:
        """Digest of the files that the registry was read from; empty if it does not come from files."""
        return self._origin

    @property
    def tones(self) -> Mapping[str, str | None]:
        """SHA-256 of each sound's master recording, or None if the sound is not a recording."""
        return self._tones

    @property
    def signed(self) -> Signed | None:
        """The edition's signed parts, or None for an unsigned registry."""
        return self._signed

    @property
    def suspensions(self) -> Sequence[Suspension]:
        """All suspensions that stop calls, in file order."""
        return self._suspended.all

    @property
    def never_originating(self) -> NeverOriginating | None:
        """Numbers that never originate calls, or None if there is no list."""
        return self._never

    def never_originates(self, number: Number) -> Sequence[Period]:
        """All past, current and future periods in which the number is declared never to originate calls."""
        if number.e164[:BLOCK_DIGITS] not in self._never_blocks:
            return ()
        assert self._never is not None, "it has blocks"
        return self._never.of(int(number.e164))

    def suspensions_of(self, number: Number) -> Sequence[Suspension]:
        """All past, current and future suspensions of a number."""
        suspended = self._suspended
        found = suspended.listed(number.e164)
        # Whole stocks are rare, and to look for them takes a twentieth of the decision.
        if not suspended.stocks or not number.e164:
            return found
        return (*found, *suspended.of_stocks(self._tenures(number)))

    def watches(self, call: ForwardedCall) -> bool:
        """True if one of the call's numbers may be suspended or declared never to originate calls."""
        # Each call comes here: a number whose thousand numbers have no entry must cost next to nothing.
        suspended, never = self._suspended, self._never_blocks
        block = call.forwarding_number.e164[:BLOCK_DIGITS]
        if block in suspended.blocks or suspended.stocks or call.perhaps is not None or call.caller_perhaps is not None:
            return True
        return bool(never) and (block in never or call.caller.e164[:BLOCK_DIGITS] in never)

    def suspended_spans(self, stocks: bool = True) -> Iterable[tuple[NumberSpan, Suspension]]:
        """Suspended number ranges in ascending order.

        If `stocks` is False, the numbers of suspended members are omitted.
        """
        return self._suspended.spans(self._held if stocks else lambda _: ())

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals of the registry: members, licences, numbers, chains and portings."""
        return self._compiled.counts

    @property
    def listed_suspensions(self) -> int:
        """Number of suspension entries of any kind."""
        return self._suspended.entries

    @property
    def members(self) -> Collection[str]:
        """Ids of all members."""
        return self._holdings.members.keys()

    def own_spans(self, member: str | None) -> Iterator[tuple[NumberSpan, Period]]:
        """Number ranges that a member holds or that passed through it, with their periods, in ascending order.

        If `member` is None, the ranges of all members are returned.
        """
        return self._held(member)

    def _held(self, member: str | None) -> Iterator[tuple[NumberSpan, Period]]:
        spans, holdings = self._compiled.spans, self._holdings
        if member is None:
            return spans.held(dict.fromkeys(range(len(holdings.lines)), (Period(),)))
        own = [holdings.members[member]] if member in holdings.members else []
        shared = range(len(holdings.members), len(holdings.lines))
        return spans.held(
            {
                holder: [period for one, period in periods(holdings.of(holder)) if member in one.members]
                for holder in (*own, *shared)
            }
        )

    def _tenures(self, number: Number) -> Iterator[tuple[str, Period]]:
        """Members that the number passed through, each with its period."""
        holder = self._compiled.spans.holder(int(number.e164))
        if holder is not None:
            for holding, period in periods(self._holdings.of(holder)):
                yield from ((member, period) for member in holding.members)

    def member(self, number: Number, now: datetime) -> str | None:
        """Id of the member in charge of a number at `now`, or None."""
        holding = self.holding(number, now)
        return holding.member if holding else None

    def licensed_tones(self, member: str, direction: Direction, now: datetime) -> frozenset[str]:
        """Sounds for which the member has a valid licence in the given direction at `now`."""
        valid = Reason.LICENCE_VALID
        return frozenset(each.tone for each in self.licences(member) if judge(each, direction, now) is valid)

    def licences(self, member: str | None) -> tuple[Licence, ...]:
        """All licences of a member, valid or not."""
        held = self._holdings.of_member(member)
        return held.licences if held else ()

    def licence_lapses(self, member: str | None, now: datetime) -> list[LicenceLapse]:
        """Times from which the member's calls have no valid licence."""
        return lapses(self.licences(member), now)

    def certification_lapses(self, member: str | None = None) -> Iterator[tuple[datetime, str]]:
        """Times at which recorded certifications lapse, each with its member or wholesale chain.

        With `member`, includes only certifications that this member's numbers depend on.
        """
        of_chains = (one.chain for one in self._holdings.of_chains())
        chains = [chain for chain in of_chains if chain and (member is None or member in chain.members)]
        concerned = {member, *(name for chain in chains for name in chain.members)}
        for name in self._holdings.members if member is None else concerned:
            at = self._holdings.lapses(name)
            if name is not None and at is not None:
                yield at, name
        for at, words in {(chain.certified_until, str(chain)) for chain in chains}:
            if at is not None:
                yield at, words

    def holding(self, number: Number, now: datetime) -> Holding | None:
        """Holding of the member in charge of a number at `now`, or None."""
        if not number.e164:
            return None
        held = self._holdings[self._find(int(number.e164))]  # int() takes the '+'; emergency numbers are the lowest
        if isinstance(held, Porting):
            return held.holding(now)
        return held


def interim_origin(earlier: str, newer: str) -> str:
    """Digest of an `InterimIndex`, which differs from the digests of both editions."""
    return hashlib.sha256(f"{earlier} {newer}".encode("ascii")).hexdigest()


class InterimIndex(RegistryIndex):
    """An edition combined with the suspensions from a newer one whose members are not loaded yet.

    No suspension is lifted until the newer edition is fully loaded. Each decision follows one edition and names it.
    """

    __slots__ = ()
    newer: NewerStops

    @classmethod
    def between(cls, earlier: RegistryIndex, signed: Signed) -> InterimIndex:
        """Combine a signed edition with the signed parts of a newer edition."""
        assert earlier.signed is not None, "an unsigned file has no parts"
        stops = dict.fromkeys([*earlier.signed.suspensions.suspensions, *signed.suspensions.suspensions])
        both = signed.suspensions.model_copy(update={"suspensions": tuple(stops)})
        origin = interim_origin(earlier.origin, signed.origin)
        index = cls.of(earlier._compiled, replace(signed, suspensions=both, origin=origin))
        index.newer = NewerStops(index.sha256, earlier)
        index.sha256, index.expires = earlier.sha256, earlier.expires
        return index

    def never_originates(self, number: Number) -> Sequence[Period]:
        return (*self.newer.earlier.never_originates(number), *super().never_originates(number))

    def watches(self, call: ForwardedCall) -> bool:
        return super().watches(call) or self.newer.earlier.watches(call)
