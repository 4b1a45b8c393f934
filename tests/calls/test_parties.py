"""The called party, the caller or both hear the sound, and neither hears the other before its end."""

import asyncio

import pytest

from lab.calls.assert_heard import assert_heard_by
from lab.calls.assert_proved import over_both_interfaces
from lab.calls.ending_cases import SOUND_S
from lab.lab import Forwarding, lab
from lab.nightly_tests import one_of_each

HEARING = {"called": ("called",), "caller": ("caller",), "both": ("called", "caller")}
TOGETHER_MS = 30
"""Largest difference in ms between the starts of the sound at both phones."""


@pytest.mark.parametrize(("hearing", "first"), one_of_each(HEARING, ["early-media", "answered"]))
async def test_who_hears_the_sound(asterisk, serving, references, hearing, first):
    service = serving(policy=f"notify: {{incoming: {hearing}}}, caller_hears: {first}")
    for forwarding in over_both_interfaces(Forwarding()):
        async with lab(asterisk) as phones:
            placed, ending = await phones.call(forwarding, 1.0)
            await phones.nothing_is_left()
        answered_before = placed.called is None or placed.connected_after_ms < SOUND_S * 1000
        heard = assert_heard_by(placed, dict.fromkeys(HEARING[hearing], "sample"), references)
        if hearing == "both":
            assert abs(heard["called"].onset_ms - heard["caller"].onset_ms) <= TOGETHER_MS
        assert answered_before == (first == "answered" and hearing != "called")
        early_media = first == "early-media" and hearing != "called"
        assert (183 in [status for status, _ in placed.caller.provisional]) == early_media
        assert (ending.status, ending.reason, ending.cause) == ("CONNECTED", "licence-valid", "16")
        record = service.record(ending.call_id)
        assert (record["interface"], [*record["known_by"]]) == (forwarding.interface, list(HEARING[hearing]))
        known = {"called": "sent", "caller": "not-known"}  # the caller's packets are not counted
        assert record["delivery"] == {party: known[party] for party in HEARING[hearing]}
        assert (record["complete"], record["status"]) == (True, "CONNECTED")
        assert record["anomalies"] == []


async def test_calls_that_both_parties_hear_leave_nothing_behind(asterisk, serving):
    """In the past, 140 such calls at once left one channel forever, because its thread ended too early."""
    serving(policy="notify: {incoming: both, outgoing: both}")
    async with lab(asterisk) as phones:
        for _ in range(4):
            calls = [phones.dial(forwarding) for forwarding in over_both_interfaces(Forwarding()) * 10]
            for placed in calls:
                assert await placed.caller.final() == 200
                phones.pair(placed)
            await asyncio.gather(*(phones.talk_and_hang_up(placed, 0.05) for placed in calls))
        await phones.nothing_is_left()
