"""Chooses the member that the office asks next about a reported call.

The office first asks the holder of the number. If a member names another as upstream, that member is asked next. A
chain ends if it returns to a member or grows too long. If several members held the number within the time span of the
call and a chain ended without a customer, the office asks the next of these holders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idtone.member.reports.report_documents import AnswerResult


class Finding(StrEnum):
    """Ways in which the chain of asked members can end."""

    CUSTOMER_HELD = "customer-held"
    NOT_OURS = "not-ours"
    LOOP = "loop"
    """A member named another that had already been asked."""
    TOO_LONG = "too-long"
    NO_HOLDER = "no-holder"
    """No member held the number."""
    NO_NUMBER = "no-number"
    """The report is about an operator or a service, so there is no number to ask about."""


class Stage(StrEnum):
    """Stages of a report, named after whoever must act."""

    MEMBER = "member"
    """A member has to answer."""
    OFFICE = "office"
    """The chain of members has ended, so the office has to close the report."""
    CLOSED = "closed"


class ReportResult(StrEnum):
    """Results with which the office can close a report."""

    TRACED = "traced"
    """The member whose customer made the call is known."""
    OPEN = "open"
    """The origin of the call could not be found."""
    UNFOUNDED = "unfounded"
    """There was no such call, or nothing was wrong with it."""
    EXAMINED = "examined"
    """The office has examined the report about an operator or a service."""


CALL_RESULTS: Final = (ReportResult.TRACED, ReportResult.OPEN, ReportResult.UNFOUNDED)
SERVICE_RESULTS: Final = (ReportResult.EXAMINED, ReportResult.UNFOUNDED)
"""Possible results of a report without a number. Only a number leads to a call's origin."""


@dataclass(frozen=True, slots=True)
class Next:
    """Next member to ask about a reported call, or the finding with which the chain ends."""

    member: str | None = None
    finding: Finding | None = None

    @property
    def stage(self) -> Stage:
        return Stage.MEMBER if self.member else Stage.OFFICE


def first_request(holders: Sequence[str]) -> Next:
    """First member to ask, chosen from the number's holders."""
    return Next(member=holders[0]) if holders else Next(finding=Finding.NO_HOLDER)


def next_request(
    asked: Sequence[str], result: AnswerResult, upstream: str | None, most: int, holders: Sequence[str] = ()
) -> Next:
    """Next step after the last member in `asked` has answered.

    At most `most` members are asked. `holders` held the number within the time span of the call.
    """
    if result is AnswerResult.CUSTOMER_HELD:
        return Next(finding=Finding.CUSTOMER_HELD)
    if result is AnswerResult.NOT_OURS:
        left = [holder for holder in holders if holder not in asked]
        return Next(member=left[0]) if left and len(asked) < most else Next(finding=Finding.NOT_OURS)
    if upstream in asked:
        return Next(finding=Finding.LOOP)
    if len(asked) >= most:
        return Next(finding=Finding.TOO_LONG)
    return Next(member=upstream)
