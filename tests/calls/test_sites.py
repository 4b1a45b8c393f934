"""The rules for every call on every site, for each outcome, with the service up and down.

`make test` uses the default site, `make test-breadth` a few others, and `make test-sites` all. On each site, calls of
all outcomes are in progress at once, over both interfaces. Each call has one record. The record is complete and without
anomalies, and its times agree with the phones' clock.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any, Final

import pytest

from lab.asterisk import Asterisk, Ending
from lab.calls.assert_heard import FRAME_MS, assert_nothing_before_voice, heard_by_called
from lab.calls.assert_proved import RECOGNISED_S, run_concurrently
from lab.lab import LICENSED, SUSPENDED, Forwarding, Lab, PlacedCall, lab
from lab.named_sites import OFTEN, SITES, combined_sites
from lab.nightly_tests import breadth
from lab.phone import BUSY, Behaviour, ring
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import BACK, FORWARD, Site
from lab.sound_detection import identify

NEAR_S: Final = 0.1
"""Largest difference in s between a time in the evidence and the time at the phones."""
CHANGES_S: Final = 10.0
"""Seconds from Asterisk's start until a time zone's clock changes.

This suffices to start the service and place the first calls.
"""
EXPIRED: Final = "0352345678"


@dataclass(frozen=True)
class Promise:
    """A call, and its expected result."""

    forwarding: Forwarding
    up: tuple[str, str]
    """Outcome and reason while the service is up."""
    away: tuple[str, str]
    """Outcome and reason while the service is down."""
    status: str = "CONNECTED"
    behaviour: Behaviour | None = None


PLAY: Final = ("PLAY", "licence-valid")
NOTICE: Final = ("NOTICE", "licence-expired")
BYPASS: Final = ("BYPASS", "emergency")
STOPPED: Final = ("REFUSE", "number-suspended")
AWAY: Final = ("NOTICE", "service-unavailable")
PROMISES: Final[Mapping[str, Promise]] = {
    "licensed": Promise(Forwarding(LICENSED), PLAY, AWAY),
    "outgoing": Promise(Forwarding(LICENSED, "outgoing"), PLAY, AWAY),
    "expired": Promise(Forwarding(EXPIRED), NOTICE, AWAY),
    "emergency": Promise(Forwarding(LICENSED, dialled="110"), BYPASS, BYPASS),
    "emergency of a suspended number": Promise(Forwarding(SUSPENDED, dialled="119"), BYPASS, BYPASS),
    "suspended": Promise(Forwarding(SUSPENDED), STOPPED, STOPPED, "REFUSED"),
    "busy": Promise(Forwarding(LICENSED), PLAY, AWAY, "BUSY", BUSY),
    "unanswered": Promise(Forwarding(LICENSED, timeout_s="1"), PLAY, AWAY, "NOANSWER", ring),
    "own Dial": Promise(Forwarding(LICENSED, way="own-dial"), PLAY, AWAY),
    "own Dial, suspended": Promise(Forwarding(SUSPENDED, way="own-dial"), STOPPED, STOPPED, "REFUSED"),
}
SOUNDS: Final = {"PLAY": "sample", "NOTICE": "notice"}
NUMBERS: Final = itertools.count(1001)
"""Last digits of called numbers."""


@dataclass(frozen=True)
class Placing:
    """A call of the test."""

    name: str
    interface: str
    up: bool

    @property
    def promise(self) -> Promise:
        return PROMISES[self.name]


ALL: Final = {**SITES, **combined_sites()}
"""Name → site of `make test-sites`."""


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, float]]:
    """Name of each site → the largest difference in s of a time from the phones' clock. It is printed at the end."""
    furthest: dict[str, float] = {}
    yield furthest
    for name, furthest_s in furthest.items():
        print(f"{name:45} every record complete, no anomaly, times within {1000 * furthest_s:3.0f} ms")


@pytest.mark.parametrize("name", [*ALL] if os.environ.get("SITES") == "all" else ["japan", *map(breadth, OFTEN)])
async def test_every_call_is_decided_heard_and_recorded_in_time(name, tmp_path, references, found):
    site = ALL[name].begun(CHANGES_S)
    changes_s = time.time() + CHANGES_S
    with Asterisk(site.installation(), tmp_path / "pbx", site=site) as pbx:
        service = Service(pbx, LAB_REGISTRY)
        async with lab(pbx) as phones:
            service.start()
            if ALL[name].time_zone in (FORWARD, BACK):
                assert time.time() < changes_s, "the clock changed before the first call"
                await asyncio.sleep(changes_s - time.time() - 0.5)  # some calls begin before the change, others after
            calls = await placed(phones, up=True)
            service.entered()
            service.stop()
            calls += await placed(phones, up=False)
            await phones.nothing_is_left()
        with service:
            records = service.records()
    assert len(records) == len(calls)
    for call in calls:
        assert_recorded(call, record_of(call, records))
        assert_heard(call, site, references)
    furthest_s = max(distance for call in calls for distance in distances(call, record_of(call, records)).values())
    assert furthest_s < NEAR_S
    found[name] = furthest_s


@dataclass
class PromisedCall:
    """A call as it was placed, and its end."""

    promise: Promise
    interface: str
    up: bool
    began_s: float
    seen: PlacedCall
    ending: Ending

    def __str__(self) -> str:
        return (
            f"{self.seen.name}, {self.promise.forwarding}, {self.interface}, the service {'up' if self.up else 'away'}"
        )

    @property
    def expected(self) -> tuple[str, str]:
        return self.promise.up if self.up else self.promise.away


async def placed(phones: Lab, *, up: bool) -> list[PromisedCall]:
    """Place all calls.

    While the service is down, one interface is enough, because Asterisk reaches the service over neither.
    """

    async def call(case: tuple[Promise, str]) -> PromisedCall:
        promise, interface = case
        forwarding = replace(promise.forwarding, interface=interface)
        if forwarding.way == "own-dial":  # only the number of this call identifies its record
            forwarding = replace(forwarding, dialled=f"031235{next(NUMBERS):04}")
        began_s = time.time()
        seen, ending = await phones.call(forwarding, RECOGNISED_S, promise.behaviour)
        return PromisedCall(promise, interface, up, began_s, seen, ending)

    cases = [*product(PROMISES.values(), ("ari", "agi") if up else ("ari",))]
    return [made for _, made in await run_concurrently(cases, call)]


def record_of(call: PromisedCall, records: Mapping[str, Any]) -> dict[str, Any]:
    if call.promise.forwarding.way != "own-dial":
        return records[call.ending.call_id]  # type: ignore[no-any-return]
    last4 = call.seen.caller.user[-4:]
    (found,) = (each for each in records.values() if each["numbers"]["called"]["last4"] == last4)
    return found  # type: ignore[no-any-return]


def assert_recorded(call: PromisedCall, record: dict[str, Any]) -> None:
    assert (record["outcome"], record["reason"], record["status"]) == (*call.expected, call.promise.status), call
    of_suspended = call.expected == BYPASS and call.promise.forwarding.number == SUSPENDED
    anomalies = ["an emergency call of a suspended number"] * of_suspended
    assert (record["complete"], record["anomalies"]) == (True, anomalies), call
    heard = call.expected[0] in SOUNDS and call.promise.status == "CONNECTED"
    assert [*record["known_by"]] == (["called"] if heard else []), call
    assert record["fallback"] is (not call.up or call.expected == BYPASS), call


def assert_heard(call: PromisedCall, site: Site, references: dict[str, Any]) -> None:
    outcome, placed = call.expected[0], call.seen
    if call.promise.status != "CONNECTED":
        assert (outcome != "REFUSE") is bool(placed.called) or call.promise.forwarding.way == "own-dial", call
        assert not placed.caller.answered_ns, call
    elif outcome == "BYPASS":
        assert_nothing_before_voice(placed, references)
    else:
        assert placed.called, call
        heard = {name: heard_by_called(placed, reference) for name, reference in references.items()}
        assert max(heard, key=lambda name: heard[name].correlation) == SOUNDS[outcome], call
        one = heard[SOUNDS[outcome]]
        if not site.loss:
            assert (identify(placed.called.packets, references), one.complete, one.times) == (
                SOUNDS[outcome],
                True,
                1,
            ), call
        assert one.voice_ms is not None, call
        assert one.end_ms is not None, call
        assert one.voice_ms >= one.end_ms - FRAME_MS, call


def distances(call: PromisedCall, record: dict[str, Any]) -> dict[str, float]:
    """Seconds by which the record's times are before or after the limits that the phones saw."""
    told = {name: datetime.fromisoformat(text).timestamp() for name, text in record["times"].items()}
    told["decided"] = min(told.values())
    return {
        name: max(earliest_s - told[name], told[name] - latest_s, 0)
        for name, (earliest_s, latest_s) in limits(call).items()
        if name in told
    }


def limits(call: PromisedCall) -> dict[str, tuple[float, float]]:
    """Earliest and latest time of each step by the phones' clock, from the times of its cause and of its effect."""
    caller, called = call.seen.caller, call.seen.called
    assert caller.ended_ns
    ended_s = sorted(
        (caller.ended_ns / 1e9, (called.ended_ns if called and called.ended_ns else caller.ended_ns) / 1e9)
    )
    if not called:
        return {"decided": (call.began_s, ended_s[0]), "ended": (call.began_s, ended_s[1])}
    if not called.answered_ns:
        return {"decided": (call.began_s, called.arrival_ns / 1e9), "ended": (ended_s[0], ended_s[1])}
    answered_s = called.answered_ns / 1e9
    if call.promise.forwarding.way == "own-dial":
        return {"decided": (answered_s, ended_s[1]), "ended": (answered_s, ended_s[1])}
    sounded_s = next(packet.arrival_ns for packet in called.packets if packet.arrival_ns > called.answered_ns) / 1e9
    found = {"decided": (call.began_s, called.arrival_ns / 1e9), "ended": (ended_s[0], ended_s[1])}
    return found | {"connected" if call.expected == BYPASS else "answered": (answered_s, sounded_s)}
