"""A call may only use a number of the node's member, or one that was resold through the member.

Both are tested with the service up and down.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.lab import LICENSED, SUSPENDED, Forwarding, Lab, lab
from lab.nightly_tests import breadth
from lab.publication import LAB_REGISTRY

RESOLD, OTHERS, NOBODYS = "0612345900", "0112345678", "0335810110"
"""A number that m-0005 has through m-0001, a number of m-0007, which has a licence, and a number of no member."""
BOTH = ("incoming", "outgoing")
PLAYED, FOREIGN, UNKNOWN = "licence-valid", "number-of-another-member", "number-unknown"
NODES = {
    # the node's member; the number: the result of its calls, incoming and outgoing, and while the service is down
    "m-0001": {
        LICENSED: (PLAYED, PLAYED, "connected"),
        RESOLD: (PLAYED, "direction-not-covered", "connected"),
        OTHERS: (FOREIGN, FOREIGN, "refused"),
        NOBODYS: (UNKNOWN, UNKNOWN, "refused"),
    },
    "m-0005": {
        LICENSED: (FOREIGN, FOREIGN, "refused"),
        RESOLD: (PLAYED, "direction-not-covered", "connected"),
        OTHERS: (FOREIGN, FOREIGN, "refused"),
        NOBODYS: (UNKNOWN, UNKNOWN, "refused"),
    },
    "m-0007": {LICENSED: (FOREIGN, FOREIGN, "refused"), OTHERS: (PLAYED, PLAYED, "connected")},
    None: {
        LICENSED: ("member-not-set", "member-not-set", "connected"),
        OTHERS: ("member-not-set", "member-not-set", "connected"),
        NOBODYS: (UNKNOWN, UNKNOWN, "refused"),
    },
}


def is_refused(reason: str, direction: str) -> bool:
    return reason == FOREIGN or (reason == UNKNOWN and direction == "outgoing")


@pytest.mark.parametrize("member", ["m-0001", breadth("m-0005"), breadth("m-0007"), None], ids=str)
async def test_with_the_service_up_and_away(asterisk, serving, shared_service, references, member):
    """Such a call is refused, and no phone rings.

    A number of another member never gets the sound for which that member is licensed.
    """
    numbers, service = NODES[member], serving(member=member)
    cases = over_both_interfaces(*(Forwarding(number, direction) for number in numbers for direction in BOTH))
    async with lab(asterisk) as phones:
        calls = await run_concurrently(cases, phones.call)
        await no_foreign_number_under_an_own_dial(phones, [each for each in numbers if FOREIGN in numbers[each]])
    records = service.records()
    for forwarding, (placed, ending) in calls:
        reason = numbers[forwarding.number][forwarding.direction == "outgoing"]
        record = records[ending.call_id]
        assert (ending.reason, record["reason"]) == (reason, reason), forwarding
        foreign = ["another member holds the forwarding number"]
        assert record["anomalies"] == (foreign if reason == FOREIGN else []), forwarding
        if is_refused(reason, forwarding.direction):
            assert (ending.status, ending.cause, placed.rung) == ("REFUSED", "21", ()), forwarding
        else:
            sound = "sample" if reason == PLAYED else "notice"
            assert_heard_then_connected(placed, sound, references)
    shared_service.stop()
    async with lab(asterisk) as phones:
        for forwarding, (placed, ending) in await run_concurrently(cases, phones.call):
            if numbers[forwarding.number][2] == "refused":
                assert (ending.status, ending.reason, placed.rung) == ("REFUSED", UNKNOWN, ()), forwarding
            else:
                assert (ending.status, ending.reason) == ("CONNECTED", "service-unavailable"), forwarding
        refused = [number for number in numbers if numbers[number][2] == "refused"]
        await no_foreign_number_under_an_own_dial(phones, refused)
        _, emergency = await phones.call(Forwarding(OTHERS, "outgoing", dialled="110"))
        assert (emergency.status, emergency.reason) == ("CONNECTED", "emergency")


async def no_foreign_number_under_an_own_dial(phones: Lab, numbers: list[str]) -> None:
    cases = over_both_interfaces(*(Forwarding(number, "outgoing", way="own-dial") for number in numbers))
    for forwarding, (placed, _) in await run_concurrently(cases, phones.call):
        assert placed.caller.answered_ns is None, forwarding


@pytest.mark.nightly
async def test_the_policy_can_give_them_the_notice_for_a_migration(asterisk, serving, shared_service, references):
    """Such calls never get the sound, and the hook does not check their numbers."""
    serving(policy="foreign_numbers: notice, unknown_numbers: notice")
    cases = over_both_interfaces(*(Forwarding(number, direction) for number in (OTHERS, NOBODYS) for direction in BOTH))
    async with lab(asterisk) as phones:
        up = await run_concurrently(cases, phones.call)
        shared_service.stop()
        away = await run_concurrently(cases, phones.call)
        _, stopped = await phones.call(Forwarding(SUSPENDED))
    for calls, reasons in ((up, {OTHERS: FOREIGN, NOBODYS: UNKNOWN}), (away, dict.fromkeys((OTHERS, NOBODYS), ""))):
        for forwarding, (placed, ending) in calls:
            assert ending.reason == (reasons[forwarding.number] or "service-unavailable"), forwarding
            assert_heard_then_connected(placed, "notice", references)
    assert stopped.reason == "number-suspended"


async def test_a_ported_number_is_decided_by_time(asterisk, serving, shared_service, references, tmp_path: Path):
    """A number that was ported to the member on this day, and one that was ported away earlier.

    Both are tested with the service up and down.
    """
    now = datetime.now(UTC)
    past, later = ((now + timedelta(days=days)).isoformat(timespec="seconds") for days in (-1, 1))
    registry = tmp_path / "registry.yaml"
    portings = "".join(
        f"  - {{numbers: '{number}', from: {giver}, to: {taker}, at: {at}}}\n"
        for number, giver, taker, at in (
            ("0312345600", "m-0001", "m-0007", past),
            ("0312345601", "m-0001", "m-0007", later),
            ("0112345600", "m-0007", "m-0001", past),
            ("0112345601", "m-0007", "m-0001", later),
        )
    )
    members, chains, suspensions = (text := LAB_REGISTRY.read_text()).partition("\nchains:")
    registry.write_text(f"{members}\nportings:\n{portings}{chains}{suspensions}")
    assert text
    serving(registry)
    own = {"0312345600": False, "0312345601": True, "0112345600": True, "0112345601": False}
    cases = over_both_interfaces(*(Forwarding(number, "outgoing") for number in own))
    async with lab(asterisk) as phones:
        up = await run_concurrently(cases, phones.call)
        shared_service.stop()
        away = await run_concurrently(cases, phones.call)
    for forwarding, (placed, ending) in up:
        if own[forwarding.number]:
            assert_heard_then_connected(placed, "sample", references)
        else:
            assert (ending.status, ending.reason, placed.rung) == ("REFUSED", FOREIGN, ()), forwarding
    for forwarding, (_, ending) in away:
        expected = ("CONNECTED", "service-unavailable") if own[forwarding.number] else ("REFUSED", UNKNOWN)
        assert (ending.status, ending.reason) == expected, forwarding


async def test_a_service_that_starts_without_a_registry_knows_the_own_numbers(fallback_pbx, serving, tmp_path: Path):
    """An earlier service (`fallback_pbx`) had the registry, and left the member's own numbers."""
    serving(tmp_path / "none.yaml")
    cases = over_both_interfaces(*(Forwarding(number, "outgoing") for number in (LICENSED, OTHERS, NOBODYS)))
    async with lab(fallback_pbx) as phones:
        for forwarding, (_, ending) in await run_concurrently(cases, phones.call):
            expected = ("CONNECTED", "registry-missing") if forwarding.number == LICENSED else ("REFUSED", UNKNOWN)
            assert (ending.status, ending.reason) == expected, forwarding
