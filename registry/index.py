"""The registry for decisions: look-ups of the licences or the suspensions of a number."""

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
    """The parts that the association signs separately from the members: the suspensions, the numbers that never
    originate (None if there is no such list), and the expiry of all of it.

    `sha256` is the digest of the suspensions' file, `origin` a digest of all files, `metadata` the digest of the signed
    metadata.
    """

    suspensions: SuspensionsDocument
    expires: datetime
    sha256: str = ""
    origin: str = ""
    never_originating: NeverOriginating | None = None
    metadata: str = ""


class RegistryIndex:
    """One generation of the registry; immutable. Implements `idtone.core.decision.Registry`."""

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
    """The digest of the signed metadata, or of an unsigned file; None if it was not read from files."""
    newer: NewerStops | None

    def __init__(self, document: RegistryDocument, signed: Signed | None = None, origin: str = "") -> None:
        """`document` must have passed `validation_rules.registry_faults`; an unreadable number raises NumberError here.

        With `signed`, the suspensions come from it, not from the document. `origin` is the digest of an unsigned file.
        """
        listed = document.never_originates if signed is None else None
        never = None if listed is None else compiled_never_originating(listed)
        self._hold(compile_registry(document), document.suspensions, signed, never, origin)

    @classmethod
    def of(cls, ready: Compiled, signed: Signed) -> Self:
        """The index of a compiled registry."""
        index = cls.__new__(cls)
        index._hold(ready, (), signed)
        return index

    def renewed(self, signed: Signed) -> RegistryIndex:
        """A generation with the same members but other suspensions or another expiry, made in almost no time."""
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
        """A digest of the files from which it was read; empty if it was not read from files."""
        return self._origin

    @property
    def tones(self) -> Mapping[str, str | None]:
        """Tone id → SHA-256 of its master; None for a sound that is not a recording."""
        return self._tones

    @property
    def signed(self) -> Signed | None:
        """The suspensions' file, if it is signed."""
        return self._signed

    @property
    def suspensions(self) -> Sequence[Suspension]:
        """All suspensions that stop calls, in the order of the file."""
        return self._suspended.all

    @property
    def never_originating(self) -> NeverOriginating | None:
        """The numbers that never originate; None if there is no list."""
        return self._never

    def never_originates(self, number: Number) -> Sequence[Period]:
        """Periods in which the number never originates calls, past, current and future."""
        if number.e164[:BLOCK_DIGITS] not in self._never_blocks:
            return ()
        assert self._never is not None, "it has blocks"
        return self._never.of(int(number.e164))

    def suspensions_of(self, number: Number) -> Sequence[Suspension]:
        """The suspensions of `number`, past, current and future."""
        suspended = self._suspended
        found = suspended.listed(number.e164)
        # Whole stocks are rare, and to look for them takes a twentieth of the decision.
        if not suspended.stocks or not number.e164:
            return found
        return (*found, *suspended.of_stocks(self._tenures(number)))

    def watches(self, call: ForwardedCall) -> bool:
        """True if a number of the call may be suspended, or may be one that never originates calls."""
        # Each call comes here: a number whose thousand numbers have no entry must cost next to nothing.
        suspended, never = self._suspended, self._never_blocks
        block = call.forwarding_number.e164[:BLOCK_DIGITS]
        if block in suspended.blocks or suspended.stocks or call.perhaps is not None or call.caller_perhaps is not None:
            return True
        return bool(never) and (block in never or call.caller.e164[:BLOCK_DIGITS] in never)

    def suspended_spans(self, stocks: bool = True) -> Iterable[tuple[NumberSpan, Suspension]]:
        """Spans of suspended numbers, ascending by first number. With `stocks` False, the numbers of suspended members
        are left out.
        """
        return self._suspended.spans(self._held if stocks else lambda _: ())

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts for the whole file: members, licences, numbers, chains and portings."""
        return self._compiled.counts

    @property
    def listed_suspensions(self) -> int:
        """Number of entries of suspensions, of any kind."""
        return self._suspended.entries

    @property
    def members(self) -> Collection[str]:
        """The ids of all members."""
        return self._holdings.members.keys()

    def own_spans(self, member: str | None) -> Iterator[tuple[NumberSpan, Period]]:
        """Spans of numbers that the member holds, or that went through it; if `member` is None, those of all members.
        Each comes with its period, ascending by first number.
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
        """The members through which the number went, each with its period."""
        holder = self._compiled.spans.holder(int(number.e164))
        if holder is not None:
            for holding, period in periods(self._holdings.of(holder)):
                yield from ((member, period) for member in holding.members)

    def member(self, number: Number, now: datetime) -> str | None:
        """The id of the member in charge of `number` at that time; None if no member holds it."""
        holding = self.holding(number, now)
        return holding.member if holding else None

    def licensed_tones(self, member: str, direction: Direction, now: datetime) -> frozenset[str]:
        """The sounds of the member's licences that are valid at that time for this direction."""
        valid = Reason.LICENCE_VALID
        return frozenset(each.tone for each in self.licences(member) if judge(each, direction, now) is valid)

    def licences(self, member: str | None) -> tuple[Licence, ...]:
        """All licences of the member, valid or not."""
        held = self._holdings.of_member(member)
        return held.licences if held else ()

    def licence_lapses(self, member: str | None, now: datetime) -> list[LicenceLapse]:
        """The moments from which the member's calls have no valid licence."""
        return lapses(self.licences(member), now)

    def certification_lapses(self, member: str | None = None) -> Iterator[tuple[datetime, str]]:
        """Each recorded certification: the time at which it lapses, and its member or its wholesale chain. With
        `member`, only certifications that the numbers of this member depend on.
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
        """The member in charge of `number` at that time; None if no member holds it."""
        if not number.e164:
            return None
        held = self._holdings[self._find(int(number.e164))]  # int() takes the '+'; emergency numbers are the lowest
        if isinstance(held, Porting):
            return held.holding(now)
        return held


def interim_origin(earlier: str, newer: str) -> str:
    """The origin of an `InterimIndex`. It differs from the origins of both generations."""
    return hashlib.sha256(f"{earlier} {newer}".encode("ascii")).hexdigest()


class InterimIndex(RegistryIndex):
    """A generation combined with the suspensions of a newer one whose members are not known yet. No suspension is
    lifted before the whole newer generation is known. Each decision follows one edition, and names it.
    """

    __slots__ = ()
    newer: NewerStops

    @classmethod
    def between(cls, earlier: RegistryIndex, signed: Signed) -> InterimIndex:
        """The index between two generations: `earlier` is a signed generation, `signed` has the parts of the newer one
        besides its members.
        """
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
