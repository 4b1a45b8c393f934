"""What the phones' media do to the sound: codecs, video, keys, hold."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from ..lab import keys, voices
from ..lab.keys import press
from ..lab.heard import hear
from ..lab.lab import Lab, Placed, lab, until
from .proving import AFTER_S, POLICY, SOUND_S, WAYS, Told, Way, answered, assert_proved, side_by_side, told

FIRST = f"{POLICY}, caller_hears: answered"


@dataclass(frozen=True)
class Doing:
    way: Way
    who: str
    what: str


async def test_hold(asterisk, serving, references):
    service = serving(policy=FIRST)
    cases = [Doing(way, who, what) for way in WAYS for who in ("called", "caller") if who == "called" or "caller" in way.parties for what in ("sendonly", "inactive")]
    async with lab(asterisk) as phones:
        async def one(case):
            placed = phones.dial(case.way.forwarding())
            await answered(phones, placed, 0.1)
            await until(lambda: case.who == "called" or placed.caller.answered_ns, "the caller to be answered")
            call = placed.called if case.who == "called" else placed.caller
            t0 = time.time_ns()
            response = await call.reinvite(case.what)
            t1 = time.time_ns()
            await asyncio.sleep(1.0)
            again = await call.reinvite("sendrecv")
            await placed.caller.final()
            await phones.talk_and_hang_up(placed, AFTER_S)
            return placed, response.status, again.status, t0, t1, await told(phones, service, placed)
        calls = await side_by_side(cases, one)
        await phones.nothing_is_left()
    for case, (placed, st, st2, t0, t1, said) in calls:
        print(case, st, st2, "reinvite at", (t0-placed.called.answered_ns)/1e6, (t1-placed.called.answered_ns)/1e6, said.ending.status, said.record["heard_by"], said.record["anomalies"], list(said.record["times"]))
        for party, call, voice in (("called", placed.called, voices.CALLER), ("caller", placed.caller, voices.CALLED)):
            h = hear(call.packets, placed.called.answered_ns, reference=references["sample"], voice=voice)
            print("   ", party, round(h.correlation,2), h.times, h.complete, h.onset_ms, h.end_ms, h.voice_ms)
    assert 0
