"""The rules' findings for each day in a ledger, with stable ids."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final

from idtone.core.errors import UsageError
from idtone.core.misuse_limits import Limits
from idtone.core.translation import Message
from idtone.ledger.evidence.call_outline import CallOutline, OutlinedDay
from idtone.ledger.evidence.call_record import iso_ms
from idtone.ledger.evidence.steps import Step

from .call_windows import Sign, Subject
from .rules import RULES, Grouping, Rule, grouping_key, sign_reason

REVIEWED: Final = "misuse-reviewed"
"""Name of the ledger act that records a finding's review."""
CALLS_SHOWN: Final = 1000
"""Maximum number of call ids in a finding's JSON, whose `calls` counts all calls."""
_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_TOKEN_SHOWN: Final = 8
_ID: Final = re.compile(r"(\d{4}-\d\d-\d\d)-([a-z]+(?:-[a-z]+)*)-([0-9a-f]{10})", re.ASCII)


class ReviewResult(StrEnum):
    """Results of a review."""

    HARMLESS = "harmless"
    """The calls have an ordinary explanation."""
    ASKED = "asked"
    """The customer was asked and has not answered yet."""
    REPORTED = "reported"
    """The misuse was reported to the police or the association."""
    STOPPED = "stopped"
    """The contract was ended or the number was stopped."""


class FindingState(StrEnum):
    NEW = "new"
    GROWN = "grown"
    """The finding has more calls than when it was reviewed."""
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True)
class Review:
    """A person's review of a finding. `calls` is how many calls the finding had at that time."""

    at: datetime
    by: str
    result: str
    why: str
    calls: int

    def to_json(self) -> dict[str, Any]:
        return {"at": iso_ms(self.at), "by": self.by, "result": self.result, "why": self.why, "calls": self.calls}


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's finding on one node for one day (UTC). `subject` is a licence or a number's token.

    Rule, day, node and subject identify a finding. Its id (`finding_id`) therefore stays the same if limits change or
    the day gets more calls.
    """

    id: str
    rule: Rule
    node: str
    day: str
    subject: str
    sign: Sign
    review: Review | None = None

    @property
    def state(self) -> FindingState:
        if self.review is None:
            return FindingState.NEW
        return FindingState.GROWN if len(self.sign.calls) > self.review.calls else FindingState.REVIEWED

    @property
    def reason(self) -> Message:
        return sign_reason(self.rule, self.sign)

    @property
    def shown_subject(self) -> str:
        """The licence or the first digits of a token, which identifies a number only on that day."""
        return self.subject if self.rule.grouping is Grouping.LICENCE else self.subject[:_TOKEN_SHOWN]

    @property
    def first(self) -> datetime:
        """Time at which the first call was decided, in UTC."""
        return datetime.fromtimestamp(self.sign.calls[0].at_s, UTC)

    @property
    def last(self) -> datetime:
        return datetime.fromtimestamp(self.sign.calls[-1].at_s, UTC)

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON, with times in UTC and the reason in English.

        Includes the ids of the first `CALLS_SHOWN` calls.
        """
        return {
            "id": self.id,
            "state": self.state,
            "rule": self.rule.name,
            "node": self.node,
            "day": self.day,
            "grouping": self.rule.grouping,
            "subject": self.subject,
            "first": iso_ms(self.first),
            "last": iso_ms(self.last),
            "calls": len(self.sign.calls),
            "chance": self.sign.chance,
            "reason": self.reason,
            "call_ids": [call.call_id for call in self.sign.calls[:CALLS_SHOWN]],
            "review": self.review.to_json() if self.review else None,
        }


class DayJudge:
    """Evaluates one node's days in order and keeps earlier call counts for each licence."""

    def __init__(
        self,
        node: str,
        limits: Limits,
        reviews: Mapping[str, Review],
        rules: Sequence[Rule] = RULES,
        expected: Callable[[str], frozenset[str]] = lambda day: frozenset(),
    ) -> None:
        """`reviews` maps finding ids to reviews.

        `expected` returns the tokens that exempt numbers have on a given day. Rules with `of_volume` skip them.
        """
        self._expected = expected
        self._node = node
        self._limits = limits
        self._reviews = reviews
        self._rules = [rule for rule in rules if rule.limits(limits).enabled]
        self._past: dict[str, dict[int, int]] = {}
        """Numbers of calls by licence and day (`date.toordinal`)."""

    def day(self, outlined: OutlinedDay) -> Iterator[Finding]:
        """Yield a day's findings in the order of the rules."""
        today = date.fromisoformat(outlined.day).toordinal()
        start_s = (today - _EPOCH) * _DAY_S
        expected = self._expected(outlined.day)
        groups = {grouping: _grouped(outlined.calls, grouping) for grouping in Grouping}
        for rule in self._rules:
            at_least = rule.limits(self._limits).at_least
            for key, calls in groups[rule.grouping].items():
                if len(calls) < at_least or (rule.of_volume and key in expected):
                    continue
                past = self._before(key, today) if rule.grouping is Grouping.LICENCE else ()
                if sign := rule.judge(Subject(start_s, calls, past), self._limits):
                    name = finding_id(rule, self._node, outlined.day, key)
                    yield Finding(name, rule, self._node, outlined.day, key, sign, self._reviews.get(name))
        for licence, calls in groups[Grouping.LICENCE].items():
            self._past.setdefault(licence, {})[today] = len(calls)

    def _before(self, licence: str, today: int) -> list[int]:
        counts = self._past.get(licence, {})
        return [counts.get(day, 0) for day in range(today - self._limits.licence_surge.past_days, today)]


def _grouped(calls: Iterable[CallOutline], grouping: Grouping) -> dict[str, list[CallOutline]]:
    groups: defaultdict[str, list[CallOutline]] = defaultdict(list)
    for call in calls:
        if key := grouping_key(call, grouping):
            groups[key].append(call)
    return groups


def finding_id(rule: Rule, node: str, day: str, subject: str) -> str:
    """A finding's id, for example `2026-11-26-pings-0123456789`."""
    named = "\n".join((rule.name, node, day, subject))
    return f"{day}-{rule.name}-{hashlib.sha256(named.encode()).hexdigest()[:10]}"


def parse_finding_id(text: str) -> tuple[str, Rule]:
    """The day and rule in a finding's id. Raises UsageError if the text is not one."""
    match = _ID.fullmatch(text)
    rule = next((rule for rule in RULES if match and rule.name == match[2]), None)
    try:
        if match and rule:
            return date.fromisoformat(match[1]).isoformat(), rule
    except ValueError:
        pass
    raise UsageError("{text!r} is not the id of a finding; `idtone-office misuse scan` shows the ids", text=text[:100])


def reviews_in(acts: Iterable[Step]) -> dict[str, Review]:
    """Each finding's latest review by finding id, from a ledger's acts."""
    found = {}
    for act in acts:
        details = act.details
        calls = details.get("calls")
        if details.get("act") == REVIEWED and isinstance(calls, int):
            found[str(details.get("subject"))] = Review(
                act.at, str(details.get("by")), str(details.get("result")), str(details.get("why")), calls
            )
    return found
