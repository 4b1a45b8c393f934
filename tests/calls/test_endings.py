"""Endings outside the table: the phone's early media, the operator's deadline, and a phone that is switched off."""

from lab import voices
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import POLICY, WAYS, over_both_interfaces, run_concurrently
from lab.lab import Forwarding, lab
from lab.phone import UNAVAILABLE, Answer, EarlyMedia, ring
from lab.sound_detection import hear


async def test_a_called_phone_that_is_off(asterisk, service):
    async with lab(asterisk, UNAVAILABLE) as phones:
        for _, (placed, ending) in await run_concurrently(over_both_interfaces(Forwarding()), phones.call):
            assert (ending.status, ending.reason, placed.caller.final_status) == ("NOANSWER", "licence-valid", 480)
            assert list(service.record(ending.call_id)["times"]) == ["decided", "ended"]


async def test_a_called_party_who_hangs_up_after_the_conversation(asterisk, service, references):
    async with lab(asterisk, Answer(after_ms=20, hangup_after_ms=900)) as phones:
        for _, (placed, ending) in await run_concurrently(
            over_both_interfaces(Forwarding()), lambda each: phones.call(each, 5)
        ):
            assert placed.caller.ended_by == "them"
            assert_heard_then_connected(placed, "sample", references)
            assert (ending.status, ending.cause) == ("CONNECTED", "16")
            assert service.record(ending.call_id)["status"] == "CONNECTED"


async def test_early_media_reaches_the_caller(asterisk, service, references):
    async with lab(asterisk, EarlyMedia(voices.ANNOUNCEMENT, answer_after_ms=600)) as phones:
        calls = await run_concurrently(over_both_interfaces(Forwarding()), phones.call)
    for _, (placed, ending) in calls:
        assert_heard_then_connected(placed, "sample", references, early_media=True)
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


async def test_the_operators_own_deadline_ends_the_conversation(asterisk, serving):
    """TIMEOUT(absolute) was set before the hook. At that time the call ends, and no phone is dialled again."""
    serving(policy=POLICY)
    cases = [way.forwarding(headers=(("X-Lab-Deadline", "2"),)) for way in WAYS]
    async with lab(asterisk) as phones:
        for _, (placed, ending) in await run_concurrently(cases, lambda each: phones.call(each, 4)):
            assert (placed.caller.final_status, placed.caller.ended_by) == (200, "them")
            assert (ending.status, ending.cause) == ("CONNECTED", "16")
        await phones.nothing_is_left()
        assert len(phones.called.calls) == len(cases)


async def test_the_operators_own_deadline_ends_the_ringing(asterisk, service):
    cases = over_both_interfaces(Forwarding(headers=(("X-Lab-Deadline", "1"),)))
    async with lab(asterisk, ring) as phones:
        for _, (_, ending) in await run_concurrently(cases, phones.call):
            assert ending.status == "FAILED"
        await phones.nothing_is_left()
        assert len(phones.called.calls) == len(cases)
