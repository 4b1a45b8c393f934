"""Excerpt of a registry in evidence, with all facts about a few numbers and none about others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from idtone.core.calls import (
    Direction,
    ForwardedCall,
    Holding,
    Licence,
    LicenceStatus,
    Period,
    Suspension,
    Trust,
    WholesaleChain,
)
from idtone.core.errors import TrustError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number

from .compiled_registry import Porting, moment_of, periods
from .suspended_numbers import in_period
from .trust import tuf_roles

_FIELDS: Final = {"first", "head", "last", "salt", "says"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a registry file for the numbers in `span`.

    `says` is what the file says about the numbers, and `head` is what it says about itself.
    """

    span: NumberSpan
    head: Mapping[str, Any]
    says: Any

    @classmethod
    def parse(cls, content: str) -> Entry:
        """Parse an entry from evidence. Raises TrustError."""
        try:
            found = json.loads(content)
            is_entry = set(found) == _FIELDS and type(found["first"]) is type(found["last"]) is int
            entry = cls(NumberSpan(found["first"], found["last"]), dict(found["head"]), found["says"])
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise _unreadable() from error
        if not is_entry:
            raise _unreadable()
        return entry


class RegistryExcerpt:
    """A registry that knows only some entries' numbers. Implements `idtone.core.decision.Registry`."""

    newer = None

    def __init__(self, entries: Mapping[str, Sequence[Entry]], expires: datetime | None, sha256: str) -> None:
        """Set the entries by file and the earliest signature expiry. Raises TrustError.

        `expires` is None if the registry is unsigned.
        """
        self._entries = entries
        self.trust = Trust.UNSIGNED if expires is None else Trust.SIGNED
        self.sha256 = sha256
        try:
            head = entries[tuf_roles.REGISTRY_FILE][0].head
            self.version = int(head["version"])
            issued = [_moment(each[0].head["issued"]) for each in entries.values() if each[0].head["issued"]]
            self.issued = max(issued)
            ends = _moment(head["expires"])
            self.expires = ends if expires is None else min(ends, expires)
            stocks = entries[tuf_roles.SUSPENSIONS_FILE][0].head["stocks"]
            self._stocks = {member: list(map(_suspension, each)) for member, each in stocks.items()}
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise _unreadable() from error

    def _says(self, file: str, number: Number) -> Any:
        """Content of a file about a number. Raises TrustError if the entries do not cover the number."""
        if not number.e164:
            return None
        for entry in self._entries.get(file, ()):
            if int(number.e164) in entry.span:
                return entry.says
        if file in tuf_roles.OPTIONAL and file not in self._entries:
            return None
        raise TrustError("the pack does not show what {file} says of a number of the call", file=file)

    def suspensions_of(self, number: Number) -> Sequence[Suspension]:
        try:
            own = [_suspension(each) for each in self._says(tuf_roles.SUSPENSIONS_FILE, number) or ()]
        except (LookupError, ValueError, TypeError) as error:
            raise _unreadable() from error
        if not self._stocks or not (holder := self._holder(number)):
            return own
        for holding, period in periods(holder):
            for member in holding.members:
                own += in_period(self._stocks.get(member, ()), period)
        return own

    def suspended_spans(self, stocks: bool = True) -> Iterable[tuple[NumberSpan, Suspension]]:
        return ()

    def own_spans(self, member: str | None) -> Iterator[tuple[NumberSpan, Period]]:
        return iter(())

    def never_originates(self, number: Number) -> Sequence[Period]:
        try:
            return [Period(*map(moment_of, each)) for each in self._says(tuf_roles.NEVER_ORIGINATES_FILE, number) or ()]
        except (LookupError, ValueError, TypeError) as error:
            raise _unreadable() from error

    def watches(self, call: ForwardedCall) -> bool:
        return True

    def holding(self, number: Number, now: datetime) -> Holding | None:
        holder = self._holder(number)
        return holder.holding(now) if isinstance(holder, Porting) else holder

    def _holder(self, number: Number) -> Holding | Porting | None:
        says = self._says(tuf_roles.REGISTRY_FILE, number)
        try:
            return None if says is None else _holder(says)
        except (LookupError, ValueError, TypeError) as error:
            raise _unreadable() from error


def _unreadable() -> TrustError:
    return TrustError("what the pack shows of the registry cannot be read")


def _moment(text: str) -> datetime:
    moment = moment_of(text)
    if moment is None:
        raise ValueError("no moment")
    return moment


def _suspension(says: Sequence[str | None]) -> Suspension:
    since, until = says
    return Suspension(_moment(str(since)), moment_of(until))


def _holder(says: Mapping[str, Any]) -> Holding | Porting:
    if "at" in says:
        return Porting(_holding(says["before"]), _holding(says["after"]), _moment(says["at"]))
    return _holding(says)


def _holding(says: Mapping[str, Any]) -> Holding:
    chain, member = says["chain"], str(says["member"])
    return Holding(
        member,
        tuple(_licence(member, each) for each in says["licences"]),
        None
        if chain is None
        else WholesaleChain(
            tuple(chain["members"]), tuple(map(moment_of, chain["checked"])), moment_of(chain["certified_until"])
        ),
        moment_of(says["certified_until"]),
    )


def _licence(member: str, says: Mapping[str, Any]) -> Licence:
    return Licence(
        says["id"],
        member,
        says["tone"],
        LicenceStatus(says["status"]),
        _moment(says["from"]),
        _moment(says["until"]),
        frozenset(map(Direction, says["directions"])),
        moment_of(says["pledged_from"]),
        moment_of(says["pledged_until"]),
    )
