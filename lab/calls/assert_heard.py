"""The rules for the sounds that the phones of a call received."""

from collections.abc import Iterable, Sequence
from typing import Any

from lab import voices
from lab.g711 import Samples
from lab.lab import PlacedCall
from lab.rtp import Packet
from lab.sound_detection import INTACT, DetectedSound, hear, hear_whole, identify

LATEST_MS = 1500
"""Latest start of the sound in ms after the answer.

Other tests use the machine at the same time. `test_load.py` measures the start on an idle machine.
"""
SHORTEST_MS = 400
"""Time in ms that is shorter than any sound of the lab.

A voice before this time shows that no complete sound preceded it.
"""
FRAME_MS = 20
APART_MS = 2 * FRAME_MS
"""Maximum difference in ms between two phones, for a sound that left Asterisk at one moment."""
FRAME_NS = FRAME_MS * 1_000_000
MOST_EARLY = 4
"""Maximum number of packets before the sound and within a frame of the answer: ring-back tone and voice."""

MOST_HELD = 25
"""Maximum number of packets between the answer and the sound, if a channel held them.

A larger number shows that the parties were connected before the sound.
"""


def _received(placed: PlacedCall, party: str) -> tuple[list[Packet], Samples]:
    """The packets that a party received, and the other party's voice."""
    assert placed.called, f"{placed.name}: the called phone never rang"
    return (placed.called.packets, voices.CALLER) if party == "called" else (placed.caller.packets, voices.CALLED)


def heard_by_called(placed: PlacedCall, reference: Any) -> DetectedSound:
    called = placed.called
    assert called, f"{placed.name}: the called phone never rang"
    assert called.answered_ns, f"{placed.name}: the called phone never answered"
    return hear_whole(called.packets, called.answered_ns, reference=reference, voice=voices.CALLER)


def heard_by(placed: PlacedCall, party: str, reference: Any) -> DetectedSound:
    """The sounds that one of the two phones received. Times are relative to the called phone's answer."""
    called = placed.called
    assert called, f"{placed.name}: the called phone never rang"
    assert called.answered_ns, f"{placed.name}: the called phone never answered"
    packets, voice = _received(placed, party)
    return hear_from_answer(packets, called.answered_ns, reference=reference, voice=voice)


def hear_from_answer(packets: Sequence[Packet], answered_ns: int, *, reference: Any, voice: Samples) -> DetectedSound:
    """The measurement from the called phone's answer on.

    With early media, Asterisk passes on a packet or two before it notices the answer: the other party's voice, or the
    ring-back tone for the caller. These packets are left out. They arrive before the sound and within one frame of the
    answer, or somewhat later on a busy machine.
    """
    early = sum(packet.arrival_ns < answered_ns + FRAME_NS for packet in packets)
    skips = range(max(early - MOST_EARLY, 0), early + MOST_EARLY + 1)
    return hear_without_early(packets, answered_ns, skips, reference=reference, voice=voice)


def hear_without_early(
    packets: Sequence[Packet], answered_ns: int, skips: Iterable[int], *, reference: Any, voice: Samples
) -> DetectedSound:
    """The measurement without the packets that came before Asterisk noticed the answer.

    `skips` are possible numbers of such packets. The first number with a complete sound before the voice counts.
    """
    found = [hear_whole(packets[skip:], answered_ns, reference=reference, voice=voice) for skip in skips]
    return next((one for one in found if one.complete and not _voice_first(one)), found[0])


def _voice_first(heard: DetectedSound) -> bool:
    return heard.voice_ms is not None and heard.end_ms is not None and heard.voice_ms < heard.end_ms - FRAME_MS


def assert_heard_by(
    placed: PlacedCall,
    profiles: dict[str, str],
    references: dict[str, Any],
    *,
    latest_ms: float = LATEST_MS,
    through_local: bool = False,
) -> dict[str, DetectedSound]:
    """Assert that each party in `profiles` hears its profile once and complete, directly after the answer.

    The other parties must hear no sound, and each voice must arrive only after all sounds have ended. Packets that a
    Local channel held at the answer arrive before the sound, and later on a busy machine. If `through_local`, the
    caller may miss the first frame of the sound.
    """
    heard = {
        party: heard_by(placed, party, references[profiles.get(party, "sample")]) for party in ("called", "caller")
    }
    for party, one in heard.items():
        packets = placed.called.packets if party == "called" and placed.called else placed.caller.packets
        assert identify(packets, references) == profiles.get(party), f"{placed.name}, {party}: {one}"
        assert one.voice_ms is not None, f"{placed.name}: the {party} party never heard the other"
        if party in profiles:
            may_miss = 1 if through_local and party == "caller" else 0
            assert min(one.frames[may_miss:]) >= INTACT, f"{placed.name}, {party}: {one}"
            assert one.times == 1
            assert one.correlation >= (0.99 if one.complete else 0.97), f"{placed.name}, {party}: {one}"
            assert one.onset_ms is not None
            assert one.arrival_ms is not None
            assert one.arrival_ms >= 0, f"{placed.name}, {party}: {one}"
            assert one.onset_ms <= latest_ms, f"{placed.name}, {party}: {one}"
    last_ms = max(one.end_ms for party, one in heard.items() if party in profiles and one.end_ms is not None)
    for party, one in heard.items():
        voice = _heard_later(placed, party, one, references[profiles.get(party, "sample")]) if through_local else one
        assert voice.voice_ms is not None
        assert voice.voice_arrival_ms is not None
        if one.end_ms is not None:
            assert voice.voice_ms >= one.end_ms - FRAME_MS, f"{placed.name}, {party}: heard both at once: {one}"
        assert voice.voice_arrival_ms >= last_ms - APART_MS, (
            f"{placed.name}, {party}: heard the other before {last_ms}: {one}"
        )
    return heard


def _heard_later(placed: PlacedCall, party: str, heard: DetectedSound, reference: Any) -> DetectedSound:
    """The measurement of the packets that came after the start of the sound."""
    assert placed.called
    answered_ns = placed.called.answered_ns
    assert answered_ns
    packets, voice = _received(placed, party)
    begun_ns = answered_ns + max(FRAME_NS, int((heard.onset_ms or 0) * 1e6))
    held = [packet for packet in packets if answered_ns < packet.arrival_ns < begun_ns]
    assert len(held) <= MOST_HELD, f"{placed.name}, {party}: {len(held)} packets came before the sound: {heard}"
    later = [packet for packet in packets if packet.arrival_ns > begun_ns]
    return hear(later, answered_ns, reference=reference, voice=voice)


def assert_heard_then_connected(
    placed: PlacedCall,
    profile: str,
    references: dict[str, Any],
    *,
    early_media: bool = False,
    latest_ms: float = LATEST_MS,
) -> DetectedSound:
    """Assert that the called party hears only this profile, once and complete, directly after the answer.

    The caller's voice must follow the sound. With early media the parties hear each other before the answer, as with
    any PBX. Packets that Asterisk passed on before it noticed the answer arrive before the sound.
    """
    heard = heard_by_called(placed, references[profile])
    assert placed.called
    assert placed.called.answered_ns
    assert identify(placed.called.packets, references) == profile
    assert heard.complete, f"{placed.name}: {heard}"
    assert heard.times == 1
    assert heard.correlation >= 0.99, f"{placed.name}: {heard}"
    assert heard.onset_ms is not None
    assert heard.end_ms is not None
    assert heard.arrival_ms is not None
    assert heard.arrival_ms >= 0, f"{placed.name}: {heard}"
    assert heard.onset_ms <= latest_ms, f"{placed.name}: {heard}"
    voice_ms = heard.voice_ms
    if early_media:
        voice_ms = _heard_later(placed, "called", heard, references[profile]).voice_ms
    assert voice_ms is not None, f"{placed.name}: the caller was never heard"
    assert voice_ms >= heard.end_ms, f"{placed.name}: the caller was heard before the sound ended: {heard}"
    return heard


def assert_nothing_before_voice(placed: PlacedCall, references: dict[str, Any]) -> DetectedSound:
    """Assert that no sound was played: the caller's voice arrives before any sound could have ended."""
    assert placed.called
    assert placed.called.answered_ns
    assert identify(placed.called.packets, references) is None
    heard = heard_by_called(placed, references["sample"])
    assert not heard.present
    assert heard.voice_ms is not None
    assert heard.voice_ms < SHORTEST_MS, f"{placed.name}: {heard}"
    return heard
