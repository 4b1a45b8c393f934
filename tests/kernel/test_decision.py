"""The decision: every outcome with every reason, and the moments at which it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.calls import (
    Decision,
    Direction,
    Licence,
    LicenceStatus,
    Outcome,
    Party,
    Reason,
    Suspension,
    Trust,
    WholesaleChain,
)
from idtone.decision import LedgerFull, Policy, Unlicensed, Unreadable, decide, judge, time_by
from idtone.numbers import MALFORMED, WITHHELD, parse

from .deciding import BARE, DAY, EXPIRED, HELD, JST, LICENCE, NOW, SECOND, FakeRegistry, call, stopped

UNKNOWN = parse("0399999999")
ABROAD = parse("+12125551234")
POLICE = parse("110")

REVOKED = replace(LICENCE, id="L-revoked", status=LicenceStatus.REVOKED)
SUSPENDED = replace(LICENCE, id="L-suspended", status=LicenceStatus.SUSPENDED)
EARLY = replace(LICENCE, id="L-early", valid_from=NOW + SECOND)
OUTGOING = replace(LICENCE, id="L-outgoing", directions=frozenset({Direction.OUTGOING}))
UNPLEDGED = replace(LICENCE, id="L-unpledged", pledged_from=None)

CHECKED = WholesaleChain(("m-9", "m-1"), (NOW,))
UNCHECKED = WholesaleChain(("m-9", "m-8", "m-1"), (NOW - DAY, None))
EARLY_CHECK = WholesaleChain(("m-9", "m-1"), (NOW + SECOND,))

NOTICE_POLICY = Policy()
REFUSE_POLICY = Policy(unlicensed=Unlicensed.REFUSE, refuse_cause=34)
STALE = FakeRegistry(expires=NOW)

ALWAYS_REFUSED = {Reason.NUMBER_SUSPENDED, Reason.NUMBER_MALFORMED, Reason.NUMBER_WITHHELD}
TABLE = [
    # call, registry, reason, judged licence; the test derives the outcome from the policy
    (call(), FakeRegistry(), Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([EXPIRED]), Reason.LICENCE_EXPIRED, "L-expired"),
    (call(), FakeRegistry([REVOKED]), Reason.LICENCE_REVOKED, "L-revoked"),
    (call(), FakeRegistry([SUSPENDED]), Reason.LICENCE_SUSPENDED, "L-suspended"),
    (call(), FakeRegistry([EARLY]), Reason.LICENCE_NOT_YET_VALID, "L-early"),
    (call(), FakeRegistry([UNPLEDGED]), Reason.PLEDGE_MISSING, "L-unpledged"),
    (call(), FakeRegistry([replace(LICENCE, pledged_from=NOW + SECOND)]), Reason.PLEDGE_MISSING, "L-1"),
    (call(), FakeRegistry([replace(LICENCE, pledged_from=NOW)]), Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([replace(LICENCE, pledged_until=NOW)]), Reason.PLEDGE_MISSING, "L-1"),
    (call(), FakeRegistry([replace(LICENCE, pledged_until=NOW + SECOND)]), Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([OUTGOING]), Reason.DIRECTION_NOT_COVERED, "L-outgoing"),
    (call(direction=Direction.OUTGOING), FakeRegistry([OUTGOING]), Reason.LICENCE_VALID, "L-outgoing"),
    (call(), FakeRegistry(chain=CHECKED), Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([EXPIRED], chain=CHECKED), Reason.LICENCE_EXPIRED, "L-expired"),
    (call(), FakeRegistry(chain=UNCHECKED), Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry(chain=EARLY_CHECK), Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry([REVOKED], chain=UNCHECKED), Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry(chain=UNCHECKED, expires=NOW), Reason.REGISTRY_STALE, None),
    (call(), stopped(NOW, chain=UNCHECKED), Reason.NUMBER_SUSPENDED, None),
    (call(BARE), FakeRegistry(), Reason.LICENCE_NONE, None),
    (call(UNKNOWN), FakeRegistry(), Reason.NUMBER_UNKNOWN, None),
    (call(ABROAD), FakeRegistry(), Reason.NUMBER_UNKNOWN, None),
    (call(POLICE), FakeRegistry(), Reason.NUMBER_MALFORMED, None),
    (call(WITHHELD), FakeRegistry(), Reason.NUMBER_WITHHELD, None),
    (call(MALFORMED), FakeRegistry(), Reason.NUMBER_MALFORMED, None),
    (call(WITHHELD), STALE, Reason.NUMBER_WITHHELD, None),
    (call(), STALE, Reason.REGISTRY_STALE, None),
    (call(UNKNOWN), STALE, Reason.REGISTRY_STALE, None),
    (call(), None, Reason.REGISTRY_MISSING, None),
    (call(MALFORMED), None, Reason.NUMBER_MALFORMED, None),
    (call(WITHHELD), stopped(NOW), Reason.NUMBER_WITHHELD, None),
    (call(), stopped(NOW), Reason.NUMBER_SUSPENDED, None),
    (call(UNKNOWN), stopped(NOW, UNKNOWN), Reason.NUMBER_SUSPENDED, None),
    (call(), stopped(NOW, expires=NOW - DAY), Reason.NUMBER_SUSPENDED, None),
    (call(called=MALFORMED), FakeRegistry(), Reason.LICENCE_VALID, "L-1"),
    (call(called=WITHHELD), FakeRegistry(), Reason.LICENCE_VALID, "L-1"),
    (call(called=POLICE), FakeRegistry(), Reason.EMERGENCY, None),
    (call(called=POLICE), None, Reason.EMERGENCY, None),
    (call(called=POLICE), stopped(NOW), Reason.EMERGENCY, None),
    (call(MALFORMED, called=parse("184119")), STALE, Reason.EMERGENCY, None),
]


@pytest.mark.parametrize("policy", [NOTICE_POLICY, REFUSE_POLICY], ids=["notice", "refuse"])
def test_the_table(policy):
    for asked, registry, reason, licence in TABLE:
        version = registry.version if registry else None
        if reason is Reason.EMERGENCY:
            expected = Decision(Outcome.BYPASS, reason)
        elif reason is Reason.LICENCE_VALID:
            expected = Decision(Outcome.PLAY, reason, licence, {Party.CALLED: "sample"}, version)
        elif reason in ALWAYS_REFUSED or policy is REFUSE_POLICY:
            expected = Decision(Outcome.REFUSE, reason, licence, {}, version, policy.refuse_cause)
        else:
            expected = Decision(Outcome.NOTICE, reason, licence, {Party.CALLED: "notice"}, version)
        if registry and reason is not Reason.EMERGENCY:
            member = {HELD: "m-1", BARE: "m-2"}.get(asked.forwarding_number)
            chain = str(registry.chain) if registry.chain and member == "m-1" else None
            expected = expected._replace(registry_trust=Trust.SIGNED, member=member, wholesale_chain=chain)
        assert decide(asked, registry, policy, NOW) == expected, (asked, registry)


def test_a_number_that_cannot_be_read_is_refused_unless_the_policy_says_otherwise():
    """Also without a registry, and with one that has expired."""
    for number, reason in ((MALFORMED, Reason.NUMBER_MALFORMED), (WITHHELD, Reason.NUMBER_WITHHELD)):
        for registry in (FakeRegistry(), STALE, None):
            refused = decide(call(number), registry, Policy(refuse_cause=34), NOW)
            assert (refused.outcome, refused.reason, refused.hangup_cause) == (Outcome.REFUSE, reason, 34)
            heard = decide(call(number), registry, Policy(unreadable=Unreadable.NOTICE), NOW)
            assert heard.outcome is Outcome.NOTICE
            assert heard.reason is (reason if registry else Reason.REGISTRY_MISSING)
        assert decide(call(number, called=POLICE), None, Policy(), NOW).outcome is Outcome.BYPASS


def test_only_an_emergency_call_passes_not_each_call_of_an_emergency_number():
    """An extension 110, or a ring group with one of that name, is no emergency call."""
    assert (
        decide(replace(call(called=POLICE), emergency=False), stopped(NOW), NOTICE_POLICY, NOW).outcome
        is Outcome.REFUSE
    )
    assert decide(replace(call(), emergency=True), stopped(NOW), NOTICE_POLICY, NOW).outcome is Outcome.BYPASS


def test_the_brake_refuses_what_is_not_refused_before_it_and_never_an_emergency_call():
    policy = Policy(unreadable=Unreadable.REFUSE, refuse_cause=34)
    before = {Reason.EMERGENCY, Reason.NUMBER_SUSPENDED, Reason.NUMBER_WITHHELD, Reason.NUMBER_MALFORMED}
    for asked, registry, reason, _ in TABLE:
        for braked, cause in ((Reason.BRAKE_STOP, 34), (Reason.BRAKE_SLOW, 42)):
            decision = decide(asked, registry, policy, NOW, braked=braked)
            if reason in before:
                assert decision == decide(asked, registry, policy, NOW), (asked, registry)
            else:
                refused = (decision.outcome, decision.reason, decision.hangup_cause, dict(decision.profiles))
                assert refused == (Outcome.REFUSE, braked, cause, {}), (asked, registry)


def test_the_table_has_every_reason_that_the_kernel_gives():
    others = {
        Reason.SERVICE_UNAVAILABLE, Reason.CALL_ID_UNREADABLE, Reason.SUSPENSIONS_UNKNOWN, Reason.OVERLOAD,
        Reason.LEDGER_FULL, Reason.BRAKE_STOP, Reason.BRAKE_SLOW,
    }  # fmt: skip
    assert {reason for _, _, reason, _ in TABLE} == set(Reason) - others


@pytest.mark.parametrize("unlicensed", Unlicensed)
@pytest.mark.parametrize("full", LedgerFull)
def test_while_the_ledger_is_full(unlicensed, full):
    """A call that would not be connected keeps its reason, and no call gets a licensed sound."""
    policy = Policy(unlicensed=unlicensed, ledger_full=full, refuse_cause=34)
    for asked, registry, _, licence in TABLE:
        expected = decide(asked, registry, policy, NOW)
        if expected.outcome not in (Outcome.BYPASS, Outcome.REFUSE):
            outcome, profiles, cause = (
                (Outcome.REFUSE, {}, 34)
                if full is LedgerFull.REFUSE
                else (Outcome.NOTICE, {Party.CALLED: "notice"}, None)
            )
            expected = expected._replace(
                outcome=outcome, reason=Reason.LEDGER_FULL, profiles=profiles, hangup_cause=cause
            )
        decision = decide(asked, registry, policy, NOW, ledger_full=True)
        assert decision == expected, (asked, registry)
        assert decision.licence == licence


@pytest.mark.parametrize("zone", [UTC, JST, timezone(timedelta(hours=-12))], ids=str)
def test_a_licence_begins_at_from_and_ends_just_before_until(zone):
    registry = FakeRegistry(expires=datetime(2030, 1, 1, tzinfo=UTC))
    first, end = LICENCE.valid_from, LICENCE.valid_until
    for moment, reason in (
        (first - SECOND, Reason.LICENCE_NOT_YET_VALID),
        (first, Reason.LICENCE_VALID),
        (end - SECOND, Reason.LICENCE_VALID),
        (end, Reason.LICENCE_EXPIRED),
        (end + SECOND, Reason.LICENCE_EXPIRED),
    ):
        decision = decide(call(), registry, NOTICE_POLICY, moment.astimezone(zone))
        assert decision.reason is reason, moment
        assert decision.outcome is (Outcome.PLAY if reason is Reason.LICENCE_VALID else Outcome.NOTICE)


def test_of_several_licences_the_closest_to_valid_gives_the_reason():
    for licences, reason, licence in (
        ([EXPIRED, LICENCE], Reason.LICENCE_VALID, "L-1"),
        ([LICENCE, EXPIRED], Reason.LICENCE_VALID, "L-1"),
        ([REVOKED, LICENCE], Reason.LICENCE_VALID, "L-1"),
        ([LICENCE, replace(LICENCE, id="L-2")], Reason.LICENCE_VALID, "L-1"),
        ([REVOKED, EARLY, EXPIRED, SUSPENDED, OUTGOING], Reason.DIRECTION_NOT_COVERED, "L-outgoing"),
        ([REVOKED, EARLY, EXPIRED, SUSPENDED, UNPLEDGED], Reason.PLEDGE_MISSING, "L-unpledged"),
        ([REVOKED, EARLY, EXPIRED, SUSPENDED], Reason.LICENCE_SUSPENDED, "L-suspended"),
        ([REVOKED, EARLY, EXPIRED], Reason.LICENCE_EXPIRED, "L-expired"),
        ([REVOKED, EARLY], Reason.LICENCE_NOT_YET_VALID, "L-early"),
    ):
        decision = decide(call(), FakeRegistry(licences), NOTICE_POLICY, NOW)
        assert (decision.reason, decision.licence) == (reason, licence), licences


def test_of_several_objections_the_first_rule_gives_the_reason():
    for licence, status, reason in (
        (EXPIRED, LicenceStatus.REVOKED, Reason.LICENCE_REVOKED),
        (EARLY, LicenceStatus.REVOKED, Reason.LICENCE_REVOKED),
        (EXPIRED, LicenceStatus.SUSPENDED, Reason.LICENCE_EXPIRED),
        (EARLY, LicenceStatus.SUSPENDED, Reason.LICENCE_NOT_YET_VALID),
        (OUTGOING, LicenceStatus.SUSPENDED, Reason.LICENCE_SUSPENDED),
        (UNPLEDGED, LicenceStatus.SUSPENDED, Reason.LICENCE_SUSPENDED),
        (replace(OUTGOING, pledged_from=None), LicenceStatus.ACTIVE, Reason.PLEDGE_MISSING),
    ):
        assert judge(replace(licence, status=status), Direction.INCOMING, NOW) is reason, (licence, status)


def test_an_unchecked_chain_is_refused_where_either_policy_refuses():
    for unlicensed, unchecked in product(Unlicensed, repeat=2):
        policy = Policy(unlicensed=unlicensed, unchecked_chain=unchecked)
        decision = decide(call(), FakeRegistry(chain=UNCHECKED), policy, NOW)
        refused = Unlicensed.REFUSE in (unlicensed, unchecked)
        assert decision.outcome is (Outcome.REFUSE if refused else Outcome.NOTICE)
        assert (decision.reason, decision.member) == (Reason.CHAIN_UNCHECKED, "m-1")
        assert decision.wholesale_chain == "m-9>m-8>m-1"
        full = decide(call(), FakeRegistry(chain=UNCHECKED), policy, NOW, ledger_full=True)
        assert full.reason is (Reason.CHAIN_UNCHECKED if refused else Reason.LEDGER_FULL)
        assert decide(call(), FakeRegistry([EXPIRED]), policy, NOW).reason is Reason.LICENCE_EXPIRED, "another reason"


def test_a_check_counts_as_long_as_the_policy_says():
    chain = WholesaleChain(("m-9", "m-8", "m-1"), (NOW - 10 * DAY, NOW - DAY))
    registry = FakeRegistry(chain=chain)
    for lasts, moment, counts in (
        (None, NOW + 99 * DAY, False),  # by then the registry has expired
        (None, NOW + 9 * DAY, True),
        (20 * DAY, NOW + 10 * DAY - SECOND, True),
        (20 * DAY, NOW + 10 * DAY, False),
        (None, NOW - DAY - SECOND, False),
        (None, NOW - DAY, True),
    ):
        decision = decide(call(), registry, Policy(chain_check=lasts), moment)
        assert (decision.outcome is Outcome.PLAY) == counts, (lasts, moment)


def test_a_registry_counts_until_its_grace_is_over():
    registry = FakeRegistry(expires=NOW)
    for grace in (timedelta(0), SECOND, timedelta(hours=12), timedelta(days=30)):
        policy = Policy(registry_stale=grace)
        assert decide(call(), registry, policy, NOW + grace - SECOND).outcome is Outcome.PLAY, grace
        assert decide(call(), registry, policy, NOW + grace).reason is Reason.REGISTRY_STALE, grace
    endless = FakeRegistry(expires=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert decide(call(), endless, Policy(registry_stale=30 * DAY), NOW).outcome is Outcome.PLAY


def test_a_suspension_starts_at_since_and_outlives_the_registry():
    for grace in (timedelta(0), timedelta(days=30)):
        policy = Policy(registry_stale=grace)
        assert decide(call(), stopped(NOW), policy, NOW - SECOND).outcome is Outcome.PLAY
        for later in (timedelta(0), SECOND, 4000 * DAY):
            assert decide(call(), stopped(NOW), policy, NOW + later).reason is Reason.NUMBER_SUSPENDED, later
    assert decide(call(called=UNKNOWN), stopped(NOW, UNKNOWN), NOTICE_POLICY, NOW).outcome is Outcome.PLAY, (
        "only the forwarding number counts"
    )


numbers = st.sampled_from([HELD, HELD, HELD, BARE, UNKNOWN, ABROAD, POLICE, WITHHELD, MALFORMED])
zones = st.sampled_from([UTC, JST, timezone(timedelta(hours=-5))])


def moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    """A few seconds around `NOW`, so that moments coincide."""
    return st.builds(lambda s, zone: (NOW + s * SECOND).astimezone(zone), st.integers(first, last), zones)


licences = st.builds(
    Licence,
    id=st.sampled_from(["L-1", "L-2", "L-3"]),
    member=st.just("m-1"),
    tone=st.just("sample"),
    status=st.sampled_from([LicenceStatus.ACTIVE, *LicenceStatus]),
    valid_from=moments(-3, 1),
    valid_until=moments(0, 4),
    directions=st.frozensets(st.sampled_from(Direction), min_size=1),
    pledged_from=st.one_of(moments(-3, 1), moments(-3, -2), st.none()),
    pledged_until=st.one_of(moments(0, 4), st.none()),
)
known = st.builds(
    FakeRegistry,
    held=st.lists(licences, min_size=1, max_size=3, unique_by=lambda licence: licence.id),
    expires=moments(-1, 6),
    chain=st.sampled_from([None, None, CHECKED, UNCHECKED, EARLY_CHECK]),
    stopped=st.dictionaries(
        numbers, st.builds(Suspension, since=moments(-2, 6), until=st.none() | moments(0, 6)), max_size=1
    ),
)
registries = st.one_of(known, known, known, st.none())
calls = st.builds(call, numbers, st.sampled_from(Direction), numbers)
policies = st.builds(
    Policy, unlicensed=st.sampled_from(Unlicensed), registry_stale=st.sampled_from([timedelta(0), SECOND, 2 * SECOND])
)


@given(calls, registries, policies, moments(-3, 5))
@settings(max_examples=200, deadline=None)
def test_what_must_never_happen(asked, registry, policy, now):
    decision = decide(asked, registry, policy, now)
    suspensions = registry.suspensions_of(asked.forwarding_number) if registry else []
    assert (decision.outcome is Outcome.BYPASS) == (asked.called is POLICE)
    if any(each.since <= now and (each.until is None or now < each.until) for each in suspensions):
        assert decision.outcome in {Outcome.REFUSE, Outcome.BYPASS}
    if decision.outcome is Outcome.PLAY:
        assert registry is not None
        holding = registry.holding(asked.forwarding_number)
        assert holding
        assert holding.chain is None or holding.chain.is_checked(now, None)
        [licence] = [held for held in holding.licences if held.id == decision.licence]
        assert licence.status is LicenceStatus.ACTIVE
        assert licence.valid_from <= now < licence.valid_until
        assert licence.pledged_from is not None
        assert licence.pledged_from <= now
        assert licence.pledged_until is None or now < licence.pledged_until
        assert asked.direction in licence.directions
        assert now < registry.expires + policy.registry_stale
        assert decision.profile == licence.tone
    else:
        assert decision.profile in {None, policy.notice_profile}
    assert (decision.hangup_cause is not None) == (decision.outcome is Outcome.REFUSE)
    assert bool(decision.parties) == (decision.outcome in {Outcome.PLAY, Outcome.NOTICE})


@pytest.mark.parametrize("pattern", ["81312345678", "8131234567x", "81312xxxxxx"])
@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (NOW - SECOND, Reason.REGISTRY_MISSING),
        (NOW, Reason.NUMBER_SUSPENDED),
        (NOW + DAY - SECOND, Reason.NUMBER_SUSPENDED),
        (NOW + DAY, Reason.REGISTRY_MISSING),
    ],
)
def test_remembered_suspensions_count_without_a_registry(pattern, moment, reason):
    remembered = {pattern: [Suspension(NOW, NOW + DAY)], "8131234568x": [Suspension(NOW - DAY)]}
    decision = decide(call(), None, Policy(), moment, remembered)
    assert decision.reason is reason
    assert (decision.outcome is Outcome.REFUSE) == (reason is Reason.NUMBER_SUSPENDED)
    assert decide(call(), FakeRegistry(), Policy(), moment, remembered).reason is Reason.LICENCE_VALID


@given(st.integers(1970, 2100), st.sampled_from([LICENCE, EARLY, EXPIRED, REVOKED]))
def test_setting_the_clock_back_makes_no_licence_valid(year, licence):
    """The signed registry says that it is not earlier than its issue."""
    registry = FakeRegistry([licence], expires=NOW + DAY, issued=NOW)
    by_the_clock = datetime(year, 6, 1, tzinfo=JST)
    decision = decide(call(), registry, NOTICE_POLICY, time_by(registry, by_the_clock))
    if by_the_clock < NOW:
        assert decision == decide(call(), registry, NOTICE_POLICY, NOW)
    if decision.outcome is Outcome.PLAY:
        assert licence.valid_from <= max(by_the_clock, NOW) < min(licence.valid_until, registry.expires)


def test_setting_the_clock_back_lifts_no_suspension():
    registry = stopped(NOW, issued=NOW)
    at = time_by(registry, NOW - 3650 * DAY)
    assert decide(call(), registry, NOTICE_POLICY, at).reason is Reason.NUMBER_SUSPENDED
