"""Several phones ring together. One of them takes the call, and only this phone hears the sound."""

import asyncio

from lab import voices
from lab.calls.assert_proved import (
    POLICY,
    SOUND_S,
    WAYS,
    CallResult,
    Way,
    assert_proved,
    call_result,
    complete_call,
    run_concurrently,
)
from lab.calls.ending_cases import wait_for_sound
from lab.incoming_call import IncomingCall
from lab.lab import PlacedCall, lab
from lab.phone import Answer, ring

AT_ONCE = Answer(after_ms=100, voice=voices.CALLED)


async def test_the_first_answer_wins_and_the_others_stop_ringing(asterisk, serving, references):
    service = serving(policy=POLICY)
    async with lab(asterisk, ring, AT_ONCE, ring) as phones:
        calls = await run_concurrently(WAYS, lambda way: complete_call(phones, service, way.forwarding()))
        await phones.nothing_is_left()
    for way, (placed, said) in calls:
        assert [call.final_status for call in placed.rung] == [487, 200, 487], way
        winner = placed.rung[1]
        assert all(
            call.ended_ns and call.ended_ns < winner.answered_ns + SOUND_S * 1e9
            for call in placed.rung
            if call != winner
        ), f"{way}: the others ring on during the sound"
        assert_proved(way, placed, said, references)


async def test_two_that_answer_at_the_same_moment(asterisk, serving, references):
    """One phone gets the complete call. The other phone's call ends at once, without a sound."""
    service = serving(policy=POLICY)
    async with lab(asterisk, AT_ONCE, AT_ONCE) as phones:

        async def one(way: Way) -> tuple[PlacedCall, CallResult]:
            placed = phones.dial(way.forwarding())
            await placed.caller.final()
            phones.pair(placed)
            (placed.called,) = [call for call in placed.rung if call.ended_ns is None]
            await phones.talk_and_hang_up(placed, 0.6)
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(WAYS, one)
        await phones.nothing_is_left()
    for way, (placed, said) in calls:
        assert_proved(way, placed, said, references)
        (loser,) = [call for call in placed.rung if call is not placed.called]
        assert loser.final_status in (200, 487), way
        assert loser.ended_by == "them", way
        assert not loser.packets, f"{way}: the one that lost heard something"


async def test_a_winner_who_hangs_up_during_the_sound_ends_the_call(asterisk, serving):
    service = serving(policy=POLICY)

    async def answer_and_hang_up(call: IncomingCall) -> None:
        await AT_ONCE(call)
        await wait_for_sound(call)  # no fixed time: on a busy machine the sound may be over
        await call.hangup()

    async with lab(asterisk, answer_and_hang_up, ring) as phones:

        async def one(way: Way) -> tuple[PlacedCall, CallResult]:
            placed = await phones.place(way.forwarding())
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(WAYS, one)
        await asyncio.gather(*(call.ended() for _, (placed, _) in calls for call in placed.rung))
        await phones.nothing_is_left()
    for way, (placed, said) in calls:
        assert [call.final_status for call in placed.rung] == [200, 487], way
        assert placed.caller.final_status == 503, way
        assert (said.ending.status, said.ending.cause) == ("FAILED", "34"), way
        record = said.record
        assert (record["status"], record["complete"], record["anomalies"]) == ("FAILED", True, []), way
        assert "connected" not in record["times"], way
        assert "called" not in record["known_by"], way
