"""What must be true of what a called phone heard."""

from __future__ import annotations

from typing import Any

from ..lab import voices
from ..lab.heard import Heard, hear, identify
from ..lab.lab import Placed

UNDER_WAY_NS = 2_000_000
SOONEST_MS, LATEST_MS = -20, 60
"""When the sound may begin after the answer: a frame may already be under way."""


def heard_by_called(placed: Placed, reference: Any, *, after_answer: bool = False) -> Heard:
    called = placed.called
    assert called, f"{placed.name}: the called phone never rang"
    assert called.answered_ns, f"{placed.name}: the called phone never answered"
    packets = called.packets
    if after_answer:
        # What Asterisk passed on before it knew of the answer.
        packets = [packet for packet in packets if packet.arrival_ns > called.answered_ns + UNDER_WAY_NS]
    return hear(packets, called.answered_ns, reference=reference, voice=voices.CALLER)


def assert_heard_then_connected(
    placed: Placed, profile: str, references: dict[str, Any], *, after_answer: bool = False
) -> Heard:
    """The profile, whole and once, at once after the answer; no other; and the caller's voice only after it."""
    heard = heard_by_called(placed, references[profile], after_answer=after_answer)
    assert placed.called
    assert identify(placed.called.packets, references) == profile
    assert heard.complete, f"{placed.name}: {heard}"
    assert heard.times == 1
    assert heard.correlation >= 0.99, f"{placed.name}: {heard}"
    assert heard.onset_ms is not None
    assert heard.end_ms is not None
    assert SOONEST_MS <= heard.onset_ms <= LATEST_MS, f"{placed.name}: {heard}"
    assert heard.voice_ms is not None, f"{placed.name}: the caller was never heard"
    assert heard.voice_ms >= heard.end_ms, f"{placed.name}: the caller was heard before the sound ended: {heard}"
    return heard


def assert_nothing_before_voice(placed: Placed, references: dict[str, Any]) -> Heard:
    """No sound at all: the caller's voice is there at once."""
    assert placed.called
    assert placed.called.answered_ns
    assert identify(placed.called.packets, references) is None
    heard = heard_by_called(placed, references["sample"])
    assert not heard.present
    assert heard.voice_ms is not None
    assert heard.voice_ms < 150, f"{placed.name}: {heard}"
    return heard
