"""Calls in a codec for which this Asterisk has no transcoder are connected without a sound."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import product

import pytest

from lab import voices
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.codecs import G729
from lab.lab import ANSWER, LICENSED, Forwarding, lab
from lab.nightly_tests import rest_in_breadth
from lab.phone import Phone

PROMPTLY_MS = 400
"""Maximum time in ms from the called phone's answer to the caller's, without a sound. A sound alone takes 440 ms."""


@asynccontextmanager
async def compressed(asterisk):
    """Context with the lab, in which the caller and the called phone offer only G.729."""
    async with lab(asterisk) as phones:
        phones.caller.codecs = (G729,)
        async with Phone(phones.caller.media, voices.CALLED, ANSWER, codecs=(G729,)) as called:
            yield phones, called


def forwardings(called):
    host, port = called.address
    destination = f"PJSIP/compressed/sip:x@{host}:{port};lab={{name}}"
    return over_both_interfaces(
        *(
            Forwarding(way=way, direction=direction, endpoint="compressed", destination=destination, caller=LICENSED)
            for way, direction in product(("hook", "own-dial"), ("incoming", "outgoing"))
        )
    )


async def assert_connected(phones, called, forwardings):
    async def one(forwarding):
        placed = phones.dial(forwarding)
        await placed.caller.final()
        phones.pair(placed, called)
        assert placed.caller.answered_ns, (forwarding, placed.caller.final_status)
        assert placed.connected_after_ms < PROMPTLY_MS, forwarding
        await phones.talk_and_hang_up(placed)
        assert placed.called.packets, forwarding

    await run_concurrently(forwardings, one)
    await phones.nothing_is_left()


@pytest.mark.alone
@rest_in_breadth("hears", ["called", "both"])
async def test_the_call_is_connected_at_once_and_nothing_counts_as_sounded(asterisk, serving, hears):
    service = serving(policy=f"notify: {{incoming: {hears}, outgoing: {hears}}}")
    since = datetime.now(UTC)
    async with compressed(asterisk) as (phones, called):
        calls = forwardings(called)
        await assert_connected(phones, called, calls)
    records = service.records(since).values()
    assert len(records) == len(calls)
    for record in records:
        assert (record["status"], record["reason"]) == ("CONNECTED", "licence-valid")
        assert set(record["delivery"].values()) == {"not-known"}
        assert "sound_ended" not in record["times"]
        assert record["anomalies"]


@pytest.mark.alone
async def test_while_the_service_is_away_too(asterisk, shared_service):
    shared_service.stop_with_default_files()
    async with compressed(asterisk) as (phones, called):
        await assert_connected(phones, called, forwardings(called))
