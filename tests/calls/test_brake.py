"""The brake on real calls: it stops a line that presents another number in each call, and no other line."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from idtone.call_control.brake.limits import LIMITS, LineKind, Signal
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.key_file import KEY_BYTES
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from lab.asterisk import Asterisk, Ending
from lab.command_json import command_json
from lab.incoming_call import IncomingCall
from lab.lab import LICENSED, Forwarding, Lab, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.shared_service import SharedService
from lab.site import make_reachable

EXTENSION = "extensions: [lab]"
"""Setting that makes the endpoint of the lab's phones a single extension, for which the limits are the lowest."""
STOP_AT = LIMITS[LineKind.EXTENSION][Signal.PRESENTED].new
PLACES = itertools.count()


@pytest.fixture(autouse=True)
def forgotten(asterisk: Asterisk, shared_service: SharedService) -> Iterator[None]:
    """Remove the brake's files after each test.

    All services share the folder, and a test must not see the stops of another test.
    """
    yield
    for path in (asterisk.scratch / "ledger").glob("*.brake*"):
        path.unlink()


@pytest.fixture
def braked(asterisk: Asterisk, shared_service: SharedService) -> Iterator[Service]:
    shared_service.stop()
    with Service(asterisk, LAB_REGISTRY, brake=EXTENSION) as service:
        yield service


async def busy(call: IncomingCall) -> None:
    call.refuse(486, cause=17)


async def present(
    phones: Lab, number: str, interface: str = "", direction: str = "outgoing", dialled: str = ""
) -> Ending:
    forwarding = Forwarding(number, direction, interface=interface, **({"dialled": dialled} if dialled else {}))
    return (await phones.call(forwarding, behaviour=busy))[1]


async def attack(phones: Lab, calls: int, interface: str = "") -> AsyncIterator[Ending]:
    """Place calls one after another, each with another of the member's numbers."""
    for _ in range(calls):
        yield await present(phones, f"0612345{next(PLACES) % 1000:03}", interface)


async def stopped(phones: Lab, interface: str = "") -> list[Ending]:
    endings = [ending async for ending in attack(phones, STOP_AT + 5, interface)]
    assert endings[-1].reason == "brake-stop"
    return endings


def acts(service: Service) -> list[tuple[object, object]]:
    with LedgerReader.open(f"sqlite:///{service.ledger}") as reader:
        return [
            (step.details["act"], step.details.get("why"))
            for step in reader.acts(frozenset({StepKind.DUTY}))
            if "act" in step.details
        ]


def held_line(service: Service) -> list[dict[str, Any]]:
    return [hold for hold in command_json(service, "brake", "list") if hold["kind"] == "endpoint"]


async def lists(service: Service, *steps: str) -> None:
    """Wait until `brake list` shows this for the endpoint of the phones.

    A service writes its steps with a delay, and reads those of its fleet each second.
    """
    seen: list[Any] = []

    def shown() -> bool:
        seen[:] = command_json(service, "brake", "list")
        return [hold["step"] for hold in seen if hold["kind"] == "endpoint"] == [*steps]

    try:
        await wait_until(shown, f"the list to say {steps}", 20)
    except AssertionError:
        raise AssertionError(f"the list says {seen}, not {steps}") from None


async def test_a_line_is_marked_slowed_stopped_and_released(asterisk, braked, interface):
    async with lab(asterisk) as phones:
        endings = await stopped(phones, interface)
        assert sum(ending.status == "BUSY" for ending in endings) < STOP_AT
        assert {ending.reason for ending in endings} == {"licence-valid", "brake-slow", "brake-stop"}
        causes = {ending.reason: ending.cause for ending in endings if ending.status == "REFUSED"}
        assert causes == {"brake-slow": "42", "brake-stop": "21"}

        # Calls that are no misuse of the line continue: an emergency call, and a call to one of the member's numbers.
        assert (await present(phones, LICENSED, interface, dialled="110")).reason == "emergency"
        assert (await present(phones, LICENSED, interface, "incoming")).status == "BUSY"

        await lists(braked, "stop")
        [held] = held_line(braked)
        assert (held["label"], held["step"], held["line"], held["signal"]) == (
            "lab",
            "stop",
            "extension",
            "presented-numbers-in-a-minute",
        )
        assert command_json(braked, "status")["brake"]["subjects"][0]["token"] == held["token"]
        assert braked.record(held["call_id"])["reason"] in ("brake-slow", "licence-valid")
        given = command_json(braked, "brake", "release", held["token"][:8], "--why", "a test of ours")
        assert given["token"] == held["token"]
        assert (await present(phones, LICENSED, interface)).status == "BUSY"
        await lists(braked)
        await phones.nothing_is_left()
    braked.stop()
    assert acts(braked)[-4:] == [
        ("brake-mark", None),
        ("brake-slow", None),
        ("brake-stop", None),
        ("brake-release", "a test of ours"),
    ]
    assert "0612345" not in braked.log()


async def test_a_stop_outlives_restart_kill_and_hand_over_and_a_release_does_too(asterisk, braked):
    async with lab(asterisk) as phones:
        await stopped(phones)
        for way in ("restart", "kill", "hand-over"):
            before = braked.process
            if way == "hand-over":
                await asyncio.to_thread(braked.start, "--take-over")
                assert before
                await asyncio.to_thread(before.wait, 10)
            else:
                await lists(braked, "stop")
                await asyncio.to_thread(braked.stop, *([9] if way == "kill" else []))
                await asyncio.to_thread(braked.start)
            assert (await present(phones, LICENSED)).reason == "brake-stop", way
        await asyncio.to_thread(braked.stop)
        [held] = held_line(braked)
        command_json(braked, "brake", "release", held["token"], "--why", "while no service runs")
        await asyncio.to_thread(braked.start)
        assert (await present(phones, LICENSED)).status == "BUSY"
    assert acts(braked)[-1] == ("brake-release", "while no service runs"), acts(braked)
    for path in braked.ledger.parent.glob("*.brake*"):
        assert "612345" not in path.read_text()
        assert path.stat().st_mode & 0o077 == 0


async def test_calls_of_the_hook_count_when_the_service_is_back(asterisk, braked):
    async with lab(asterisk) as phones:
        await asyncio.to_thread(braked.stop)
        alone = [ending async for ending in attack(phones, STOP_AT + 2)]
        assert {ending.reason for ending in alone} == {"service-unavailable"}
        await asyncio.to_thread(braked.start)
        await lists(braked, "stop")
        assert (await present(phones, LICENSED)).reason == "brake-stop"


async def test_an_operator_who_only_wants_marks_gets_marks(asterisk, shared_service):
    shared_service.stop()
    with Service(asterisk, LAB_REGISTRY, brake=f"{EXTENSION}, highest: mark") as service:
        async with lab(asterisk) as phones:
            endings = [ending async for ending in attack(phones, STOP_AT + 2)]
        assert {ending.reason for ending in endings} == {"licence-valid"}
        await lists(service, "mark")


async def test_a_fleet_hears_of_a_stop_and_of_its_release_within_seconds(
    installation, asterisk, server: Server, tmp_path
):
    key_file = tmp_path / "fleet.key"
    key_file.write_text(f"{bytes(range(KEY_BYTES)).hex()}\n")
    key_file.chmod(0o600)
    asterisk.site.own(key_file, "idtone")
    make_reachable(tmp_path)
    fleet = f"key_file: {key_file}"
    with ExitStack() as life:
        pbxs = [life.enter_context(Asterisk(installation, tmp_path / name)) for name in ("one", "other")]
        services = [
            life.enter_context(Service(pbx, LAB_REGISTRY, node=node, brake=EXTENSION, fleet=fleet, shared=server))
            for pbx, node in zip(pbxs, ("pbx-1", "pbx-2"), strict=True)
        ]
        async with lab(pbxs[0]) as one, lab(pbxs[1]) as other:
            assert (await present(other, LICENSED)).status == "BUSY"
            await stopped(one)
            await lists(services[1], "stop")
            assert (await present(other, LICENSED)).reason == "brake-stop"
            [held] = held_line(services[1])
            assert (held["node"], held["label"]) == ("pbx-1", "lab")
            command_json(services[1], "brake", "release", held["token"], "--why", "released on the other node")
            assert (await present(other, LICENSED)).status == "BUSY"
            await lists(services[0])
            assert (await present(one, LICENSED)).status == "BUSY"
