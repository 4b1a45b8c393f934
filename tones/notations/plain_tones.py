"""Converts a profile to plain tones, for notations without sweeps.

Asterisk's tone strings and FreeSWITCH's TGML are both sequences of steady tones in whole milliseconds.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from idtone.core.errors import ToneError

from ..profile import Profile, Segment, Tolerance

TONES_LIMIT: Final = 1000
"""Maximum number of tones in a sequence. People cannot read a longer one."""
STAIR_MS: Final = 20.0
"""Duration of one step of a glide, in ms. It equals a packet on most networks."""
_STAIRS_LIMIT: Final = 1000
_STAIR_DECIMALS: Final = 3


@dataclass(frozen=True, slots=True)
class PlainTone:
    """A steady part of a burst, with times in ms from the start of the sound."""

    start_ms: float
    end_ms: float
    frequencies_hz: tuple[float, ...]
    segment: Segment


def plain_tones(profile: Profile) -> Iterator[PlainTone]:
    """Yield all bursts as plain tones: a stepped sweep as its steps, and a glide as steps at middle frequencies.

    Raises ToneError for a recording, or for more than `TONES_LIMIT` tones.
    """
    if profile.recording:
        raise ToneError(
            "{profile} is a recording, which no tone notation can express. Play its sound files", profile=profile.id
        )
    count = 0
    for burst in profile.timeline():
        stairs = _stairs(burst.segment)
        count += stairs
        if count > TONES_LIMIT:
            raise ToneError(
                "{profile} has more than {most} tones, too many for text. Play its sound files",
                profile=profile.id,
                most=TONES_LIMIT,
            )
        length_ms = burst.segment.on_ms / stairs
        for stair in range(stairs):
            start_ms = burst.start_ms + stair * length_ms
            end_ms = burst.end_ms if stair == stairs - 1 else start_ms + length_ms
            frequencies_hz = burst.segment.frequencies_at((stair + 0.5) / stairs)
            if stairs > 1:
                frequencies_hz = tuple(round(frequency_hz, _STAIR_DECIMALS) for frequency_hz in frequencies_hz)
            yield PlainTone(start_ms, end_ms, frequencies_hz, burst.segment)


def whole_ms(time_ms: float) -> int:
    """The time in whole milliseconds.

    Halves are rounded up, not to even, so that no burst of a millisecond or more becomes empty.
    """
    return math.floor(time_ms + 0.5)


def with_pauses(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values of Segments, with each silent one merged into the pause of the Segment before it."""
    joined: list[dict[str, Any]] = []
    for segment in segments:
        if joined and not segment["frequencies_hz"]:
            previous = joined[-1]
            silence_ms = segment["on_ms"] + segment.get("off_ms", 0.0)
            joined[-1] = previous | {"off_ms": previous.get("off_ms", 0.0) + silence_ms}
        else:
            joined.append(segment)
    return joined


def plain_losses(profile: Profile, player: str) -> Iterator[str]:
    """Yield sentences about properties that `player` cannot express in any notation of plain tones."""
    heard = [segment for segment in profile.segments if segment.frequencies_hz]
    sweeps = [segment for segment in heard if segment.sweep]
    if any(segment.ramp_ms for segment in heard):
        yield f"the ramps: {player} begins and ends each burst with a click"
    if any(segment.sweep and not segment.sweep.steps for segment in sweeps):
        yield f"the glide: written as steps of about {STAIR_MS:g} ms"
    if sweeps:
        yield f"the phase of a sweep: {player} restarts it at each step"
    if profile.dither_seed is not None:
        yield "the dither"
    if profile.tolerance != Tolerance():
        yield "the tolerance"
    if not all(time.is_integer() for time in lengths_ms(profile)):
        yield "fractions of a millisecond: rounded"


def lengths_ms(profile: Profile) -> list[float]:
    """The durations of all plain tones and pauses, in ms."""
    lengths = [(s.on_ms / _stairs(s) if s.frequencies_hz else s.on_ms, s.off_ms) for s in profile.segments]
    return [time for pair in lengths for time in pair]


def _stairs(segment: Segment) -> int:
    if segment.sweep is None:
        return 1
    if segment.sweep.steps:
        return segment.sweep.steps
    return min(max(2, math.ceil(segment.on_ms / STAIR_MS)), _STAIRS_LIMIT)
