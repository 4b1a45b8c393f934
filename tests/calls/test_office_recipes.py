"""The dialplans of docs/how-to/queues.md for external transfers, meeting rooms and parked calls, on a real PBX."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from lab import transfer, voices
from lab.asterisk_installation import AsteriskInstallation
from lab.calls.assert_heard import hear_from_answer
from lab.calls.how_to_dialplans import Case, Network, Pbx, network, records_of, running_pbx, wait_for_records
from lab.incoming_call import IncomingCall
from lab.key_presses import KeyMethod, press
from lab.lab import wait_until
from lab.outgoing_call import OutgoingCall
from lab.sip import Uri
from lab.sound_detection import hear, hear_whole

EXTENSION = "201"


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    with running_pbx(installation, tmp_path_factory.mktemp("office")) as one:
        yield one


def assert_heard(call: IncomingCall, references: dict[str, Any], voice: Any = voices.CALLER) -> None:
    """Check that the called party heard the complete licensed sound once, before it heard the other party."""
    assert call.answered_ns
    sound = hear_from_answer(call.packets, call.answered_ns, reference=references["sample"], voice=voice)
    assert (sound.times, sound.complete) == (1, True), sound
    assert sound.end_ms is not None
    assert sound.voice_ms is not None, f"it heard nobody: {sound}"
    assert sound.voice_ms >= sound.end_ms - 20, sound


async def at(net: Network, number: str, line: str = "trunk") -> IncomingCall:
    """The call at the phone of the number, once this phone has answered."""

    def there() -> list[IncomingCall]:
        return [call for call in net.rung(number, line) if call.answered_ns]

    await wait_until(there, f"{number} to answer", 15)
    return there()[-1]


async def hears(call: IncomingCall, voice: Any) -> None:
    def there() -> bool:
        return hear(call.packets[-10:-4], 0, voice=voice).voice_ms is not None

    await wait_until(there, "the parties to talk", 10)


async def in_the_office(net: Network) -> tuple[OutgoingCall, IncomingCall]:
    """A call from outside to the extension: the caller's side and the extension's side."""
    placed = await net.answered(Case("office", EXTENSION, EXTENSION, at=EXTENSION))
    assert placed.called
    await hears(placed.called, voices.CALLER)
    return placed.caller, placed.called


async def consult(net: Network, number: str) -> OutgoingCall:
    """Let the extension call an external number."""
    headers = [("X-Lab-Context", "office"), ("X-Lab-Interface", "ari")]
    address = net.pbx.service.asterisk.sip_address
    return await net.phones[EXTENSION].call(number, address, caller_id=EXTENSION, headers=headers)


def record_of(records: list[dict[str, Any]], number: str, direction: str) -> None:
    (record,) = records_of(records, number)
    assert (record["outcome"], record["status"], record["direction"]) == ("PLAY", "CONNECTED", direction), record
    assert "called" in record["known_by"], record
    assert record["complete"]


@pytest.mark.parametrize(
    ("to", "number"),
    [
        pytest.param("09010000201", "09010000201", id="a blind transfer to outside"),
        pytest.param("700", "09012345675", id="a parked call that nobody fetches"),
    ],
)
async def test_a_call_goes_on_to_a_mobile(pbx: Pbx, references: dict[str, Any], to: str, number: str) -> None:
    async with wait_for_records(pbx, 1) as records, network(pbx) as net:
        caller, extension = await in_the_office(net)
        assert (await transfer.blind(extension, Uri(to, *pbx.service.asterisk.sip_address))).status == 202
        reached = await at(net, number)
        await hears(reached, voices.CALLER)
        await caller.hangup()
        await reached.ended()
    assert_heard(reached, references)
    record_of(records, number, "incoming")


async def test_an_attended_transfer_to_outside(pbx: Pbx, references: dict[str, Any]) -> None:
    number = "09010000202"
    async with wait_for_records(pbx, 1) as records, network(pbx) as net:
        caller, extension = await in_the_office(net)
        consulted = await consult(net, number)
        reached = await at(net, number)
        await hears(reached, voices.CALLED)
        assert (await transfer.attended(extension, consulted)).status == 202
        assert await transfer.outcome(extension) == 200
        await hears(reached, voices.CALLER)
        await caller.hangup()
        await reached.ended()
    assert_heard(reached, references, voices.CALLED)
    record_of(records, number, "outgoing")


@pytest.mark.nightly
@pytest.mark.parametrize(("keys", "number"), [("#1", "09010000203"), ("*2", "09010000204")], ids=["blind", "attended"])
async def test_a_transfer_by_keys(pbx: Pbx, references: dict[str, Any], keys: str, number: str) -> None:
    async with wait_for_records(pbx, 1) as records, network(pbx) as net:
        caller, extension = await in_the_office(net)
        for key in keys + number:
            await press(extension, key, KeyMethod.EVENTS)
            await asyncio.sleep(0.06)
        reached = await at(net, number)
        if keys == "*2":
            await hears(reached, voices.CALLED)
            await extension.hangup()
        await hears(reached, voices.CALLER)
        await caller.hangup()
        await reached.ended()
    assert_heard(reached, references, voices.CALLED if keys == "*2" else voices.CALLER)
    record_of(records, number, "incoming" if keys == "#1" else "outgoing")


async def test_a_room_calls_a_number_that_hears_the_sound_and_joins(pbx: Pbx, references: dict[str, Any]) -> None:
    number = "09010000205"
    async with wait_for_records(pbx, 1) as records, network(pbx) as net:
        joined = net.dial(Case("rooms", "801", "801"))
        assert await joined.caller.final() == 200
        asking = net.dial(Case("rooms", f"*801*{number}", number))
        reached = await at(net, number)
        await hears(reached, voices.CALLER)
        assert not hear_whole(joined.caller.packets, 0, reference=references["sample"]).present
        await asking.caller.final()
        await reached.hangup()
        await joined.caller.hangup()
    assert_heard(reached, references)
    record_of(records, number, "outgoing")


async def test_a_parked_call_that_an_extension_fetches_is_not_sounded(pbx: Pbx, references: dict[str, Any]) -> None:
    async with wait_for_records(pbx, 0) as records, network(pbx) as net:
        caller, extension = await in_the_office(net)
        assert (await transfer.blind(extension, Uri("700", *pbx.service.asterisk.sip_address))).status == 202
        assert await transfer.outcome(extension) == 200
        fetching = await consult(net, "701")
        await wait_until(
            lambda: hear(caller.packets[-10:-4], 0, voice=voices.CALLED).voice_ms is not None, "them to talk"
        )
        await fetching.hangup()
        await caller.ended()
    assert not hear_whole(fetching.packets, 0, reference=references["sample"]).present
    assert records == []
