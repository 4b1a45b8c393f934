"""The operator suspends a number (`idtone suspend`).

The suspension is in force at once, in each spelling, with the service up and down. It survives a change of the registry
and a restart. It lasts until the association's own suspension is in force, or until it is lifted.
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from idtone.ledger.evidence.steps import StepKind
from lab.asterisk import Asterisk
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.calls.own_suspensions import acts, command, states
from lab.calls.suspend_in_progress import OTHER, WITHIN_S, in_progress, suspend
from lab.lab import LICENSED, Forwarding, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.service import Service

SPELLINGS = (LICENSED, "+81312345678", "03-1234-5678", "81312345678", "010-81-3-1234-5678")
REFUSED = ("REFUSED", "number-suspended")
WHY = ("--reference", "R-77", "--why", "the police called")


@pytest.fixture
def own_service(asterisk: Asterisk, shared_service, tmp_path) -> Iterator[Service]:
    """A service with a registry that the test may change. Other tests do not see its suspensions."""
    shared_service.stop()
    registry = tmp_path / "registry.yaml"
    registry.write_text(LAB_REGISTRY.read_text())
    with Service(asterisk, registry) as service:
        yield service
    for path in (asterisk.scratch / "ledger").glob("*.suspensions*"):
        path.unlink()


async def refused(phones, forwardings) -> None:
    for forwarding, (placed, ending) in await run_concurrently(over_both_interfaces(*forwardings), phones.call):
        assert (ending.status, ending.reason) == REFUSED, forwarding
        assert placed.called is None, forwarding


async def test_a_number_is_stopped_at_once_and_stays_so(asterisk, own_service):
    async with lab(asterisk) as phones:
        calls = await in_progress(phones)
        began_s = time.monotonic()
        stopped = await asyncio.to_thread(command, own_service, "suspend", *WHY, typed=LICENSED)
        assert (stopped["state"], stopped["by_service"], stopped["calls_ended"]) == ("in-force", True, 4)
        first = await phones.place()
        took_s = time.monotonic() - began_s
        assert (await phones.ending(first)).reason == "number-suspended"
        for placed in (calls.ringing, *calls.talking):
            await asyncio.wait_for(placed.caller.ended(), WITHIN_S)
        for placed in calls.others:
            assert not placed.caller.ended_ns
            await phones.talk_and_hang_up(placed)
        asked, began = (datetime.fromisoformat(each) for each in (stopped["asked"]["at"], stopped["in_force"]))
        print(
            f"\nidtone suspend → in force: {(began - asked).total_seconds():.3f} s; with the command's own start → the "
        )
        print(f"first refused call: {took_s:.2f} s")
        await refused(phones, map(Forwarding, SPELLINGS))
        decided = next(s for s in own_service.steps((await phones.ending(first)).call_id) if s.kind is StepKind.DECIDED)
        assert (decided.details["suspended_by"], decided.details["own_suspension"]) == ("operator", stopped["id"])

        suspend(own_service, "\n")  # a registry without any suspension
        await wait_until(lambda: "version 43 is in use" in own_service.log(), "the new registry")
        await refused(phones, [Forwarding(LICENSED)])
        await asyncio.to_thread(own_service.stop)
        await refused(phones, map(Forwarding, SPELLINGS))
        _, ending = await phones.call(Forwarding(OTHER))
        assert ending.status == "CONNECTED"
        emergency, _ = await phones.call(Forwarding(dialled="110"))
        assert emergency.called
        await asyncio.to_thread(own_service.start)
        await refused(phones, [Forwarding(LICENSED)])

        lifted = await asyncio.to_thread(
            command, own_service, "suspensions", "lift", stopped["id"], "--why", "by mistake"
        )
        assert (lifted["state"], "over" in lifted) == ("lifted", True)
        _, ending = await phones.call()
        assert ending.status == "CONNECTED"
        await asyncio.to_thread(own_service.stop)
        _, ending = await phones.call()
        assert (ending.status, ending.reason) == ("CONNECTED", "service-unavailable")
    assert sorted(acts(own_service, stopped["id"])) == [
        "suspension-approved",
        "suspension-in-force",
        "suspension-lift-in-force",
        "suspension-lifted",
    ]


async def test_while_the_service_is_away_until_the_association_takes_over(asterisk, own_service):
    await asyncio.to_thread(own_service.stop)
    stopped = await asyncio.to_thread(command, own_service, "suspend", "-", *WHY, typed=f"{LICENSED}\n{OTHER}\n")
    assert (stopped["state"], stopped["by_service"], stopped["numbers"]) == ("in-force", False, 2)
    async with lab(asterisk) as phones:
        await refused(phones, [Forwarding(LICENSED), Forwarding(OTHER)])
        await asyncio.to_thread(own_service.start)
        await refused(phones, [Forwarding(LICENSED), Forwarding(OTHER)])
        suspend(own_service)  # one of the two
        await wait_until(lambda: "version 43 is in use" in own_service.log(), "the new registry")
        assert states(own_service) == ["in-force"]
        both = (
            f"suspensions:\n  - {{numbers: '0312345600-{OTHER}', since: 2026-01-01T00:00:00+09:00, reference: R-1}}\n"
        )
        registry = own_service.registry.read_text().partition("\nsuspensions:")[0].replace("version: 43", "version: 44")
        draft = own_service.registry.with_name("draft.yaml")
        draft.write_text(f"{registry}\n{both}")
        draft.replace(own_service.registry)
        await wait_until(lambda: states(own_service) == ["taken-over"], "the association's suspension")
        _, ending = await phones.call()
        decided = next(s for s in own_service.steps(ending.call_id) if s.kind is StepKind.DECIDED)
        assert (ending.reason, decided.details["suspended_by"]) == ("number-suspended", "association")
        await asyncio.to_thread(own_service.stop)
        await refused(phones, [Forwarding(LICENSED), Forwarding(OTHER)])
    assert "suspension-taken-over" in acts(own_service, stopped["id"])
