"""The decision: every outcome with every reason, and the moments at which it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.calls import (
    Decision,
    Direction,
    Licence,
    LicenceStatus,
    Outcome,
    Party,
    Period,
    Reason,
    Suspension,
    Trust,
    WholesaleChain,
)
from idtone.core.decision import (
    LedgerFull,
    NewerStops,
    Policy,
    Remembered,
    Unlicensed,
    Unreadable,
    decide,
    refused_by_brake,
    suspended,
    time_by,
)
from idtone.core.licence_standing import judge
from idtone.core.numbers import MALFORMED, WITHHELD, Number, parse
from lab.core.fake_registry import (
    DAY,
    EXPIRED,
    FOREIGN,
    HELD,
    JST,
    LICENCE,
    MEMBER,
    NOW,
    SECOND,
    FakeRegistry,
    call,
    never_originating_registry,
    own_policy,
    stopped_registry,
)

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

NOTICE_POLICY = own_policy()
REFUSE_POLICY = own_policy(unlicensed=Unlicensed.REFUSE, refuse_cause=34)
STALE = FakeRegistry(expires=NOW)

BANK = parse("0335810110")
OF_THE_BANK = replace(call(), caller=BANK)
"""Request that presents the bank's number, which never originates calls."""
PRESENTS_OTHER = replace(call(direction=Direction.OUTGOING), presents_other=True)

# The outcomes with NOTICE_POLICY and with REFUSE_POLICY.
PLAYED = Outcome.PLAY, Outcome.PLAY
PASSED_BY = Outcome.BYPASS, Outcome.BYPASS
REFUSED = Outcome.REFUSE, Outcome.REFUSE
BY_POLICY = Outcome.NOTICE, Outcome.REFUSE
PROFILES = {Outcome.PLAY: {Party.CALLED: "sample"}, Outcome.NOTICE: {Party.CALLED: "notice"}}

OUT = Direction.OUTGOING
TABLE = [
    # call, registry, outcomes, reason, judged licence
    (call(), FakeRegistry(), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([EXPIRED]), BY_POLICY, Reason.LICENCE_EXPIRED, "L-expired"),
    (call(), FakeRegistry([REVOKED]), BY_POLICY, Reason.LICENCE_REVOKED, "L-revoked"),
    (call(), FakeRegistry([SUSPENDED]), BY_POLICY, Reason.LICENCE_SUSPENDED, "L-suspended"),
    (call(), FakeRegistry([EARLY]), BY_POLICY, Reason.LICENCE_NOT_YET_VALID, "L-early"),
    (call(), FakeRegistry([UNPLEDGED]), BY_POLICY, Reason.PLEDGE_MISSING, "L-unpledged"),
    (call(), FakeRegistry([replace(LICENCE, pledged_from=NOW + SECOND)]), BY_POLICY, Reason.PLEDGE_MISSING, "L-1"),
    (call(), FakeRegistry([replace(LICENCE, pledged_from=NOW)]), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([replace(LICENCE, pledged_until=NOW)]), BY_POLICY, Reason.PLEDGE_MISSING, "L-1"),
    (call(), FakeRegistry([replace(LICENCE, pledged_until=NOW + SECOND)]), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([OUTGOING]), BY_POLICY, Reason.DIRECTION_NOT_COVERED, "L-outgoing"),
    (call(direction=Direction.OUTGOING), FakeRegistry([OUTGOING]), PLAYED, Reason.LICENCE_VALID, "L-outgoing"),
    (call(), FakeRegistry(chain=CHECKED), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry([EXPIRED], chain=CHECKED), BY_POLICY, Reason.LICENCE_EXPIRED, "L-expired"),
    (call(), FakeRegistry(chain=UNCHECKED), BY_POLICY, Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry(chain=EARLY_CHECK), BY_POLICY, Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry([REVOKED], chain=UNCHECKED), BY_POLICY, Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry(chain=UNCHECKED, expires=NOW), BY_POLICY, Reason.REGISTRY_STALE, None),
    (call(), stopped_registry(NOW, chain=UNCHECKED), REFUSED, Reason.NUMBER_SUSPENDED, None),
    (call(), FakeRegistry([]), BY_POLICY, Reason.LICENCE_NONE, None),
    (call(FOREIGN), FakeRegistry(), REFUSED, Reason.NUMBER_OF_ANOTHER_MEMBER, None),
    (call(FOREIGN, OUT), FakeRegistry(), REFUSED, Reason.NUMBER_OF_ANOTHER_MEMBER, None),
    (call(FOREIGN), STALE, REFUSED, Reason.NUMBER_OF_ANOTHER_MEMBER, None),
    (call(FOREIGN), stopped_registry(NOW, FOREIGN), REFUSED, Reason.NUMBER_SUSPENDED, None),
    (call(FOREIGN, called=POLICE), FakeRegistry(), PASSED_BY, Reason.EMERGENCY, None),
    (
        call(),
        FakeRegistry(chain=WholesaleChain(("m-9", "m-2"), (NOW,))),
        REFUSED,
        Reason.NUMBER_OF_ANOTHER_MEMBER,
        None,
    ),
    (call(), FakeRegistry(chain=WholesaleChain((MEMBER, "m-2"), (NOW,))), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry(chain=WholesaleChain((MEMBER, "m-2"), (None,))), BY_POLICY, Reason.CHAIN_UNCHECKED, None),
    (call(UNKNOWN, OUT), FakeRegistry(), REFUSED, Reason.NUMBER_UNKNOWN, None),
    (call(UNKNOWN, OUT), STALE, REFUSED, Reason.NUMBER_UNKNOWN, None),
    (call(UNKNOWN, OUT, POLICE), FakeRegistry(), PASSED_BY, Reason.EMERGENCY, None),
    (call(UNKNOWN), FakeRegistry(), BY_POLICY, Reason.NUMBER_UNKNOWN, None),
    (call(ABROAD), FakeRegistry(), BY_POLICY, Reason.NUMBER_UNKNOWN, None),
    (call(POLICE), FakeRegistry(), REFUSED, Reason.NUMBER_MALFORMED, None),
    (call(WITHHELD), FakeRegistry(), REFUSED, Reason.NUMBER_WITHHELD, None),
    (call(MALFORMED), FakeRegistry(), REFUSED, Reason.NUMBER_MALFORMED, None),
    (call(WITHHELD), STALE, REFUSED, Reason.NUMBER_WITHHELD, None),
    (call(), STALE, BY_POLICY, Reason.REGISTRY_STALE, None),
    (call(UNKNOWN), STALE, BY_POLICY, Reason.REGISTRY_STALE, None),
    (call(), None, BY_POLICY, Reason.REGISTRY_MISSING, None),
    (call(direction=OUT), None, REFUSED, Reason.REGISTRY_MISSING, None),
    (call(MALFORMED), None, REFUSED, Reason.NUMBER_MALFORMED, None),
    (call(WITHHELD), stopped_registry(NOW), REFUSED, Reason.NUMBER_WITHHELD, None),
    (call(), stopped_registry(NOW), REFUSED, Reason.NUMBER_SUSPENDED, None),
    (call(UNKNOWN), stopped_registry(NOW, UNKNOWN), REFUSED, Reason.NUMBER_SUSPENDED, None),
    (call(), stopped_registry(NOW, expires=NOW - DAY), REFUSED, Reason.NUMBER_SUSPENDED, None),
    (call(), FakeRegistry(certified_until=NOW), BY_POLICY, Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry(certified_until=NOW + SECOND), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(), FakeRegistry(chain=CHECKED, certified_until=NOW), BY_POLICY, Reason.CHAIN_UNCHECKED, None),
    (call(), FakeRegistry([EXPIRED], certified_until=NOW - DAY), BY_POLICY, Reason.CHAIN_UNCHECKED, None),
    (call(), stopped_registry(NOW, certified_until=NOW), REFUSED, Reason.NUMBER_SUSPENDED, None),
    (call(), FakeRegistry(certified_until=NOW, expires=NOW), BY_POLICY, Reason.REGISTRY_STALE, None),
    (call(BANK), never_originating_registry(BANK), REFUSED, Reason.NUMBER_NEVER_ORIGINATES, None),
    (call(BANK, Direction.OUTGOING), never_originating_registry(BANK), REFUSED, Reason.NUMBER_NEVER_ORIGINATES, None),
    (call(), never_originating_registry(HELD), REFUSED, Reason.NUMBER_NEVER_ORIGINATES, None),
    (OF_THE_BANK, never_originating_registry(BANK), REFUSED, Reason.NUMBER_NEVER_ORIGINATES, None),
    (
        replace(OF_THE_BANK, direction=Direction.OUTGOING),
        never_originating_registry(BANK),
        REFUSED,
        Reason.NUMBER_NEVER_ORIGINATES,
        None,
    ),
    (
        replace(call(), caller=MALFORMED, caller_perhaps=BANK),
        never_originating_registry(BANK),
        REFUSED,
        Reason.NUMBER_NEVER_ORIGINATES,
        None,
    ),
    (
        replace(call(MALFORMED), perhaps=BANK),
        never_originating_registry(BANK),
        REFUSED,
        Reason.NUMBER_NEVER_ORIGINATES,
        None,
    ),
    (OF_THE_BANK, never_originating_registry(BANK, expires=NOW - DAY), REFUSED, Reason.NUMBER_NEVER_ORIGINATES, None),
    (OF_THE_BANK, never_originating_registry(BANK, NOW + SECOND), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (OF_THE_BANK, FakeRegistry(unoriginated={BANK: Period(NOW - DAY, NOW)}), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (OF_THE_BANK, FakeRegistry(), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(called=BANK), never_originating_registry(BANK), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (
        OF_THE_BANK,
        never_originating_registry(BANK, stopped={HELD: Suspension(NOW)}),
        REFUSED,
        Reason.NUMBER_SUSPENDED,
        None,
    ),
    (
        replace(OF_THE_BANK, called=POLICE, emergency=True),
        never_originating_registry(BANK),
        PASSED_BY,
        Reason.EMERGENCY,
        None,
    ),
    (call(called=MALFORMED), FakeRegistry(), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (call(called=WITHHELD), FakeRegistry(), PLAYED, Reason.LICENCE_VALID, "L-1"),
    (PRESENTS_OTHER, FakeRegistry(), REFUSED, Reason.PRESENTED_NUMBER_DIFFERS, None),
    (PRESENTS_OTHER, None, REFUSED, Reason.PRESENTED_NUMBER_DIFFERS, None),
    (PRESENTS_OTHER, stopped_registry(NOW), REFUSED, Reason.NUMBER_SUSPENDED, None),
    (replace(PRESENTS_OTHER, forwarding_number=MALFORMED), FakeRegistry(), REFUSED, Reason.NUMBER_MALFORMED, None),
    (replace(PRESENTS_OTHER, emergency=True), FakeRegistry(), PASSED_BY, Reason.EMERGENCY, None),
    (call(called=POLICE), FakeRegistry(), PASSED_BY, Reason.EMERGENCY, None),
    (call(called=POLICE), None, PASSED_BY, Reason.EMERGENCY, None),
    (call(called=POLICE), stopped_registry(NOW), PASSED_BY, Reason.EMERGENCY, None),
    (call(MALFORMED, called=parse("184119")), STALE, PASSED_BY, Reason.EMERGENCY, None),
]


@pytest.mark.parametrize(("policy", "place"), [(NOTICE_POLICY, 0), (REFUSE_POLICY, 1)], ids=["notice", "refuse"])
def test_the_table(policy, place):
    for asked, registry, outcomes, reason, licence in TABLE:
        outcome = outcomes[place]
        version = registry.version if registry and reason is not Reason.EMERGENCY else None
        cause = policy.refuse_cause if outcome is Outcome.REFUSE else None
        expected = Decision(outcome, reason, licence, PROFILES.get(outcome, {}), version, cause)
        if registry and reason is not Reason.EMERGENCY:
            member = {HELD: MEMBER, FOREIGN: "m-2"}.get(asked.forwarding_number)
            chain = str(registry.chain) if registry.chain and member == MEMBER else None
            expected = expected._replace(registry_trust=Trust.SIGNED, member=member, wholesale_chain=chain)
        assert decide(asked, registry, policy, NOW) == expected, (asked, registry)


def test_a_number_that_cannot_be_read_is_refused_unless_the_policy_says_otherwise():
    """The same holds without a registry, and with one that has expired."""
    for number, reason in ((MALFORMED, Reason.NUMBER_MALFORMED), (WITHHELD, Reason.NUMBER_WITHHELD)):
        for registry in (FakeRegistry(), STALE, None):
            refused = decide(call(number), registry, own_policy(refuse_cause=34), NOW)
            assert (refused.outcome, refused.reason, refused.hangup_cause) == (Outcome.REFUSE, reason, 34)
            heard = decide(call(number), registry, own_policy(unreadable=Unreadable.NOTICE), NOW)
            assert heard.outcome is Outcome.NOTICE
            assert heard.reason is (reason if registry else Reason.REGISTRY_MISSING)
        assert decide(call(number, called=POLICE), None, own_policy(), NOW).outcome is Outcome.BYPASS


def test_only_an_emergency_call_passes_not_each_call_of_an_emergency_number():
    """An extension 110, or a ring group with one of that name, is no emergency call."""
    assert (
        decide(replace(call(called=POLICE), emergency=False), stopped_registry(NOW), NOTICE_POLICY, NOW).outcome
        is Outcome.REFUSE
    )
    assert decide(replace(call(), emergency=True), stopped_registry(NOW), NOTICE_POLICY, NOW).outcome is Outcome.BYPASS


def test_the_brake_refuses_a_call_that_would_be_connected():
    policy = own_policy(refuse_cause=34)
    announced = replace(call(), announced=True)
    for asked, (braked, cause) in product((call(), announced), ((Reason.BRAKE_STOP, 34), (Reason.BRAKE_SLOW, 42))):
        decision = refused_by_brake(decide(asked, FakeRegistry(), policy, NOW), braked, policy)
        assert decision.skip is None, "what is not connected has no sound to leave out"
        refused = (decision.outcome, decision.reason, decision.hangup_cause, dict(decision.profiles), decision.member)
        assert refused == (Outcome.REFUSE, braked, cause, {}, MEMBER)


def test_the_table_has_every_reason_that_the_kernel_gives():
    others = {
        Reason.SERVICE_UNAVAILABLE, Reason.CALL_ID_UNREADABLE, Reason.SUSPENSIONS_UNKNOWN, Reason.OVERLOAD,
        Reason.LEDGER_FULL, Reason.MEMBER_NOT_SET, Reason.NUMBER_OF_ANOTHER_CUSTOMER, Reason.LINE_UNKNOWN,
        Reason.LINES_MISSING, Reason.BRAKE_STOP, Reason.BRAKE_SLOW,
    }  # fmt: skip
    # The last three are in tests/registry/customer_lines/test_decision.py.
    assert {reason for *_, reason, _ in TABLE} == set(Reason) - others


@pytest.mark.parametrize("unlicensed", Unlicensed)
@pytest.mark.parametrize(
    ("full", "outcome", "cause"),
    [(LedgerFull.REFUSE, Outcome.REFUSE, 34), (LedgerFull.NOTICE_AND_CONNECT, Outcome.NOTICE, None)],
    ids=str,
)
def test_while_the_ledger_is_full(unlicensed, full, outcome, cause):
    """A refused call keeps its reason, and no call gets a licensed sound."""
    policy = own_policy(unlicensed=unlicensed, ledger_full=full, refuse_cause=34)
    for asked, registry, *_, licence in TABLE:
        expected = decide(asked, registry, policy, NOW)
        if expected.outcome in (Outcome.PLAY, Outcome.NOTICE):
            expected = expected._replace(
                outcome=outcome, reason=Reason.LEDGER_FULL, profiles=PROFILES.get(outcome, {}), hangup_cause=cause
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
        policy = own_policy(unlicensed=unlicensed, unchecked_chain=unchecked)
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
        decision = decide(call(), registry, own_policy(chain_check=lasts), moment)
        assert (decision.outcome is Outcome.PLAY) == counts, (lasts, moment)


def test_a_registry_counts_until_its_grace_is_over():
    registry = FakeRegistry(expires=NOW)
    for grace in (timedelta(0), SECOND, timedelta(hours=12), timedelta(days=30)):
        policy = own_policy(registry_stale=grace)
        assert decide(call(), registry, policy, NOW + grace - SECOND).outcome is Outcome.PLAY, grace
        assert decide(call(), registry, policy, NOW + grace).reason is Reason.REGISTRY_STALE, grace
    endless = FakeRegistry(expires=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert decide(call(), endless, own_policy(registry_stale=30 * DAY), NOW).outcome is Outcome.PLAY


def test_a_suspension_starts_at_since_and_outlives_the_registry():
    for grace in (timedelta(0), timedelta(days=30)):
        policy = own_policy(registry_stale=grace)
        assert decide(call(), stopped_registry(NOW), policy, NOW - SECOND).outcome is Outcome.PLAY
        for later in (timedelta(0), SECOND, 4000 * DAY):
            assert decide(call(), stopped_registry(NOW), policy, NOW + later).reason is Reason.NUMBER_SUSPENDED, later
    assert decide(call(called=UNKNOWN), stopped_registry(NOW, UNKNOWN), NOTICE_POLICY, NOW).outcome is Outcome.PLAY, (
        "only the forwarding number counts"
    )


numbers = st.sampled_from([HELD, HELD, HELD, FOREIGN, UNKNOWN, ABROAD, POLICE, WITHHELD, MALFORMED])
zones = st.sampled_from([UTC, JST, timezone(timedelta(hours=-5))])


def moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Strategy of moments within a few seconds around `NOW`, so that some coincide."""
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
    chain=st.sampled_from([None, None, CHECKED, UNCHECKED, EARLY_CHECK, WholesaleChain(("m-9", "m-2"), (NOW,))]),
    stopped=st.dictionaries(
        numbers, st.builds(Suspension, since=moments(-2, 6), until=st.none() | moments(0, 6)), max_size=1
    ),
    unoriginated=st.dictionaries(
        numbers, st.builds(Period, since=moments(-2, 6), until=st.none() | moments(0, 6)), max_size=1
    ),
)
registries = st.one_of(known, known, known, st.none())
calls = st.builds(
    lambda asked, caller, perhaps: replace(asked, caller=caller, caller_perhaps=perhaps),
    st.builds(call, numbers, st.sampled_from(Direction), numbers),
    numbers,
    st.none() | numbers,
)
policies = st.builds(
    Policy,
    member=st.sampled_from([MEMBER, MEMBER, MEMBER, "m-9", "m-3", None]),
    unlicensed=st.sampled_from(Unlicensed),
    foreign_numbers=st.sampled_from(Unlicensed),
    unknown_numbers=st.sampled_from(Unlicensed),
    registry_stale=st.sampled_from([timedelta(0), SECOND, 2 * SECOND]),
)


@given(calls, registries, policies, moments(-3, 5))
@settings(max_examples=200, deadline=None)
def test_what_must_never_happen(asked, registry, policy, now):
    decision = decide(asked, registry, policy, now)
    suspensions = registry.suspensions_of(asked.forwarding_number) if registry else []
    assert (decision.outcome is Outcome.BYPASS) == (asked.called is POLICE)
    if any(each.since <= now and (each.until is None or now < each.until) for each in suspensions):
        assert decision.outcome in {Outcome.REFUSE, Outcome.BYPASS}
    from_nowhere = [
        each for number in asked.originating_numbers if registry for each in registry.never_originates(number)
    ]
    if any(each.since <= now and (each.until is None or now < each.until) for each in from_nowhere):
        assert decision.outcome in {Outcome.REFUSE, Outcome.BYPASS}
    if decision.outcome is Outcome.PLAY:
        assert registry is not None
        holding = registry.holding(asked.forwarding_number, now)
        assert holding
        assert policy.member in holding.members
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
    if registry and decision.outcome is not Outcome.BYPASS:
        holding = registry.holding(asked.forwarding_number, now)
        foreign = holding is not None and policy.member is not None and policy.member not in holding.members
        unknown = holding is None and asked.direction is OUT and asked.forwarding_number in (UNKNOWN, ABROAD)
        if (foreign and policy.foreign_numbers is Unlicensed.REFUSE) or (
            unknown and policy.unknown_numbers is Unlicensed.REFUSE
        ):
            assert decision.outcome is Outcome.REFUSE
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
    remembered = Remembered({pattern: [Suspension(NOW, NOW + DAY)], "8131234568x": [Suspension(NOW - DAY)]})
    decision = decide(call(), None, own_policy(), moment, remembered)
    assert decision.reason is reason
    assert (decision.outcome is Outcome.REFUSE) == (reason is Reason.NUMBER_SUSPENDED)
    assert decide(call(), FakeRegistry(), own_policy(), moment, remembered).reason is Reason.LICENCE_VALID


class FakeOwnStops:
    """Own suspensions: the operator has stopped one number from a moment on."""

    def __init__(self, since: datetime, number: Number = HELD) -> None:
        self.since, self.number = since, number

    def of(self, number: Number) -> list[Suspension]:
        return [Suspension(self.since, own="S-1")] if number == self.number else []


@pytest.mark.parametrize(
    "registry", [FakeRegistry(), FakeRegistry(expires=NOW - DAY), None], ids=["valid", "old", "no"]
)
def test_what_the_operator_stopped_is_refused_with_any_registry_and_without_one(registry):
    for asked in (call(), replace(call(MALFORMED), perhaps=HELD)):
        decision = decide(asked, registry, NOTICE_POLICY, NOW, own_stops=FakeOwnStops(NOW))
        assert (decision.outcome, decision.reason) == (Outcome.REFUSE, Reason.NUMBER_SUSPENDED)
    for stops in (FakeOwnStops(NOW + SECOND), FakeOwnStops(NOW, FOREIGN)):
        assert decide(call(), registry, NOTICE_POLICY, NOW, own_stops=stops) == decide(
            call(), registry, NOTICE_POLICY, NOW
        )
    emergency = decide(call(called=POLICE), registry, NOTICE_POLICY, NOW, own_stops=FakeOwnStops(NOW))
    assert emergency.outcome is Outcome.BYPASS


def test_the_association_s_stop_counts_before_the_operator_s_own():
    """Without a registry the order is reversed: Asterisk's file has both, and does not show whose they are."""
    kept = Remembered({"8131234567x": [Suspension(NOW, reference="kept")]})
    theirs = FakeRegistry(stopped={HELD: Suspension(NOW, reference="theirs")})
    for registry, remembered, own_stops, expected in (
        (theirs, kept, FakeOwnStops(NOW), "theirs"),
        (theirs, kept, None, "theirs"),
        (FakeRegistry(), kept, FakeOwnStops(NOW), "S-1"),
        (FakeRegistry(), kept, None, None),
        (None, kept, FakeOwnStops(NOW), "S-1"),
        (None, kept, FakeOwnStops(NOW + SECOND), "kept"),
        (None, kept, None, "kept"),
        (None, Remembered(), FakeOwnStops(NOW), "S-1"),
        (None, Remembered(), None, None),
    ):
        found = suspended([HELD], registry, NOW, remembered, own_stops)
        assert (found and (found.own or found.reference)) == expected, (registry, remembered, own_stops)


REMEMBERED = Remembered({}, {"8131234567x": [Period(None, NOW + DAY)]})


@pytest.mark.parametrize(
    ("asked", "remembered", "moment", "refused", "reason"),
    [
        (call(), REMEMBERED, NOW, False, Reason.REGISTRY_MISSING),
        (call(direction=OUT), REMEMBERED, NOW, False, Reason.REGISTRY_MISSING),
        (call(direction=OUT), REMEMBERED, NOW + DAY, True, Reason.NUMBER_UNKNOWN),
        (call(FOREIGN), REMEMBERED, NOW, True, Reason.NUMBER_UNKNOWN),
        (call(FOREIGN, OUT), REMEMBERED, NOW, True, Reason.NUMBER_UNKNOWN),
        (replace(call(MALFORMED), perhaps=HELD), REMEMBERED, NOW, False, Reason.REGISTRY_MISSING),
        (call(FOREIGN), Remembered(), NOW, False, Reason.REGISTRY_MISSING),
        (call(FOREIGN, OUT), Remembered(), NOW, True, Reason.REGISTRY_MISSING),
        (call(called=POLICE), Remembered({}, {}), NOW, False, Reason.EMERGENCY),
    ],
)
def test_without_a_registry_the_remembered_numbers_are_this_node_s(asked, remembered, moment, refused, reason):
    """An unknown number may belong to another member, so both policies must allow it."""
    policy = own_policy(unreadable=Unreadable.NOTICE)
    decision = decide(asked, None, policy, moment, remembered)
    assert (decision.outcome is Outcome.REFUSE, decision.reason) == (refused, reason)
    for changes in product(Unlicensed, repeat=2):
        allowing = replace(policy, foreign_numbers=changes[0], unknown_numbers=changes[1])
        if changes == (Unlicensed.NOTICE, Unlicensed.NOTICE):
            assert decide(asked, None, allowing, moment, remembered).outcome is not Outcome.REFUSE
        elif reason is Reason.NUMBER_UNKNOWN:
            assert decide(asked, None, allowing, moment, remembered).outcome is Outcome.REFUSE


@pytest.mark.parametrize("direction", Direction)
def test_a_node_without_a_member_plays_no_licensed_sound(direction):
    for policy, outcome in (
        (Policy(), Outcome.NOTICE),
        (Policy(unlicensed=Unlicensed.REFUSE), Outcome.REFUSE),
        (Policy(foreign_numbers=Unlicensed.NOTICE, unknown_numbers=Unlicensed.NOTICE), Outcome.NOTICE),
    ):
        for number in (HELD, FOREIGN):
            decision = decide(call(number, direction), FakeRegistry(), policy, NOW)
            assert (decision.outcome, decision.reason) == (outcome, Reason.MEMBER_NOT_SET)
    outgoing = decide(call(UNKNOWN, OUT), FakeRegistry(), Policy(), NOW)
    assert (outgoing.outcome, outgoing.reason) == (Outcome.REFUSE, Reason.NUMBER_UNKNOWN)
    assert decide(call(), STALE, Policy(), NOW).reason is Reason.REGISTRY_STALE


@pytest.mark.parametrize("direction", Direction)
def test_the_policy_may_give_another_member_s_number_the_notice_but_never_the_sound(direction):
    policy = own_policy(foreign_numbers=Unlicensed.NOTICE)
    decision = decide(call(FOREIGN, direction), FakeRegistry(), policy, NOW)
    assert (decision.outcome, decision.reason, decision.member, decision.profile) == (
        Outcome.NOTICE,
        Reason.NUMBER_OF_ANOTHER_MEMBER,
        "m-2",
        "notice",
    )
    refusing = replace(policy, unlicensed=Unlicensed.REFUSE)
    assert decide(call(FOREIGN, direction), FakeRegistry(), refusing, NOW).outcome is Outcome.REFUSE
    noticed = decide(call(UNKNOWN, OUT), FakeRegistry(), own_policy(unknown_numbers=Unlicensed.NOTICE), NOW)
    assert (noticed.outcome, noticed.reason) == (Outcome.NOTICE, Reason.NUMBER_UNKNOWN)


def test_a_number_with_a_letter_behind_it_is_no_way_round():
    """`policy.unreadable: notice` connects calls with an unreadable number. The rules for other members' numbers still
    apply to the number that its digits make.
    """
    policy = own_policy(unreadable=Unreadable.NOTICE)
    for number, direction, refused in (
        (FOREIGN, Direction.INCOMING, Reason.NUMBER_OF_ANOTHER_MEMBER),
        (FOREIGN, OUT, Reason.NUMBER_OF_ANOTHER_MEMBER),
        (UNKNOWN, OUT, Reason.NUMBER_UNKNOWN),
        (UNKNOWN, Direction.INCOMING, None),
        (HELD, OUT, None),
    ):
        asked = replace(call(MALFORMED, direction), perhaps=number)
        decision = decide(asked, FakeRegistry(), policy, NOW)
        assert (decision.outcome is Outcome.REFUSE, decision.reason) == (
            refused is not None,
            refused or Reason.NUMBER_MALFORMED,
        ), number


@given(st.integers(1970, 2100), st.sampled_from([LICENCE, EARLY, EXPIRED, REVOKED]))
def test_setting_the_clock_back_makes_no_licence_valid(year, licence):
    """The signed registry proves that the time is not before its issue."""
    registry = FakeRegistry([licence], expires=NOW + DAY, issued=NOW)
    by_the_clock = datetime(year, 6, 1, tzinfo=JST)
    decision = decide(call(), registry, NOTICE_POLICY, time_by(registry, by_the_clock))
    if by_the_clock < NOW:
        assert decision == decide(call(), registry, NOTICE_POLICY, NOW)
    if decision.outcome is Outcome.PLAY:
        assert licence.valid_from <= max(by_the_clock, NOW) < min(licence.valid_until, registry.expires)


@pytest.mark.parametrize(
    ("earlier", "both", "named"),
    [
        (FakeRegistry(), stopped_registry(NOW), (None, "newer")),
        (stopped_registry(NOW + DAY), stopped_registry(NOW), (None, "newer")),
        (stopped_registry(NOW), stopped_registry(NOW), (42, "earlier")),
        (FakeRegistry(), never_originating_registry(HELD), (None, "newer")),
        (never_originating_registry(HELD), never_originating_registry(HELD), (42, "earlier")),
        (FakeRegistry(), stopped_registry(NOW, FOREIGN), (42, "earlier")),
        (FakeRegistry(), stopped_registry(NOW + DAY), (42, "earlier")),
    ],
)
def test_a_decision_names_the_newer_edition_only_if_its_stop_alone_refuses(earlier, both, named):
    """The members and the version of the newer edition are not known yet."""
    registry = replace(both, version=42, sha256="earlier", newer=NewerStops("newer", earlier))
    decision = decide(call(direction=OUT), registry, own_policy(), NOW)
    assert (decision.registry_version, decision.registry_sha256) == named


def test_setting_the_clock_back_lifts_no_suspension():
    registry = stopped_registry(NOW, issued=NOW)
    at = time_by(registry, NOW - 3650 * DAY)
    assert decide(call(), registry, NOTICE_POLICY, at).reason is Reason.NUMBER_SUSPENDED


@pytest.mark.parametrize("pattern", ["81335810110", "8133581011x", "81335xxxxxx"])
@pytest.mark.parametrize(("moment", "refused"), [(NOW - SECOND, False), (NOW, True), (NOW + DAY, False)])
def test_remembered_numbers_that_never_originate_count_without_a_registry(pattern, moment, refused):
    over = {pattern: [Suspension(NOW - 9 * DAY, NOW - DAY)]}
    remembered = Remembered(over, never_originating={pattern: [Period(NOW, NOW + DAY)]})
    for asked in (OF_THE_BANK, call(BANK)):
        decision = decide(asked, None, own_policy(), moment, remembered)
        assert decision.reason is (Reason.NUMBER_NEVER_ORIGINATES if refused else Reason.REGISTRY_MISSING)
    assert decide(OF_THE_BANK, FakeRegistry(), own_policy(), moment, remembered).reason is Reason.LICENCE_VALID
