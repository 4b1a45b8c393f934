"""How calls end that are not connected, and what the caller's phone gets."""

from __future__ import annotations

import asyncio

import pytest

from ..lab import voices
from ..lab.heard import hear
from ..lab.lab import Forwarding, lab, until
from ..lab.phone import BUSY, DECLINE, UNAVAILABLE, Answer, EarlyMedia, ring
from .hearing import assert_heard_then_connected

pytestmark = pytest.mark.usefixtures("interface")


@pytest.mark.parametrize(
    ("behaviour", "timeout_s", "status", "sip"),
    [
        pytest.param(BUSY, "", "BUSY", 486, id="busy"),
        pytest.param(DECLINE, "", "BUSY", 403, id="declined"),  # what PJSIP makes of cause 21
        pytest.param(ring, "1", "NOANSWER", 480, id="no answer"),
        pytest.param(UNAVAILABLE, "", "NOANSWER", 480, id="unavailable"),
    ],
)
async def test_a_called_phone_that_does_not_answer(asterisk, service, behaviour, timeout_s, status, sip):
    async with lab(asterisk, behaviour) as phones:
        placed = await phones.place(Forwarding(timeout_s=timeout_s))
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    assert (ending.status, ending.reason) == (status, "licence-valid")
    assert placed.caller.final_status == sip
    record = service.record(ending.call_id)
    assert (record["status"], record["heard"], record["complete"]) == (status, False, True)
    assert list(record["times"]) == ["decided", "ended"]


async def test_a_caller_who_gives_up_while_it_rings(asterisk, service):
    async with lab(asterisk, ring) as phones:
        placed = phones.dial()
        await until(lambda: phones.called.calls, "the phone to ring")
        await phones.give_up(placed)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    assert (ending.status, ending.reason) == ("CANCEL", "licence-valid")
    assert placed.caller.final_status == 487
    assert service.record(ending.call_id)["status"] == "CANCEL"


async def test_a_caller_who_gives_up_during_the_sound(asterisk, service):
    async with lab(asterisk) as phones:
        placed = phones.dial()
        await until(lambda: phones.called.calls and phones.called.calls[0].answered_ns, "the answer")
        await asyncio.sleep(0.15)
        await phones.give_up(placed)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    assert placed.caller.answered_ns is None
    assert ending.status == "CANCEL"
    record = service.record(ending.call_id)
    assert (record["heard"], record["status"], record["complete"]) == (False, "CANCEL", True)
    assert "sound-failed" in record["times"]
    assert "connected" not in record["times"]
    assert not record["anomalies"]


async def test_a_called_party_who_hangs_up_during_the_sound(asterisk, service):
    async with lab(asterisk, Answer(after_ms=20, hangup_after_ms=150)) as phones:
        placed = await phones.place()
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    assert placed.caller.answered_ns is None
    assert ending.status == "FAILED"
    record = service.record(ending.call_id)
    assert (record["heard"], record["status"], record["complete"]) == (False, "FAILED", True)


async def test_a_caller_who_hangs_up_after_connecting(asterisk, service):
    """The caller does not come back from Gosub(): the `h` extension knows that the call was connected."""
    async with lab(asterisk) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed)
        ending = await phones.ending(placed)
    assert (ending.status, ending.cause) == ("CONNECTED", "16")


async def test_a_called_party_who_hangs_up_after_connecting(asterisk, service, references):
    async with lab(asterisk, Answer(after_ms=20, hangup_after_ms=900)) as phones:
        placed = await phones.place()
        await placed.caller.ended()
        assert_heard_then_connected(placed, "sample", references)
        ending = await phones.ending(placed)
    assert (ending.status, ending.cause) == ("CONNECTED", "16")
    assert service.record(ending.call_id)["status"] == "CONNECTED"


async def test_early_media_reaches_the_caller(asterisk, service, references):
    async with lab(asterisk, EarlyMedia(voices.ANNOUNCEMENT, answer_after_ms=600)) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "sample", references, early_media=True)
        ending = await phones.ending(placed)
    assert ending.status == "CONNECTED"
    assert placed.called
    assert placed.called.answered_ns
    assert 183 in [status for status, _ in placed.caller.provisional]
    early = hear(placed.caller.packets, placed.called.answered_ns, voice=voices.ANNOUNCEMENT)
    assert early.voice_ms is not None
    assert early.voice_ms < -400
    assert placed.caller.answered_ns
    later = hear(placed.caller.packets, placed.caller.answered_ns, voice=voices.CALLED)
    assert later.voice_ms is not None


@pytest.mark.parametrize("hearing", ["called", "both"])
async def test_the_operators_own_deadline_ends_the_conversation(asterisk, serving, hearing):
    """TIMEOUT(absolute), set before the hook was called: the call is over then, and nobody is dialled again."""
    serving(policy=f"notify: {{incoming: {hearing}}}")
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(headers=(("X-Lab-Deadline", "2"),)))
        assert placed.caller.final_status == 200
        await placed.caller.ended(4)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
        assert len(phones.called.calls) == 1
    assert (ending.status, ending.cause) == ("CONNECTED", "16")


async def test_the_operators_own_deadline_ends_the_ringing(asterisk, service):
    async with lab(asterisk, ring) as phones:
        placed = await phones.place(Forwarding(headers=(("X-Lab-Deadline", "1"),)))
        assert (await phones.ending(placed)).status == "FAILED"
        await phones.nothing_is_left()
        assert len(phones.called.calls) == 1
