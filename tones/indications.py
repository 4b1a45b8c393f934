"""Asterisk's tone strings, as in indications.conf and Playtones().

Parts separated by `,` (or `|`), each `[!]f1[+f2|*f2]/ms`: two frequencies added, or the first modulated
by the second; 0 is silence; `!` marks what is played once, before the rest repeats for ever. What these
strings cannot say (levels, ramps, fractions) is told by `losses`.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from idtone.errors import ToneError

from .profile import RAMP_MS, Profile, Segment, build_profile

PLAYTONES_DEPTH: Final = 0.22
"""The modulation that Playtones makes at its own volume: 7219 of 32 768 (main/indications.c)."""
_PLAYTONES_DBM0: Final = -10
"""The same volume, which each frequency gets."""
_PLAYTONES_STEP_MS: Final = 20
"""Playtones ends a part with a frame, so that 110 ms become 120."""

_PART: Final = re.compile(
    r"(?P<once>!?)(?P<first>[0-9]{1,5})(?:(?P<sign>[+*])(?P<second>[0-9]{1,5}))?(?:/(?P<ms>[0-9]{1,6}))?"
)
_HIGHEST_MODULATION_HZ: Final = 100
"""Zone files write ring-back as 400+15, which Playtones takes for a tone of 15 Hz."""


def from_asterisk(
    text: str, *, name: str = "tones", title: str | None = None, level_dbm0: float = -16.0, repeat: int = 1
) -> Profile:
    """Make a profile of a tone string. What would repeat for ever is played `repeat` times.

    Raises ToneError where the string is malformed, DocumentError where the sound is out of bounds.
    """
    once: list[dict[str, Any]] = []
    looped: list[dict[str, Any]] = []
    parts = re.split(r"\|" if "|" in text else ",", text)
    for position, part in enumerate(parts, 1):
        place = f"tone string, part {position} {part.strip()!r}"
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ToneError(f"{place}: is not a tone. Write it like 400/100, 400+450/100, 400*20/100 or !0/100")
        segment = _segment(match, place)
        # As in Asterisk, a '!' after the first part without one is repeated with the rest.
        (once if match["once"] and not looped else looped).append(segment)
    segments, repeat = (once + looped * repeat, 1) if once else (looped, repeat)
    tree = {
        "id": name,
        "title": title or "Made of an Asterisk tone string",
        "level_dbm0": level_dbm0,
        "segments": _with_pauses(segments),
        "repeat": repeat,
    }
    return build_profile(tree, f"tone string {text!r}")


def to_asterisk(profile: Profile) -> str:
    """The tone string that plays the profile once, so every part has its `!`.

    Raises ToneError where a burst has more than Asterisk's two frequencies. `losses` tells the rest.
    """
    parts: list[tuple[str, int]] = []
    now_ms = 0
    for burst in profile.bursts():
        start_ms, end_ms = _whole_ms(burst.start_ms), _whole_ms(burst.end_ms)
        if start_ms > now_ms:
            parts.append(("0", start_ms - now_ms))
        parts.append((_tone(burst.segment), end_ms - start_ms))
        now_ms = end_ms
    rest_ms = _whole_ms(profile.duration_ms) - now_ms
    if rest_ms > 0:
        parts.append(("0", rest_ms))
    return ",".join(f"!{tone}/{length_ms}" for tone, length_ms in parts)


def losses(profile: Profile) -> tuple[str, ...]:
    """What the profile has and `to_asterisk` cannot write, in sentences for the user."""
    heard = [segment for segment in profile.segments if segment.frequencies_hz]
    times = [time for segment in profile.segments for time in (segment.on_ms, segment.off_ms)]
    modulations = [segment.modulation for segment in heard if segment.modulation]
    frequencies = [frequency for segment in heard for frequency in segment.frequencies_hz]
    frequencies += [modulation.rate_hz for modulation in modulations]
    found = [f"the level of {profile.level_dbm0:g} dBm0: Playtones plays each frequency at {_PLAYTONES_DBM0} dBm0"]
    if any(segment.ramp_ms for segment in heard):
        found.append("the ramps: Playtones begins and ends each burst with a click")
    if any(modulation.depth != PLAYTONES_DEPTH for modulation in modulations):
        found.append(f"the depth of the modulation: Playtones has {PLAYTONES_DEPTH}")
    if not all(frequency.is_integer() for frequency in frequencies):
        found.append("fractions of a hertz: rounded")
    if not all(time.is_integer() for time in times):
        found.append("fractions of a millisecond: rounded")
    if any(time % _PLAYTONES_STEP_MS for time in times):
        found.append(f"the exact times: Playtones makes each part a multiple of {_PLAYTONES_STEP_MS} ms")
    return tuple(found)


def _segment(match: re.Match[str], place: str) -> dict[str, Any]:
    """One part as the values of a Segment; raises ToneError where Asterisk's meaning has no end or no sound."""
    if not int(match["ms"] or 0):
        tone = match[0].partition("/")[0]
        raise ToneError(f"{place}: has no end. Give its length in milliseconds, like {tone}/100")
    first, second = int(match["first"]), int(match["second"] or 0)
    length_ms = float(match["ms"])
    segment: dict[str, Any] = {"on_ms": length_ms, "ramp_ms": min(RAMP_MS, length_ms / 2)}
    if match["sign"] == "*":
        modulation = {"rate_hz": float(second), "depth": PLAYTONES_DEPTH}
        return segment | {"frequencies_hz": (float(first),), "modulation": modulation}
    if 0 < second <= _HIGHEST_MODULATION_HZ:
        raise ToneError(f"{place}: {second} Hz is too low to be heard. Write {first}*{second} for a modulated one")
    return segment | {"frequencies_hz": tuple(float(frequency) for frequency in (first, second) if frequency)}


def _with_pauses(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Silence after a burst becomes its pause."""
    joined: list[dict[str, Any]] = []
    for segment in segments:
        if joined and not segment["frequencies_hz"]:
            previous = joined[-1]
            joined[-1] = previous | {"off_ms": previous.get("off_ms", 0.0) + segment["on_ms"]}
        else:
            joined.append(segment)
    return joined


def _whole_ms(time_ms: float) -> int:
    # Halves up, not to even: so no burst of a millisecond or more becomes empty.
    return math.floor(time_ms + 0.5)


def _tone(segment: Segment) -> str:
    frequencies = [str(round(frequency)) for frequency in segment.frequencies_hz]
    if segment.modulation:
        frequencies.append(str(max(1, round(segment.modulation.rate_hz))))
    if len(frequencies) > 2:
        raise ToneError("Asterisk's tone strings hold two frequencies at most, or one and its modulation")
    return ("*" if segment.modulation else "+").join(frequencies)
