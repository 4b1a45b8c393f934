"""Rules for detecting misuse. Each rule evaluates one day's calls of one number, party or licence.

Telephone numbers stay sealed, so rules compare tokens. A number's token changes every day (UTC, from 9:00 to 9:00 in
Japan). Numbers are therefore compared with themselves only within a day, and only licences are compared with their
past.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.japan_time import JAPAN
from idtone.core.misuse_limits import Limits, RuleLimits
from idtone.core.numbers import NumberKind
from idtone.core.tail_probabilities import (
    binomial_tail,
    least_binomial,
    least_poisson,
    level_per_window,
    poisson_tail,
    round_robin_bound,
    runs_test,
    usual,
)
from idtone.core.translation import Message, template
from idtone.ledger.evidence.call_outline import CallOutline
from idtone.ledger.evidence.steps import CallStatus

from .call_windows import Series, Sign, Subject, Window, aligned_start, split_into_intervals, windows

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0


class Grouping(StrEnum):
    """Kind of subject that a rule groups calls by."""

    NUMBER = "number"
    """A forwarding number."""
    PARTY = "party"
    """The party that uses forwarding numbers: the caller in outgoing calls, the called party in incoming calls."""
    LICENCE = "licence"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    `judge` returns a sign or None. `limits` selects the rule's limits. `reason` is the template for a sentence about a
    sign. Rules with `of_volume` report numbers with many calls, except numbers that are expected to make many.
    """

    name: str
    title: str
    grouping: Grouping
    limits: Callable[[Limits], RuleLimits]
    judge: Callable[[Subject, Limits], Sign | None]
    reason: str
    of_volume: bool = False


def short_calls(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that too many of the connected calls within some minutes were short."""
    limit = limits.short_calls
    connected = [call for call in subject.calls if call.talk_s is not None]
    return _too_many_of(
        subject,
        connected,
        [(call.talk_s or 0) < limit.shorter_than_s for call in connected],
        limit.within_minutes,
        limit.usual_share,
        limit.at_least,
        limits.false_alarm,
        {"below_s": limit.shorter_than_s},
    )


def pings(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that the caller ended too many outgoing calls after brief ringing."""
    limit = limits.pings
    outgoing = [call for call in subject.calls if call.direction == Direction.OUTGOING and call.ended_s is not None]
    return _too_many_of(
        subject,
        outgoing,
        [_is_ping(call, limit.rings_below_s) for call in outgoing],
        limit.within_minutes,
        limit.usual_share,
        limit.at_least,
        limits.false_alarm,
        {"below_s": limit.rings_below_s},
    )


def many_called(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that more different numbers than usual were called within an hour."""
    limit = limits.many_called
    calls = [call for call in subject.calls if call.called]
    best, latest = Window(0, 0, 0), deque[int]()
    inside: dict[str | None, int] = {}
    for place, call in enumerate(calls):
        latest.append(place)
        inside[call.called] = inside.get(call.called, 0) + 1
        while call.at_s - calls[latest[0]].at_s >= _HOUR_S:
            gone = calls[latest.popleft()].called
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
        if len(inside) > best.counted:
            best = Window(latest[0], place + 1, len(inside))
    level = level_per_window(limits.false_alarm, len(calls))
    chance = poisson_tail(best.counted, limit.usual_per_hour)
    if best.counted < limit.at_least or chance >= level:
        return None
    found = calls[best.first : best.end]
    least = max(limit.at_least, least_poisson(limit.usual_per_hour, level))
    start_s = aligned_start(subject.start_s, found[0].at_s, _HOUR_S)
    hours = [{call.called for call in each} for each in split_into_intervals(start_s, calls, _HOUR_S)]
    series = Series(start_s, _HOUR_S, [len(each) for each in hours], [least] * len(hours))
    return Sign(
        found,
        series,
        chance * len(calls),
        {"count": best.counted, "time": _clock(found[0].at_s), "usual": _number(limit.usual_per_hour)},
    )


def refusals(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that more outgoing calls than usual were refused, as with repeated attempts."""
    limit = limits.refusals
    refused = [
        call for call in subject.calls if call.outcome == Outcome.REFUSE and call.direction == Direction.OUTGOING
    ]
    chance = poisson_tail(len(refused), limit.usual_per_day)
    if len(refused) < limit.at_least or chance >= limits.false_alarm:
        return None
    hours = [len(each) for each in split_into_intervals(subject.start_s, refused, _HOUR_S)]
    return Sign(
        refused,
        Series(subject.start_s, _HOUR_S, hours, [None] * len(hours)),
        chance,
        {"count": len(refused), "time": _clock(refused[0].at_s), "usual": _number(limit.usual_per_day)},
    )


def after_suspension(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that a party continued with another number after its number was suspended."""
    stopped: set[str] = set()
    first: CallOutline | None = None
    others: list[CallOutline] = []
    for call in subject.calls:
        if call.suspended or call.reason == Reason.NUMBER_SUSPENDED:
            stopped |= {call.forwarding} if call.forwarding else set()
            first = first or call
        elif first and call.forwarding and call.forwarding not in stopped and call.outcome != Outcome.REFUSE:
            others.append(call)
    if first is None or len(others) < limits.after_suspension.at_least:
        return None
    hours = [len(each) for each in split_into_intervals(subject.start_s, others, _HOUR_S)]
    return Sign(
        [first, *others],
        Series(subject.start_s, _HOUR_S, hours, [None] * len(hours)),
        None,
        {
            "count": len(others),
            "numbers": len({call.forwarding for call in others}),
            "time": _clock(first.at_s),
        },
    )


def rotation(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that the party used its forwarding numbers in an order unlikely to occur by chance."""
    limit = limits.rotation
    calls = [call for call in subject.calls if call.forwarding]
    order = [str(call.forwarding) for call in calls]
    numbers = len(set(order))
    if len(calls) < limit.at_least or numbers < limit.numbers_at_least:
        return None
    chance = 2 * min(runs_test(order), round_robin_bound(order))
    if chance >= limits.false_alarm:
        return None
    hours = [len({call.forwarding for call in each}) for each in split_into_intervals(subject.start_s, calls, _HOUR_S)]
    return Sign(
        calls,
        Series(subject.start_s, _HOUR_S, hours, [None] * len(hours)),
        chance,
        {"count": len(calls), "numbers": numbers, "time": _clock(calls[0].at_s)},
    )


def night_abroad(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that too large a share of the number's calls went abroad at night."""
    limit = limits.night_abroad
    found = [
        call
        for call in subject.calls
        if call.called_kind == NumberKind.OTHER and _is_night(call.at_s, limit.from_hour, limit.until_hour)
    ]
    of = len(subject.calls)
    if len(found) < limit.at_least:
        return None
    chance = binomial_tail(len(found), of, limit.usual_share)
    if chance >= limits.false_alarm:
        return None
    hours = [len(each) for each in split_into_intervals(subject.start_s, found, _HOUR_S)]
    return Sign(
        found,
        Series(subject.start_s, _HOUR_S, hours, [None] * len(hours)),
        chance,
        {
            "count": len(found),
            "calls": of,
            "from_hour": limit.from_hour,
            "until_hour": limit.until_hour,
            "usual": _percent(limit.usual_share),
        },
    )


def number_surge(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that one hour has many more calls than the day's earlier hours."""
    limit = limits.number_surge
    hours = [len(each) for each in split_into_intervals(subject.start_s, subject.calls, _HOUR_S)]
    level = level_per_window(limits.false_alarm, len(hours))
    ordinary = [
        max(usual(hours[:place]), limit.usual_per_hour) if place >= limit.hours_at_least else None
        for place in range(len(hours))
    ]
    # The first such hour counts, because the number's pattern of calls changed there.
    for place, (count, expected) in enumerate(zip(hours, ordinary, strict=True)):
        if expected is None or count < limit.at_least:
            continue
        chance = poisson_tail(count, limit.times * expected)
        if chance < level:
            begin_s = subject.start_s + place * _HOUR_S
            return Sign(
                [call for call in subject.calls if begin_s <= call.at_s < begin_s + _HOUR_S],
                Series(
                    subject.start_s,
                    _HOUR_S,
                    hours,
                    [
                        None if each is None else max(limit.at_least, least_poisson(limit.times * each, level))
                        for each in ordinary
                    ],
                ),
                chance * len(hours),
                {"count": count, "time": _clock(begin_s), "usual": _number(expected), "times": _number(limit.times)},
            )
    return None


def licence_surge(subject: Subject, limits: Limits) -> Sign | None:
    """A sign that the licence has many more calls on this day than on the days before."""
    limit = limits.licence_surge
    past = list(subject.past)[-limit.past_days :]
    with_calls = [
        count for count in past if count
    ]  # an office that is closed on weekends is compared with its own workdays
    count = len(subject.calls)
    if len(with_calls) < limit.days_at_least or count < limit.at_least:
        return None
    expected = max(usual(with_calls), limit.usual_per_day)
    chance = poisson_tail(count, limit.times * expected)
    if chance >= limits.false_alarm:
        return None
    least = max(limit.at_least, least_poisson(limit.times * expected, limits.false_alarm))
    series = Series(subject.start_s - len(past) * _DAY_S, _DAY_S, [*past, count], [least] * (len(past) + 1))
    return Sign(
        list(subject.calls),
        series,
        chance,
        {"count": count, "days": len(with_calls), "usual": _number(expected), "times": _number(limit.times)},
    )


RULES: Final = (
    Rule(
        "short-calls", template("many short calls"), Grouping.NUMBER, lambda limits: limits.short_calls, short_calls,
        template("{count} of {of} connected calls within {minutes} minutes from {time} lasted less than {below_s} s; "
                 "up to {usual} are usual"),
    ),
    Rule(
        "many-called", template("many called numbers"), Grouping.NUMBER, lambda limits: limits.many_called, many_called,
        template("{count} different numbers were called within an hour from {time}; up to {usual} are usual"),
        of_volume=True,
    ),
    Rule(
        "pings", template("calls that ring briefly"), Grouping.NUMBER, lambda limits: limits.pings, pings,
        template("the caller ended {count} of {of} calls within {minutes} minutes from {time} after less than "
                 "{below_s} s, before an answer; up to {usual} are usual"),
    ),
    Rule(
        "refusals", template("repeated refusals"), Grouping.NUMBER, lambda limits: limits.refusals, refusals,
        template("{count} outgoing calls of this number were refused from {time} on; up to {usual} a day are usual"),
    ),
    Rule(
        "after-suspension", template("another number after a suspension"), Grouping.PARTY,
        lambda limits: limits.after_suspension, after_suspension,
        template("a call of this party at {time} had a suspended number; {count} later calls of the party had other "
                 "numbers, {numbers} in all"),
    ),
    Rule(
        "rotation", template("numbers in turns"), Grouping.PARTY, lambda limits: limits.rotation, rotation,
        template("this party had {count} calls with {numbers} forwarding numbers from {time} on, in an order that "
                 "is improbable by chance"),
    ),
    Rule(
        "night-abroad", template("calls abroad at night"), Grouping.NUMBER, lambda limits: limits.night_abroad,
        night_abroad,
        template("{count} of the number's {calls} calls went between {from_hour}:00 and {until_hour}:00 to numbers "
                 "that are mostly abroad; up to {usual} are usual"),
    ),
    Rule(
        "number-surge", template("sudden change of a number"), Grouping.NUMBER, lambda limits: limits.number_surge,
        number_surge,
        template("{count} calls in the hour from {time}; the hours before it usually had up to {usual}, and {times} "
                 "times that is still ordinary"),
        of_volume=True,
    ),
    Rule(
        "licence-surge", template("sudden change of a licence"), Grouping.LICENCE, lambda limits: limits.licence_surge,
        licence_surge,
        template("{count} calls of this licence on one day; the {days} days with calls before it usually had up to "
                 "{usual}, and {times} times that is still ordinary"),
    ),
)  # fmt: skip
"""All rules, in the order in which a day's findings are listed."""


def grouping_key(call: CallOutline, grouping: Grouping) -> str | None:
    """The number, party or licence that a call belongs to, or None if it is unknown."""
    match grouping:
        case Grouping.NUMBER:
            return call.forwarding
        case Grouping.PARTY:
            return call.caller if call.direction == Direction.OUTGOING else call.called
        case Grouping.LICENCE:
            return call.licence


def sign_reason(rule: Rule, sign: Sign) -> Message:
    """The sentence about a sign, from the rule's template."""
    return Message(rule.reason, **sign.fields)


def _too_many_of(
    subject: Subject,
    calls: Sequence[CallOutline],
    wanted: Sequence[bool],
    minutes: int,
    share: float,
    at_least: int,
    false_alarm: float,
    fields: Mapping[str, float],
) -> Sign | None:
    """A sign for the window whose count of `wanted` calls is the least probable.

    Returns None if no window is improbable enough.
    """
    width_s, level = minutes * _MINUTE_S, level_per_window(false_alarm, len(calls))
    if sum(wanted) < at_least:
        return None
    candidates = [each for each in windows(calls, wanted, width_s) if each.counted >= at_least]
    if not candidates:
        return None
    best = min(candidates, key=lambda each: binomial_tail(each.counted, each.end - each.first, share))
    of = best.end - best.first
    chance = binomial_tail(best.counted, of, share)
    if chance >= level:
        return None
    inside = zip(calls[best.first : best.end], wanted[best.first : best.end], strict=True)
    found = [call for call, is_wanted in inside if is_wanted]
    those = [call for call, is_wanted in zip(calls, wanted, strict=True) if is_wanted]
    start_s = aligned_start(subject.start_s, calls[best.first].at_s, width_s)
    every = [len(each) for each in split_into_intervals(start_s, calls, width_s)]
    counts = [len(each) for each in split_into_intervals(start_s, those, width_s)]
    counts += [0] * (len(every) - len(counts))
    limits = [max(at_least, least_binomial(each, share, level)) for each in every]
    return Sign(
        found, Series(start_s, width_s, counts, limits), chance * len(calls),
        {
            "count": best.counted, "of": of, "minutes": minutes, "time": _clock(calls[best.first].at_s),
            "usual": _percent(share), **{name: _number(value) for name, value in fields.items()},
        },
    )  # fmt: skip


def _is_ping(call: CallOutline, below_s: float) -> bool:
    return (
        call.status == CallStatus.CANCEL
        and call.connected_s is None
        and call.ended_s is not None
        and call.ended_s - call.at_s < below_s
    )


def _is_night(at_s: float, from_hour: int, until_hour: int) -> bool:
    hour = datetime.fromtimestamp(at_s, JAPAN).hour
    if from_hour < until_hour:
        return from_hour <= hour < until_hour
    return hour >= from_hour or hour < until_hour


def _clock(at_s: float) -> str:
    """Hours and minutes in Japan time."""
    return f"{datetime.fromtimestamp(at_s, UTC).astimezone(JAPAN):%H:%M}"


def _percent(share: float) -> str:
    return f"{share:.3g}" if share < 0.01 else f"{100 * share:.3g} %"


def _number(value: float) -> str:
    return f"{value:.4g}"
