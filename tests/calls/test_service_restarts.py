"""The service dies, freezes, stops or starts during calls, and so does Asterisk."""

import asyncio
import signal
import subprocess
import time

from lab.asterisk import IDTONE, Asterisk
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import wait_for_answer
from lab.calls.connected_call import DEADLINE_S, connected_call
from lab.chosen_asterisk import transports
from lab.lab import CALLER_NUMBER, Lab, lab, wait_until
from lab.nightly_tests import rest_in_breadth
from lab.publication import LAB_REGISTRY
from lab.service import Service


async def in_stasis(phones: Lab) -> None:
    async def there() -> bool:
        return "Stasis" in await asyncio.to_thread(phones.asterisk.command, "core show channels concise")

    await wait_until(there, "the caller to wait for the verdict")


async def test_calls_outlive_a_service_that_is_killed(asterisk, own_service, references):
    async with lab(asterisk) as phones:
        staying, staying_id = await connected_call(phones, own_service)
        going, going_id = await connected_call(phones, own_service)
        await asyncio.to_thread(own_service.stop, signal.SIGKILL)
        killed_ns = time.time_ns()
        unserved, _ = await phones.call()
        await phones.talk_and_hang_up(going)
        assert_heard_then_connected(unserved, "notice", references)
        assert (await phones.ending(unserved)).reason == "service-unavailable"
        assert staying.caller.ended_ns is None
        assert staying.called
        since = [packet for packet in staying.called.packets if packet.arrival_ns > killed_ns]
        assert len(since) > 0.9 * (time.time_ns() - killed_ns) / 20e6, "the talk goes on"

        await asyncio.to_thread(own_service.start)
        served, _ = await phones.call()
        assert_heard_then_connected(served, "sample", references)
        await phones.talk_and_hang_up(staying)
        await phones.nothing_is_left()
        served_id = (await phones.ending(served)).call_id
    records = await asyncio.to_thread(own_service.records)
    own_service.stop()
    for call_id in (staying_id, going_id, served_id):
        record = records[call_id]
        assert (record["sent"], record["status"], record["complete"]) == (True, "CONNECTED", True)
        assert record["anomalies"] == []
    alone = records[(await phones.ending(unserved)).call_id]
    assert (alone["fallback"], alone["sent"], alone["status"], alone["complete"]) == (True, True, "CONNECTED", True)


@rest_in_breadth("transport", transports())
async def test_a_service_that_is_told_to_stop_has_no_part_in_the_sound(asterisk, shared_service, references, transport):
    shared_service.stop()
    own = Service(asterisk, LAB_REGISTRY, transport=transport)
    async with lab(asterisk) as phones:
        with own:
            placed = phones.dial()
            await wait_for_answer(phones, placed)
            assert await asyncio.to_thread(own.stop) == 0
        await placed.caller.final()
        phones.pair(placed)
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "sample", references)
        ending = await phones.ending(placed)
    assert (ending.status, ending.reason) == ("CONNECTED", "licence-valid")
    with own:
        record = await asyncio.to_thread(own.record, ending.call_id)
    assert (record["sent"], record["complete"]) == (True, True)


async def test_a_caller_who_waits_is_taken_up_by_the_next_service(asterisk, own_service, references):
    async with lab(asterisk) as phones:
        assert own_service.process
        own_service.process.send_signal(signal.SIGSTOP)
        placed = phones.dial()
        await in_stasis(phones)
        await asyncio.to_thread(own_service.stop, signal.SIGKILL)
        await asyncio.to_thread(own_service.start)
        ready_s = time.monotonic()
        await placed.caller.final()
        taken_up_s = time.monotonic() - ready_s
        phones.pair(placed)
        await phones.talk_and_hang_up(placed)
        ending = await phones.ending(placed)
    assert taken_up_s < DEADLINE_S
    assert_heard_then_connected(placed, "sample", references)
    assert (ending.status, ending.reason) == ("CONNECTED", "licence-valid")
    record = own_service.record(ending.call_id)
    assert (record["outcome"], record["sent"], record["complete"]) == ("PLAY", True, True)
    assert record["numbers"]["caller"]["last4"] == CALLER_NUMBER[-4:]


async def test_a_service_that_freezes_is_as_good_as_away(asterisk, own_service, references):
    async with lab(asterisk) as phones:
        assert own_service.process
        own_service.process.send_signal(signal.SIGSTOP)
        try:
            began_ns = time.time_ns()
            placed = await phones.place()
        finally:
            own_service.process.send_signal(signal.SIGCONT)
        assert placed.called
        rang_after_s = (placed.called.arrival_ns - began_ns) / 1e9
        assert DEADLINE_S - 0.2 < rang_after_s < 2 * DEADLINE_S
        await phones.talk_and_hang_up(placed)  # an answer of the service would now be too late
        assert_heard_then_connected(placed, "notice", references)
        ending = await phones.ending(placed)
        assert (ending.status, ending.reason) == ("CONNECTED", "service-unavailable")
        again, _ = await phones.call()
        assert_heard_then_connected(again, "sample", references)
    record = await asyncio.to_thread(own_service.record, ending.call_id)
    assert (record["outcome"], record["reason"]) == ("NOTICE", "service-unavailable")
    assert record["fallback"]
    assert [*record["known_by"]] == ["called"]


async def test_a_second_service_on_the_same_ledger_is_refused(asterisk, own_service, references):
    second = await asyncio.to_thread(
        subprocess.run,
        [IDTONE, "serve", "-c", own_service.settings],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    said = [line for line in second.stderr.splitlines() if line.startswith("idtone:")]
    assert len(said) == 1
    assert "another process writes to this ledger; stop the other `idtone serve`" in said[0]
    async with lab(asterisk) as phones:
        placed, _ = await phones.call()
        assert_heard_then_connected(placed, "sample", references)


async def test_asterisk_restarts_under_the_service(installation, tmp_path, references):
    with Asterisk(installation, tmp_path / "pbx") as asterisk, Service(asterisk, LAB_REGISTRY) as service:
        await asyncio.to_thread(asterisk.stop)
        await asyncio.to_thread(asterisk.start)
        await wait_until(lambda: service.log().count("ready: Asterisk") == 2, "the service to be ready again", 10)
        async with lab(asterisk) as phones:
            placed, _ = await phones.call()
            assert_heard_then_connected(placed, "sample", references)
            ending = await phones.ending(placed)
        assert service.record(ending.call_id)["sent"]
        assert service.stop() == 0
