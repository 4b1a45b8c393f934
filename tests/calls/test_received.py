"""What the record says of the sound, held against what the called phone received: it never claims more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from ..lab import voices
from ..lab.called import IncomingCall
from ..lab.codecs import G722, OPUS
from ..lab.g711 import PCMA, PCMU
from ..lab.heard import hear_whole
from ..lab.lab import Forwarding, Lab, Placed, lab
from ..lab.phone import Answer, EarlyMedia
from .proving import POLICY, Told, side_by_side, told

STRANGE: Final = "127.0.0.9"
"""The address that a phone behind NAT announces: nothing listens there."""
REPORTS_S: Final = 0.3
TALKS_S: Final = 1.0
SURELY_WHOLE: Final = 0.99


@dataclass(frozen=True)
class Situation:
    """What is peculiar about the called phone, and what the record is to say of its sound."""

    says: str
    whole: bool = True
    endpoint: str = "lab"
    announced: str = ""
    reports_s: float | None = None
    codec: int = PCMU
    way: str = "hook"
    behaviour: Any = Answer(after_ms=20)


async def holding(call: IncomingCall, for_ms: float, after_ms: float = 120) -> None:
    """Early media; then the answer, and a hold in the middle of the sound."""
    call.progress(voices.CALLED)
    await asyncio.sleep(0.3)
    call.answer()
    await asyncio.sleep(after_ms / 1000)
    await call.reinvite("inactive")
    await asyncio.sleep(for_ms / 1000)
    await call.reinvite("sendrecv")


def early_and_hold(for_ms: float) -> Callable[[IncomingCall], Awaitable[None]]:
    return lambda call: holding(call, for_ms)


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
    "early media, then hold for 80 ms": Situation("sent", behaviour=early_and_hold(80)),
    "early media, then hold for 240 ms": Situation("sent", behaviour=early_and_hold(240)),
    "PCMA": Situation("sent", endpoint="wide", codec=PCMA),
    "G.722": Situation("sent", endpoint="wide", codec=G722),
    "Opus": Situation("sent", endpoint="wide", codec=OPUS),
    "packets of 30 ms": Situation("sent", endpoint="framed30"),
    "packets of 40 ms": Situation("sent", endpoint="framed40"),
}


async def one_call(phones: Lab, service: Any, situation: Situation) -> tuple[Placed, Told]:
    called = phones.called
    called.announced, called.reports_s, called.codecs = (
        situation.announced, situation.reports_s, (situation.codec,),
    )  # fmt: skip
    placed = await phones.place(
        Forwarding(endpoint=situation.endpoint, way=situation.way), behaviour=situation.behaviour
    )
    await phones.talk_and_hang_up(placed, TALKS_S)
    return placed, await told(phones, service, placed)


@pytest.mark.parametrize("name", SITUATIONS)
async def test_the_record_claims_what_the_phone_received(asterisk, serving, references, name):
    situation = SITUATIONS[name]
    service = serving(policy=POLICY)
    async with lab(asterisk) as phones:
        for interface in ("ari", "agi"):
            asterisk.command(f"dialplan set global IDTONE_INTERFACE {interface}")
            placed, said = await one_call(phones, service, situation)
            assert placed.called
            assert placed.called.answered_ns
            heard = hear_whole(
                placed.called.packets, placed.called.answered_ns, reference=references["sample"], voice=voices.CALLER
            )
            record = said.record
            assert record["delivery"] == {"called": situation.says}, f"{interface}: {record}, {heard}"
            assert record["anomalies"] == [], interface
            assert heard.complete is situation.whole or situation.codec == OPUS, f"{interface}: {heard}"
            if situation.says == "confirmed":
                assert heard.complete, f"{interface}: {heard}"
        asterisk.command("dialplan set global IDTONE_INTERFACE ari")
        await phones.nothing_is_left()
