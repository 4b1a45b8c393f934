"""Session timers (RFC 4028) in real time: the shortest allowed interval is ninety seconds.

`make bench-timers` runs them; `make test` does not, because they take minutes.
"""

import asyncio
from itertools import product

from lab import session_timers
from lab.calls.assert_proved import POLICY, WAYS, CallResult, Way, assert_connected, call_result
from lab.lab import PlacedCall, lab
from lab.phone import Answer
from lab.session_timers import Refresher

EXPIRES_S = session_timers.SHORTEST_S
EXPIRED_S = EXPIRES_S - EXPIRES_S // 3 + 5
"""Seconds after which a session without a refresh has ended: two thirds of the interval (RFC 4028, 10), and a margin.
"""


async def test_asterisk_refreshes_and_ends_what_is_not_refreshed(asterisk, serving):
    """On each leg, Asterisk refreshes the session in one call.

    In another call the phone must refresh the session, and does not.
    """
    service = serving(policy=POLICY)
    ways = [way for way in WAYS if way.interface == "ari"]
    cases = list(product(ways, ("caller", "called"), ("uac", "uas")))
    async with lab(asterisk) as phones:

        async def one(case: tuple[Way, str, Refresher]) -> tuple[PlacedCall, CallResult]:
            way, who, refresher = case
            placed = await phones.place(
                way.forwarding(headers=session_timers.offer_headers(EXPIRES_S, refresher) if who == "caller" else ()),
                behaviour=Answer(
                    after_ms=20, headers=session_timers.answer_headers(EXPIRES_S, refresher) if who == "called" else ()
                ),
            )
            await asyncio.sleep(EXPIRED_S)
            call = placed.caller if who == "caller" else placed.called
            assert call
            # The caller is the UAC of his leg, and Asterisk that of the called phone's.
            if (who == "caller") == (refresher == "uac"):
                assert call.ended_by == "them", f"{case}: a call that nobody refreshed is still there"
            else:
                assert (call.ended_by, session_timers.refreshes(call)) == (None, 1), case
            await placed.caller.hangup()
            return placed, await call_result(phones, service, placed)

        calls = await asyncio.gather(*map(one, cases))
        await phones.nothing_is_left()
    for (way, _, _), (_, said) in zip(cases, calls, strict=True):
        assert_connected(way, said)
