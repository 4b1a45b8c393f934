"""The public site's answer for each number in the registry: licensed, stopped or never originating."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from idtone.core.calls import Holding, Period, Reason
from idtone.core.errors import TrustError
from idtone.core.licence_standing import judge
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number, NumberKind
from idtone.registry.compiled_registry import utc
from idtone.registry.index import RegistryIndex
from idtone.registry.model import RegistryDocument, SuspensionsDocument

from ..authority.stopped_members import stopped_members

NUMBERS_LIMIT: Final = 5_000_000
"""Maximum number of numbers. A prefix that is too short would cover a region of Japan."""


class NumberAnswer(IntEnum):
    """The public site's possible answers for a number. A number without an answer belongs to no member."""

    LICENSED = 1
    """The member responsible for the number has a valid licence."""
    STOPPED = 2
    NEVER_ORIGINATES = 3
    UNLICENSED = 4
    """The member responsible for the number has no valid licence."""


@dataclass(frozen=True, slots=True)
class LicensedHolder:
    """A member with a licence that is valid until just before `until`."""

    member: str
    ja: str
    en: str
    until: datetime

    def to_json(self) -> dict[str, Any]:
        return {
            "member": self.member,
            "name": {"ja": self.ja, "en": self.en},
            "until": self.until.isoformat(),
        }


def licensed_holders(
    document: RegistryDocument, suspensions: SuspensionsDocument, index: RegistryIndex, now: datetime
) -> list[LicensedHolder]:
    """Find the members with a valid licence, in registry order.

    Members whose numbers are all suspended are left out.
    """
    stopped = stopped_members(document.members, suspensions, now)
    found = []
    for member in document.members:
        ends = [lapse.at for lapse in index.licence_lapses(member.id, now) if lapse.at > now]
        if ends and member.id not in stopped:
            found.append(LicensedHolder(member.id, member.name.ja, member.name.en, max(ends)))
    return found


def answers(index: RegistryIndex, holders: Mapping[str, int], now: datetime) -> Iterator[tuple[str, NumberAnswer, int]]:
    """Yield each number (E.164) with its answer and its holder's place.

    The place comes from `holders` and is counted from 1; it is 0 if the number has no licensed holder there. Raises
    TrustError if there are too many numbers.
    """
    spans = list(_spans(index))
    if sum(map(len, spans)) > NUMBERS_LIMIT:
        raise TrustError("the registry has more than {limit} numbers; a prefix in it is too short", limit=NUMBERS_LIMIT)
    for digits in itertools.chain.from_iterable(range(span.first, span.last + 1) for span in spans):
        number = Number(NumberKind.OTHER, f"+{digits}")
        answer, holder = _answer(index, number, now)
        if answer is not None:
            yield number.e164, answer, holders.get(holder, 0)


def changes_at(
    document: RegistryDocument, index: RegistryIndex, holders: list[LicensedHolder], names_holders: bool, now: datetime
) -> datetime:
    """Next time when an answer changes or the registry expires.

    If the statement names holders, the page itself checks when licences end, so these times do not count.
    """
    periods: list[Period] = [Period(each.since, each.until) for each in index.suspensions]
    if index.never_originating is not None:
        periods += itertools.chain.from_iterable(index.never_originating.periods)
    periods += (Period(utc(entry.at)) for entry in document.portings)
    for member in index.members:
        for licence in index.licences(member):
            periods += Period(licence.valid_from), Period(licence.pledged_from)
    moments = [moment for period in periods for moment in period if moment is not None and moment > now]
    moments += [moment for moment, _ in index.certification_lapses() if moment > now]
    if not names_holders:
        moments += [holder.until for holder in holders]
    return min([index.expires, *moments])


def _spans(index: RegistryIndex) -> Iterator[NumberSpan]:
    end = -1
    named = itertools.chain(
        (span for span, _ in index.own_spans(None)),
        (span for span, _ in index.suspended_spans(stocks=False)),
        (span for span, _ in (index.never_originating.placed() if index.never_originating else ())),
    )
    for span in sorted(named, key=lambda each: each.first):
        if span.last > end:
            yield NumberSpan(max(span.first, end + 1), span.last)
            end = span.last


def _answer(index: RegistryIndex, number: Number, now: datetime) -> tuple[NumberAnswer | None, str]:
    if any(each.since <= now and (each.until is None or now < each.until) for each in index.suspensions_of(number)):
        return NumberAnswer.STOPPED, ""
    if any(period.in_force(now) for period in index.never_originates(number)):
        return NumberAnswer.NEVER_ORIGINATES, ""
    holding = index.holding(number, now)
    if holding is None:
        return None, ""
    return (NumberAnswer.LICENSED, holding.member) if _is_licensed(holding, now) else (NumberAnswer.UNLICENSED, "")


def _is_licensed(holding: Holding, now: datetime) -> bool:
    return not holding.has_lapsed(now) and any(
        judge(licence, direction, now) is Reason.LICENCE_VALID
        for licence in holding.licences
        for direction in licence.directions
    )
