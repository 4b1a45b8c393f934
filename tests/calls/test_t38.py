"""A called fax machine requests T.38 during the sound and after it."""

import asyncio

from lab import fax
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import AFTER_S, RECOGNISED_S, wait_for_answer
from lab.calls.ending_cases import wait_for_sound
from lab.lab import Forwarding, lab, wait_until

REFUSED_WITHIN_S = 8
"""Seconds until the refusal. Asterisk waits five seconds for an application to accept the request."""


async def test_during_the_sound_it_is_refused_and_the_sound_is_whole(asterisk, service, references):
    async with lab(asterisk) as phones:

        async def during(way):
            placed = phones.dial(Forwarding(endpoint="fax", way=way))
            await wait_for_answer(phones, placed, 0)
            await wait_for_sound(placed.called)
            response = await placed.called.ask_for_t38(REFUSED_WITHIN_S)
            await phones.talk_and_hang_up(placed, RECOGNISED_S)
            return placed, response

        calls = await asyncio.gather(*map(during, ("hook", "own-dial")))
    for placed, response in calls:
        assert response.status == 488
        assert_heard_then_connected(placed, "sample", references)


async def test_after_the_sound_it_reaches_the_other_party(asterisk, service):
    async with lab(asterisk) as phones:

        async def after(way):
            placed = phones.dial(Forwarding(endpoint="fax", way=way))
            await placed.caller.final()
            await wait_for_answer(phones, placed, AFTER_S)
            response = await placed.called.ask_for_t38(REFUSED_WITHIN_S)
            await wait_until(
                lambda: any(fax.IMAGE in each.request.body for each in placed.caller.asked), "the caller's turn"
            )
            await phones.talk_and_hang_up(placed)
            return response

        for response in await asyncio.gather(*map(after, ("hook", "own-dial"))):
            assert response.status == 200
            assert fax.IMAGE in response.body
