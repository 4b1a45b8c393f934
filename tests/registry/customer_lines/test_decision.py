"""The decision asks the table of lines at the right place in its order."""

from dataclasses import replace
from datetime import datetime

import pytest

from idtone.core.calls import Direction, ForwardedCall, Outcome, Reason
from idtone.core.decision import NOTHING_REMEMBERED, LedgerFull, Unlicensed, Unreadable, decide
from idtone.core.numbers import MALFORMED, WITHHELD, parse
from lab.core.fake_registry import (
    FOREIGN,
    HELD,
    NOW,
    FakeRegistry,
    call,
    never_originating_registry,
    own_policy,
    stopped_registry,
)

OUTGOING = Direction.OUTGOING
POLICE = parse("110")
REASONS = [Reason.NUMBER_OF_ANOTHER_CUSTOMER, Reason.LINE_UNKNOWN, Reason.LINES_MISSING]
LENIENT = own_policy(
    unreadable=Unreadable.NOTICE,
    foreign_numbers=Unlicensed.NOTICE,
    unknown_numbers=Unlicensed.NOTICE,
    ledger_full=LedgerFull.NOTICE_AND_CONNECT,
    refuse_cause=34,
)


class FakeLines:
    """A table that gives each outgoing call the same answer. The call belongs to the customer c-7."""

    def __init__(self, reason: Reason | None) -> None:
        self.reason = reason

    def presentation(self, call: ForwardedCall, now: datetime) -> tuple[Reason | None, str | None]:
        return (None if call.direction is Direction.INCOMING else self.reason), "c-7"


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("number", [HELD, FOREIGN, parse("0399999999"), parse("+12125551234")], ids=repr)
@pytest.mark.parametrize("registry", [FakeRegistry(), None], ids=["registry", "none"])
def test_a_number_that_is_not_the_lines_own_is_refused_whatever_its_licence(reason, number, registry):
    for full in (False, True):
        decision = decide(call(number, OUTGOING), registry, LENIENT, NOW, NOTHING_REMEMBERED, full, FakeLines(reason))
        assert (decision.outcome, decision.reason, decision.customer) == (Outcome.REFUSE, reason, "c-7")
        assert (decision.hangup_cause, decision.profiles, decision.licence) == (34, {}, None)


@pytest.mark.parametrize("reason", [*REASONS, None])
@pytest.mark.parametrize(
    ("asked", "registry", "outcome", "expected"),
    [
        (call(HELD, OUTGOING, POLICE), stopped_registry(NOW), Outcome.BYPASS, Reason.EMERGENCY),
        (call(HELD, OUTGOING), stopped_registry(NOW), Outcome.REFUSE, Reason.NUMBER_SUSPENDED),
        (call(HELD, OUTGOING), never_originating_registry(HELD), Outcome.REFUSE, Reason.NUMBER_NEVER_ORIGINATES),
        (call(HELD), FakeRegistry(), Outcome.PLAY, Reason.LICENCE_VALID),
        (call(WITHHELD, OUTGOING), FakeRegistry(), Outcome.REFUSE, Reason.NUMBER_WITHHELD),
        (call(MALFORMED, OUTGOING), FakeRegistry(), Outcome.REFUSE, Reason.NUMBER_MALFORMED),
        (replace(call(MALFORMED, OUTGOING), perhaps=HELD), FakeRegistry(), Outcome.REFUSE, Reason.NUMBER_MALFORMED),
        (call(POLICE, OUTGOING), FakeRegistry(), Outcome.REFUSE, Reason.NUMBER_MALFORMED),
        (call(WITHHELD), FakeRegistry(), Outcome.NOTICE, Reason.NUMBER_WITHHELD),
    ],
)
def test_what_comes_before_the_table_and_what_it_does_not_concern(asked, registry, outcome, expected, reason):
    """An unreadable number belongs to no line, so `policy.unreadable: notice` does not help an outgoing call."""
    decision = decide(asked, registry, LENIENT, NOW, lines=FakeLines(reason))
    assert (decision.outcome, decision.reason) == (outcome, expected)
    assert decision.customer == (None if outcome is Outcome.BYPASS else "c-7")


@pytest.mark.parametrize("unlicensed", Unlicensed)
def test_a_lines_own_number_goes_on_to_its_licence(unlicensed):
    for number in (HELD, FOREIGN):
        asked, policy = call(number, OUTGOING), own_policy(unlicensed=unlicensed)
        alone = decide(asked, FakeRegistry(), policy, NOW)
        assert decide(asked, FakeRegistry(), policy, NOW, lines=FakeLines(None)) == alone._replace(customer="c-7")


@pytest.mark.parametrize("number", [FOREIGN, parse("0399999999")], ids=["foreign", "unknown"])
def test_a_number_that_is_not_this_nodes_is_refused_as_such(number):
    asked = call(number, OUTGOING)
    alone = decide(asked, FakeRegistry(), own_policy(), NOW)
    assert alone.reason in {Reason.NUMBER_OF_ANOTHER_MEMBER, Reason.NUMBER_UNKNOWN}
    for reason in REASONS:
        assert decide(asked, FakeRegistry(), own_policy(), NOW, lines=FakeLines(reason)).reason is alone.reason
