"""The table of endings, compared with a real Asterisk: the acts of the parties at every step, over both interfaces."""

import asyncio
from typing import Any

import pytest

from lab.asterisk import Ending as Told
from lab.calls.assert_proved import NOTIFY, POLICY
from lab.calls.ending_cases import SOUND_S, Case, play_case
from lab.endings import Event, Step, endings_table
from lab.lab import Forwarding, PlacedCall, lab
from lab.phone import Answer

AT_ONCE = 10
PARTIES = (
    Event.CALLER_HANGS_UP, Event.CALLED_HANGS_UP, Event.BUSY, Event.DECLINED, Event.NO_ANSWER, Event.CONGESTION,
    Event.UNREACHABLE,
)  # fmt: skip
UNANSWERED = {Event.BUSY, Event.DECLINED, Event.NO_ANSWER, Event.CONGESTION, Event.UNREACHABLE}


def check(case: Case, placed: PlacedCall, told: Told, record: dict[str, Any]) -> list[str]:
    """Differences between a call and its row in the table."""
    row = endings_table()[case.step, case.event, case.interface, NOTIFY[case.direction]]
    complaints = []
    if told.status not in row.status:
        complaints.append(f"IDTONE_STATUS {told.status}")
    if int(told.cause) not in row.cause:
        complaints.append(f"IDTONE_CAUSE {told.cause}")
    if placed.caller.final_status not in row.sip:
        complaints.append(f"the caller's phone got {placed.caller.final_status}")
    # At the moment of the connection, the caller's CANCEL may cross Asterisk's answer.
    if (told.status == "CONNECTED") != (placed.caller.final_status == 200) and case.step is not Step.CONNECTING:
        complaints.append(f"{told.status}, and the caller's phone got {placed.caller.final_status}")
    if (record["status"], record["complete"]) != (told.status, True):
        complaints.append(f"the evidence says {record['status']}, complete: {record['complete']}")
    if ("connected" in record["times"]) != (told.status == "CONNECTED"):
        complaints.append(f"{told.status}, and the evidence has {list(record['times'])}")
    if record["anomalies"]:
        complaints.append(f"anomalies: {record['anomalies']}")
    if told.reason != "licence-valid":
        complaints.append(f"IDTONE_REASON {told.reason}")
    if case.event in UNANSWERED and list(record["times"]) != ["decided", "ended"]:
        complaints.append(f"without an answer, and the evidence has {list(record['times'])}")
    if case.event in UNANSWERED and [*record["known_by"]]:
        complaints.append("played without an answer")
    # The called party hears the end of its sound although the caller has hung up.
    played = case.event is Event.CALLER_HANGS_UP and case.direction == "incoming"
    if case.step is Step.SOUNDING and ("sound-ended" if played else "sound-failed") not in record["times"]:
        complaints.append(f"hung up during the sound, and the evidence has {list(record['times'])}")
    if case.event is Event.CALLED_HANGS_UP and case.step is Step.SOUNDING and "called" in record["known_by"]:
        complaints.append("played to one who hung up during the sound")
    if placed.called and placed.called.ended_ns is None:
        complaints.append("the called phone still has the call")
    return [f"{case}: {complaint}" for complaint in complaints]


@pytest.mark.parametrize("event", PARTIES)
async def test_what_the_parties_do(asterisk, serving, event):
    """Every step of the table except the first is tested over both interfaces.

    The sound is for one party or for both.
    """
    service = serving(policy=POLICY)
    cases = [
        Case(step, event, interface, direction)
        for step, what, interface, notify in endings_table()
        if what is event and step is not Step.DECIDING
        for direction in NOTIFY
        if NOTIFY[direction] == notify
    ]
    assert cases
    async with lab(asterisk) as phones:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> PlacedCall:
            async with places:
                return await play_case(phones, case)

        placed = await asyncio.gather(*map(one, cases))
        await phones.nothing_is_left()
        told = [await phones.ending(each) for each in placed]
    records = service.records()
    complaints = [
        complaint
        for case, each, ending in zip(cases, placed, told, strict=True)
        for complaint in check(case, each, ending, records[ending.call_id])
    ]
    assert not complaints, "\n".join(complaints)
    assert {records[ending.call_id]["interface"] for ending in told} == {"ari", "agi"}


async def test_the_called_party_hangs_up_as_the_sound_ends(asterisk, serving):
    """The hook's result and the evidence agree, even if Asterisk has not yet seen the end of the sound."""
    service = serving(policy=POLICY)
    # On a busy machine, Asterisk begins later or the phone hangs up later. Even then, some of the phones hang up before
    # Asterisk has seen the end, and some after it.
    busy_ms = [far * side for far in (20, 50, 100, 200, 400) for side in (-1, 1)]
    hangups_ms = [1000 * SOUND_S + after for after in (*busy_ms, *(third / 3 for third in range(-18, 18)))]
    async with lab(asterisk) as phones:
        places = asyncio.Semaphore(AT_ONCE)

        async def call(hangup_ms: float, direction: str) -> PlacedCall:
            async with places:
                placed = phones.dial(
                    Forwarding(direction=direction), behaviour=Answer(after_ms=20, hangup_after_ms=hangup_ms)
                )
                await placed.caller.ended()
                return placed

        placed = await asyncio.gather(*(call(at_ms, direction) for at_ms in hangups_ms for direction in NOTIFY))
        await phones.nothing_is_left()
        told = [await phones.ending(each) for each in placed]
    assert {ending.status for ending in told} == {"FAILED", "CONNECTED"}
    records = service.records()
    for ending in told:
        record = records[ending.call_id]
        assert (record["status"], record["complete"], record["anomalies"]) == (ending.status, True, [])
        assert ("connected" in record["times"]) == (ending.status == "CONNECTED")
