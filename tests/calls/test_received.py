"""The record's statement on the sound, compared with the packets at the called phone. It never claims too much."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from lab import voices
from lab.calls.assert_proved import POLICY
from lab.codecs import G722, OPUS
from lab.g711 import PCMA, PCMU
from lab.incoming_call import IncomingCall
from lab.lab import ANSWER, Forwarding, Lab, PlacedCall, lab, wait_until
from lab.nightly_tests import one_of_each, rest_at_night
from lab.phone import Answer, EarlyMedia
from lab.service import Service
from lab.sound_detection import DetectedSound, hear_whole

STRANGE: Final = "127.0.0.9"
"""Address that a phone behind NAT announces. No program listens there."""
REPORTS_S: Final = 0.3
TALKS_S: Final = 1.0


@dataclass(frozen=True)
class Situation:
    """The special behaviour of the called phone, and the statement on its sound that the record must have."""

    says: str = ""
    """Expected statement, or an empty string for any statement that claims no more than the phone received."""
    whole: bool = True
    endpoint: str = "lab"
    announced: str = ""
    reports_s: float | None = None
    codec: int = PCMU
    way: str = "hook"
    direction: str = "incoming"
    behaviour: Any = ANSWER


async def holding(call: IncomingCall, for_ms: float, early_ms: float) -> None:
    """Send early media, answer, and hold the call in the middle of the sound."""
    call.progress(voices.CALLED)
    await asyncio.sleep(early_ms / 1000)
    call.answer()
    await asyncio.sleep(0.12)
    await call.reinvite("inactive")
    await asyncio.sleep(for_ms / 1000)
    await call.reinvite("sendrecv")


def early_and_hold(for_ms: float, early_ms: float = 300) -> Callable[[IncomingCall], Awaitable[None]]:
    return lambda call: holding(call, for_ms, early_ms)


SITUATIONS: Final = {
    "a phone that reports nothing": Situation("sent"),
    "a phone that reports": Situation("confirmed", reports_s=REPORTS_S),
    "own dial": Situation("sent", way="own-dial"),
    "own dial, and it reports": Situation("confirmed", way="own-dial", reports_s=REPORTS_S),
    "behind NAT": Situation("sent", endpoint="nat", announced=STRANGE),
    "behind NAT, and it reports": Situation("confirmed", endpoint="nat", announced=STRANGE, reports_s=REPORTS_S),
    "behind NAT, own dial": Situation("sent", endpoint="nat", announced=STRANGE, way="own-dial"),
    "its address is wrong": Situation("sent", whole=False, announced=STRANGE),
    "its address is wrong, and it reports": Situation("sent", whole=False, announced=STRANGE, reports_s=REPORTS_S),
    "early media": Situation("sent", behaviour=EarlyMedia(voices.CALLED, 300)),
    "early media, and it reports": Situation(
        "confirmed", behaviour=EarlyMedia(voices.CALLED, 300), reports_s=REPORTS_S
    ),
    "early media, then hold for 80 ms": Situation(behaviour=early_and_hold(80)),
    "early media, then hold for 240 ms": Situation(behaviour=early_and_hold(240)),
    "both hear one, early media as long as the hold": Situation(
        direction="outgoing", behaviour=early_and_hold(80, early_ms=80)
    ),
    "PCMA": Situation("sent", endpoint="wide", codec=PCMA),
    "G.722": Situation("sent", endpoint="wide", codec=G722),
    "Opus": Situation("sent", endpoint="wide", codec=OPUS),
    "it hangs up at the end of the sound": Situation(behaviour=Answer(after_ms=20, hangup_after_ms=437)),
    "it hangs up in the middle of the sound": Situation(behaviour=Answer(after_ms=20, hangup_after_ms=200)),
    "packets of 30 ms": Situation("sent", endpoint="framed30"),
    "packets of 40 ms": Situation("sent", endpoint="framed40"),
}
BROAD: Final = {
    "own dial, and it reports",
    "behind NAT",
    "behind NAT, own dial",
    "its address is wrong, and it reports",
    "early media",
    "early media, then hold for 80 ms",
    "PCMA",
    "G.722",
    "it hangs up at the end of the sound",
    "packets of 30 ms",
}
"""Situations that combine others, or repeat one with another value."""
assert SITUATIONS.keys() >= BROAD


async def one_call(phones: Lab, service: Service, situation: Situation) -> tuple[PlacedCall, dict[str, Any]]:
    called = phones.called
    called.announced, called.reports_s, called.codecs = situation.announced, situation.reports_s, (situation.codec,)
    before = service.records().keys()
    placed = await phones.place(
        Forwarding(endpoint=situation.endpoint, way=situation.way, direction=situation.direction),
        behaviour=situation.behaviour,
    )
    await phones.talk_and_hang_up(placed, TALKS_S)
    new: dict[str, dict[str, Any]] = {}

    async def there() -> bool:
        found = await asyncio.to_thread(service.records)
        new.update({call_id: found[call_id] for call_id in found.keys() - before if found[call_id]["complete"]})
        return bool(new)

    await wait_until(there, f"the evidence of {placed.name}")
    (record,) = new.values()
    return placed, record


def received(placed: PlacedCall, reference: Any) -> DetectedSound:
    """The part of the sound that the called phone received, in the last of several attempts."""
    assert placed.called
    answered_ns = placed.called.answered_ns
    assert answered_ns
    packets = placed.called.packets
    heard = hear_whole(packets, answered_ns, reference=reference, voice=voices.CALLER)
    while heard.times > 1 and not heard.complete and heard.end_ms is not None:
        after_ns = answered_ns + round(heard.end_ms * 1e6)
        packets = [packet for packet in packets if packet.arrival_ns > after_ns]
        heard = hear_whole(packets, answered_ns, reference=reference, voice=voices.CALLER)
    return heard


@pytest.mark.parametrize(("name", "interface"), one_of_each(SITUATIONS, ("ari", "agi"), BROAD), indirect=["interface"])
async def test_the_record_claims_what_the_phone_received(asterisk, serving, references, interface, name):
    situation = SITUATIONS[name]
    if situation.codec == OPUS and not asterisk.has_opus:
        pytest.skip("this Asterisk has no codec for Opus")
    service = serving(policy=POLICY)
    async with lab(asterisk) as phones:
        placed, record = await one_call(phones, service, situation)
        await phones.nothing_is_left()
    heard = received(placed, references["sample"])
    # Opus looks ahead, so its first frame is incomplete.
    is_whole = heard.correlation >= 0.93 if situation.codec == OPUS else heard.complete
    claims = record["delivery"]["called"]
    if situation.says:
        assert (claims, is_whole, record["anomalies"]) == (situation.says, situation.whole, []), f"{record}, {heard}"
    elif not is_whole:
        assert claims == "not-known", f"{record}, {heard}"


@rest_at_night("loss", [5, 30])
async def test_lost_packets_are_not_confirmed(asterisk, serving, references, monkeypatch, loss):
    service = serving(policy=POLICY)
    monkeypatch.setattr(asterisk, "site", replace(asterisk.site, loss=loss))
    async with lab(asterisk) as phones:
        calls = [
            await one_call(phones, service, Situation(endpoint=endpoint, reports_s=REPORTS_S))
            for endpoint in ("lab", "nat")
            for _ in range(3)
        ]
        await phones.nothing_is_left()
    for placed, record in calls:
        assert record["delivery"]["called"] in ("sent", "confirmed")
        heard = received(placed, references["sample"])
        assert heard.complete or record["delivery"] == {"called": "sent"}, f"{record}, {heard}"
    assert any(record["delivery"] == {"called": "sent"} for _, record in calls)


async def test_an_endpoint_that_need_not_wait_is_looked_up_once_in_a_hundred_seconds(asterisk, serving):
    serving(policy=POLICY)
    async with lab(asterisk) as phones:
        phones.called.announced = STRANGE
        for endpoint in ("lab", "nat", "lab", "nat", "lab"):
            placed = await phones.place(Forwarding(endpoint=endpoint))
            await phones.talk_and_hang_up(placed, 0.1)
        await phones.nothing_is_left()
    (known,) = (each for each in asterisk.command("dialplan show globals").splitlines() if "IDTONE_AT_ONCE=" in each)
    names = known.partition("=")[2].rstrip("&").split("&")
    assert "lab" in {name.partition("-")[2] for name in names}, known
    assert len(names) == len(set(names)), known
    assert "nat" not in known
