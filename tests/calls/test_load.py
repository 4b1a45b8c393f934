"""The start of the sound, many calls at once, and the service's overhead compared with Asterisk's own announcement."""

import asyncio
import statistics

import pytest

from lab.calls.assert_heard import assert_heard_by, assert_heard_then_connected
from lab.calls.assert_proved import POLICY, RECOGNISED_S, WAYS, over_both_interfaces
from lab.calls.ending_cases import SOUND_S
from lab.lab import Forwarding, PlacedCall, lab

CALLS, AT_ONCE = 60, 20
ADDED_LIMIT_MS = 5.0
TURNS = 9
APART_S = 0.4
"""Seconds from the start of one call to the start of the next. By then, the sound of the first call has begun."""
ONE_LATEST_MS, LATEST_MS = 80, 150
"""Latest start of the sound in ms after the answer: for one call, and for twenty calls answered together."""


@pytest.mark.alone
async def test_the_sound_begins_at_once(asterisk, serving, shared_service, references):
    """Each way into the hook is tested, with the service up and down. No call starts during the sound of another."""
    serving(policy=POLICY)
    forwardings = [*(way.forwarding() for way in WAYS), *over_both_interfaces(Forwarding(way="own-dial"))]
    async with lab(asterisk) as phones:

        async def call(turn: int) -> PlacedCall:
            await asyncio.sleep(turn * APART_S)
            placed, _ = await phones.call(forwardings[turn], RECOGNISED_S)
            return placed

        for profile in ("sample", "notice"):
            calls = await asyncio.gather(*map(call, range(len(forwardings))))
            for way, placed in zip(WAYS, calls, strict=False):
                heard = dict.fromkeys(way.parties, profile)
                assert_heard_by(placed, heard, references, latest_ms=ONE_LATEST_MS)
            for placed in calls[len(WAYS) :]:
                assert_heard_then_connected(placed, profile, references, latest_ms=ONE_LATEST_MS)
            shared_service.stop()


@pytest.mark.alone
async def test_60_calls_20_at_a_time(asterisk, service, references):
    """All calls connect and are recorded, and no channel is left.

    Each called phone hears the complete sound, and no voice before its end.
    """
    before = service.records()
    places = asyncio.Semaphore(AT_ONCE)
    async with lab(asterisk) as phones:

        async def call() -> PlacedCall:
            async with places:
                placed, _ = await phones.call()
                return placed

        async with asyncio.TaskGroup() as together:
            tasks = [together.create_task(call()) for _ in range(CALLS)]
        await phones.nothing_is_left(within_s=5)
        placed = [task.result() for task in tasks]
    endings = await asyncio.to_thread(asterisk.endings)
    assert [one.caller.final_status for one in placed] == [200] * CALLS
    heard = [assert_heard_then_connected(one, "sample", references, latest_ms=LATEST_MS) for one in placed]
    records = service.records()
    new = records.keys() - before.keys()
    assert {endings[one.name].call_id for one in placed} == new
    assert len(new) == CALLS
    for call_id in new:
        record = records[call_id]
        assert (record["sent"], record["complete"], record["status"]) == (True, True, "CONNECTED")
        assert not record["anomalies"]
    onsets = sorted(one.onset_ms for one in heard if one.onset_ms is not None)
    print(
        f"\n{CALLS} calls, {AT_ONCE} at a time: lowest correlation {min(one.correlation for one in heard):.4f},"
        f" onset after the answer median {statistics.median(onsets):.1f} ms, latest {onsets[-1]:.1f} ms"
    )


@pytest.mark.nightly
@pytest.mark.alone
async def test_connecting_costs_little_over_asterisks_own_announcement(asterisk, service):
    """The time from the called phone's answer to the caller's is compared with that of Dial(…,A(the same file)).

    The two kinds of calls alternate.
    """
    took: dict[str, list[float]] = {"native": [], "hook": []}
    async with lab(asterisk) as phones:
        for _ in range(TURNS):
            for way, connected_ms in took.items():
                placed, _ = await phones.call(Forwarding(way=way), talk_s=0.05)
                connected_ms.append(placed.connected_after_ms)
    native, hook = (statistics.median(values) - SOUND_S * 1000 for values in took.values())
    print(f"\nanswer → connected, less the sound: native {native:.2f} ms, hook {hook:.2f}, {hook - native:+.2f}")
    # If Asterisk itself takes longer than this on a machine, the hook may take longer in proportion.
    assert hook - native <= max(ADDED_LIMIT_MS, 1.5 * native)
