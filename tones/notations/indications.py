"""Asterisk's tone strings, as in indications.conf and Playtones().

A string consists of parts separated by `,` (or `|`), each `[!]f1[+f2|*f2]/ms`: two frequencies added, or the first
modulated by the second. `M69` is a MIDI note, and 0 is silence. A part with `!` is played once, before the rest repeats
forever (ast_tone_zone_part_parse in main/indications.c). `conversion_losses` lists what these strings cannot express
(levels, ramps, glides, fractions).
"""

import re
from typing import Any, Final

from idtone.core.errors import ToneError
from idtone.core.translation import Message

from ..profile import RAMP_MS, Profile, build_profile
from .plain_tones import PlainTone, lengths_ms, plain_losses, plain_tones, whole_ms, with_pauses

PLAYTONES_DEPTH: Final = 0.22
"""Modulation depth of Playtones at its own volume: 7219 of 32 768 (main/indications.c)."""
_PLAYTONES_DBM0: Final = -10
"""Level of each frequency at Playtones' own volume, in dBm0."""
_PLAYTONES_STEP_MS: Final = 20
"""Duration of Playtones' frames, in ms. It plays whole frames, so a part of 110 ms takes 120 ms."""

_PART: Final = re.compile(
    r"(?P<once>!?)\s*"
    r"(?:(?P<first>[0-9]{1,5})(?:(?P<sign>[+*])\s*(?P<second>[0-9]{1,5}))?"
    r"|M\s*(?P<first_note>[0-9]{1,3})(?:(?P<note_sign>[+*])M\s*(?P<second_note>[0-9]{1,3}))?)"
    r"(?:/\s*(?P<ms>[0-9]{1,7}))?",
    re.ASCII,
)
_HIGHEST_NOTE: Final = 127
_TEXT_LIMIT: Final = 8191
"""Maximum number of characters in a line of Asterisk's configuration (main/config.c)."""
_HIGHEST_MODULATION_HZ: Final = 100
"""Limit in Hz up to which a second frequency is rejected.

Zone files write ring-back as 400+15 and mean a modulation, but Playtones plays the 15 as a tone of 15 Hz.
"""


def from_asterisk(
    text: str, *, name: str = "tones", title: str | None = None, level_dbm0: float = -16.0, repeat: int = 1
) -> Profile:
    """The profile for a tone string. Parts that the string repeats forever are played `repeat` times.

    Raises ToneError if the string is malformed, and DocumentError if the sound is out of bounds.
    """
    once: list[dict[str, Any]] = []
    looped: list[dict[str, Any]] = []
    parts = re.split(r"\|" if "|" in text else ",", text)
    for position, part in enumerate(parts, 1):
        place = Message("tone string, part {position} {text!r}", position=position, text=part.strip())
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ToneError(
                "{place}: is not a tone. Write it like 400/100, 400+450/100, 400*20/100 or !0/100", place=place
            )
        segment = _segment(match, place)
        # As in Asterisk, a part with '!' repeats if it follows a part without '!'.
        (once if match["once"] and not looped else looped).append(segment)
    segments, repeat = (once + looped * repeat, 1) if once else (looped, repeat)
    tree = {
        "id": name,
        "title": title or "Made from an Asterisk tone string",
        "level_dbm0": level_dbm0,
        "segments": with_pauses(segments),
        "repeat": repeat,
    }
    return build_profile(tree, f"tone string {text!r}")


def to_asterisk(profile: Profile) -> str:
    """The tone string that plays the profile once. Every part begins with `!`, and sweeps become steps.

    `conversion_losses` lists what is lost. Raises ToneError for a recording, for a burst of more than two frequencies,
    and for a string longer than a line of Asterisk's configuration.
    """
    parts: list[str] = []
    now_ms = 0
    for tone in plain_tones(profile):
        start_ms, end_ms = whole_ms(tone.start_ms), whole_ms(tone.end_ms)
        if start_ms > now_ms:
            parts.append(f"!0/{start_ms - now_ms}")
        # Asterisk plays a part of 0 ms forever.
        if end_ms > start_ms:
            parts.append(f"!{_tone(tone)}/{end_ms - start_ms}")
        now_ms = end_ms
    rest_ms = whole_ms(profile.duration_ms) - now_ms
    if rest_ms > 0:
        parts.append(f"!0/{rest_ms}")
    text = ",".join(parts)
    if len(text) > _TEXT_LIMIT:
        raise ToneError(
            "{profile} needs a tone string of more than {most} characters. Play its sound files",
            profile=profile.id,
            most=_TEXT_LIMIT,
        )
    return text


def conversion_losses(profile: Profile) -> tuple[str, ...]:
    """Sentences for the user about the properties that `to_asterisk` cannot express."""
    heard = [segment for segment in profile.segments if segment.frequencies_hz]
    levels = sorted({profile.level_of(segment) for segment in heard}, reverse=True)
    modulations = [segment.modulation for segment in heard if segment.modulation]
    frequencies = [frequency for tone in plain_tones(profile) for frequency in tone.frequencies_hz]
    frequencies += [modulation.rate_hz for modulation in modulations]
    found = [
        f"the level{'s' if len(levels) > 1 else ''} of {', '.join(f'{level:g}' for level in levels)} dBm0: "
        f"Playtones plays each frequency at {_PLAYTONES_DBM0} dBm0"
    ]
    found += plain_losses(profile, "Playtones")
    if any(modulation.depth != PLAYTONES_DEPTH for modulation in modulations):
        found.append(f"the depth of the modulation: Playtones has {PLAYTONES_DEPTH}")
    if not all(frequency.is_integer() for frequency in frequencies):
        found.append("fractions of a hertz: rounded")
    if any(time % _PLAYTONES_STEP_MS for time in lengths_ms(profile)):
        found.append(f"the exact times: Playtones makes each part a multiple of {_PLAYTONES_STEP_MS} ms")
    return tuple(found)


def _segment(match: re.Match[str], place: str) -> dict[str, Any]:
    """A part as the values of a Segment. Raises ToneError for an endless part or an inaudibly low tone."""
    if not int(match["ms"] or 0):
        tone = match[0].partition("/")[0]
        raise ToneError("{place}: has no end. Give its length in milliseconds, like {tone}/100", place=place, tone=tone)
    if match["first_note"]:
        first, second = (_note_hz(match[group], place) for group in ("first_note", "second_note"))
    else:
        first, second = int(match["first"]), int(match["second"] or 0)
    length_ms = float(match["ms"])
    segment: dict[str, Any] = {"on_ms": length_ms, "ramp_ms": min(RAMP_MS, length_ms / 2)}
    if "*" in (match["sign"], match["note_sign"]):
        modulation = {"rate_hz": float(second), "depth": PLAYTONES_DEPTH}
        return segment | {"frequencies_hz": (float(first),), "modulation": modulation}
    if 0 < second <= _HIGHEST_MODULATION_HZ:
        raise ToneError(
            "{place}: {second} Hz is too low to be heard. Write {first}*{second} for a modulated tone",
            place=place,
            second=second,
            first=first,
        )
    return segment | {"frequencies_hz": tuple(float(frequency) for frequency in (first, second) if frequency)}


def _note_hz(note: str | None, place: str) -> int:
    """The pitch of a note in Asterisk's table: equal temperament, truncated to whole Hz. 0 for None.

    Raises ToneError if there is no such note.
    """
    if note is None:
        return 0
    if int(note) > _HIGHEST_NOTE:
        raise ToneError(
            "{place}: there is no MIDI note {note}. Use one up to {highest_note}",
            place=place,
            note=note,
            highest_note=_HIGHEST_NOTE,
        )
    return int(440 * 2 ** ((int(note) - 69) / 12))


def _tone(tone: PlainTone) -> str:
    frequencies = [str(round(frequency)) for frequency in tone.frequencies_hz]
    modulation = tone.segment.modulation
    if modulation:
        frequencies.append(str(max(1, round(modulation.rate_hz))))
    if len(frequencies) > 2:
        raise ToneError("Asterisk's tone strings hold two frequencies at most, or one and its modulation")
    return ("*" if modulation else "+").join(frequencies)
