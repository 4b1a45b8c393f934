"""Session timers (RFC 4028): the phone of either leg refreshes the session during the sound and after it."""

import asyncio
from typing import Literal, get_args

from lab import session_timers
from lab.call import Call
from lab.calls.assert_proved import (
    AFTER_S,
    POLICY,
    WAYS,
    CallResult,
    Way,
    assert_proved,
    call_result,
    run_concurrently,
    wait_for_answer,
)
from lab.lab import PlacedCall, lab, wait_until
from lab.phone import Answer

Method = Literal["UPDATE", "INVITE"]
FIRST = f"{POLICY}, caller_hears: answered"


async def test_a_refresh_during_the_sound_and_after_it(asterisk, serving, references):
    service = serving(policy=FIRST)
    cases = [(way, who, method) for way in WAYS for who in way.parties for method in get_args(Method)]
    async with lab(asterisk) as phones:

        async def one(case: tuple[Way, str, Method]) -> tuple[PlacedCall, CallResult]:
            way, who, method = case
            placed = phones.dial(
                way.forwarding(headers=session_timers.offer_headers() if who == "caller" else ()),
                behaviour=Answer(after_ms=20, headers=session_timers.answer_headers() if who == "called" else ()),
            )
            await wait_for_answer(phones, placed, 0.1)
            await wait_until(lambda: who == "called" or placed.caller.answered_ns, "the caller to be answered")
            call: Call | None = placed.caller if who == "caller" else placed.called
            assert call
            for pause_s in (AFTER_S, 0.2):
                response = await session_timers.refresh(call, method)
                assert response.status == 200, case
                assert response.get("Session-Expires").startswith(str(session_timers.SHORTEST_S)), case
                await asyncio.sleep(pause_s)
            await placed.caller.hangup()
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(cases, one)
        await phones.nothing_is_left()
    for (way, _, _), (placed, said) in calls:
        assert_proved(way, placed, said, references)
