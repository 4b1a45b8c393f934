"""FreeSWITCH's tone generation markup language, TGML, as in `tone_stream://`.

A text consists of parts separated by `;`: settings like `v=-13`, tones `%(on,off,f1,f2,…)`, and DTMF digits `5` or
`5(on,off)`. `l=` repeats the next tone. `L=` repeats the whole text, and so does a final `;loops=` (negative: forever).
The grammar follows teletone_run, but parts that teletone_run silently skips are errors here (libteletone_generate.c,
mod_tone_stream.c).

libteletone's volume is nearly in dBm0. The peak of a tone is 10^((v - 3.14 - 3.02) / 20) · 32767 · 1.414214
(teletone_dds_state_set_tx_level), 0.01 dB below v dBm0 of the A-law. n tones are added and divided by n. libteletone
also adds a constant of 128 / n steps to every burst.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from idtone.core.errors import ToneError
from idtone.core.translation import Message

from ..profile import RAMP_MS, Law, Profile, build_profile
from .plain_tones import plain_losses, plain_tones, whole_ms, with_pauses

_STREAM: Final = "tone_stream://"
_LOOPS: Final = re.compile(r";loops=(-?[0-9]{1,5})\s*", re.ASCII | re.IGNORECASE)
_SETTING: Final = re.compile(r"(?P<name>[cdrvwlL<>+])=\s*(?P<value>-?[0-9]{1,7}(?:\.[0-9]{1,9})?)", re.ASCII)
_TONE: Final = re.compile(r"\s*(?P<name>[0-9A-D*#%])(?:\((?P<values>[^()]*)\))?", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,7}", re.ASCII)
_FREQUENCY: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,20})?", re.ASCII)
_TONES_READ_LIMIT: Final = 10_000
_LONGEST_ROUND: Final = 128

_ROWS_HZ: Final = {"123A": 697.0, "456B": 770.0, "789C": 859.0, "*0#D": 941.0}
"""Frequencies of the DTMF rows, as in libteletone, which uses 859 Hz instead of the 852 Hz of ITU-T Q.23."""
_COLUMNS_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
_DIGITS_HZ: Final = {
    digit: (row_hz, column_hz)
    for digits, row_hz in _ROWS_HZ.items()
    for digit, column_hz in zip(digits, _COLUMNS_HZ, strict=True)
}

_Tones = list[dict[str, Any]]
"""Values of Segments."""


@dataclass(slots=True)
class _State:
    """Settings of a TGML text. Each setting is valid until it is set again.

    The defaults match teletone_init_session at 8000 Hz.
    """

    volume_db: float = -7.0
    on_ms: float = 250.0
    off_ms: float = 62.5
    loops: int = 0


def from_tgml(
    text: str, *, name: str = "tones", title: str | None = None, level_dbm0: float | None = None, repeat: int = 1
) -> Profile:
    """The profile for a TGML text. Endless loops are played `repeat` times.

    If `level_dbm0` is given, the loudest tone gets this level, and the others keep their difference from it. Otherwise
    the levels are FreeSWITCH's.

    Raises ToneError if a part is malformed or cannot be expressed by a profile (fades, other sample rates, channels),
    and DocumentError if the sound is out of bounds.
    """
    script, rounds = text.strip().removeprefix(_STREAM), 1
    tail = re.search(r";loops=", script, re.IGNORECASE)
    if tail:
        loops = _LOOPS.fullmatch(script, tail.start())
        if loops is None:
            raise ToneError(
                "TGML, end {text!r}: is not a number of loops. Write it like ;loops=3", text=script[tail.start() :]
            )
        script = script[: tail.start()]
        rounds = repeat if int(loops[1]) < 0 else max(1, int(loops[1]))
    tones, own_rounds = _in_rounds(_played(script))
    loudest_dbm0 = max((tone["level_dbm0"] for tone in tones if tone["frequencies_hz"]), default=-7.0)
    shift_db = 0.0 if level_dbm0 is None else level_dbm0 - loudest_dbm0
    for tone in tones:
        own_dbm0 = tone.pop("level_dbm0")
        if tone["frequencies_hz"] and own_dbm0 != loudest_dbm0:
            tone["level_dbm0"] = round(own_dbm0 + shift_db, 2)
    tree = {
        "id": name,
        "title": title or "Made from FreeSWITCH's TGML",
        "level_dbm0": loudest_dbm0 if level_dbm0 is None else level_dbm0,
        "segments": with_pauses(tones),
        "repeat": rounds * own_rounds,
    }
    return build_profile(tree, f"TGML {text!r}")


def to_tgml(profile: Profile) -> str:
    """TGML that plays the profile. Sweeps become steps, and modulation is omitted.

    `conversion_losses` lists what is lost. Raises ToneError for a recording, or for more than `plain_tones.TONES_LIMIT`
    tones.
    """
    once = profile.model_copy(update={"repeat": 1})
    tones = [tone for tone in plain_tones(once) if whole_ms(tone.end_ms) > whole_ms(tone.start_ms)]
    starts = [whole_ms(tone.start_ms) for tone in tones] + [whole_ms(once.duration_ms)]
    parts = [f"L={profile.repeat}"] if profile.repeat > 1 else []
    if starts[0] > 0:
        parts.append(f"%(0,{starts[0]},{_number(tones[0].frequencies_hz[0])})")
    volume = ""
    for tone, start_ms, next_ms in zip(tones, starts, starts[1:], strict=False):
        wanted = _number(round(min(_volume_db(profile.level_of(tone.segment), tone.frequencies_hz, profile.law), 0), 3))
        if wanted != volume:
            volume = wanted
            parts.append(f"v={volume}")
        end_ms = whole_ms(tone.end_ms)
        values = [str(end_ms - start_ms), str(next_ms - end_ms), *map(_number, tone.frequencies_hz)]
        parts.append(f"%({','.join(values)})")
    return ";".join(parts)


def conversion_losses(profile: Profile) -> tuple[str, ...]:
    """Sentences for the user about the properties that `to_tgml` cannot express."""
    heard = [segment for segment in profile.segments if segment.frequencies_hz]
    levels = {profile.level_of(segment) for segment in heard}
    found = list(plain_losses(profile, "FreeSWITCH"))
    if any(segment.modulation for segment in heard):
        found.append("the modulation: FreeSWITCH has none")
    if any(_volume_db(profile.level_of(segment), segment.frequencies_hz, profile.law) > 0 for segment in heard):
        found.append("the level: FreeSWITCH's highest level is below it")
    if any(round(level, 2) != level for level in levels):
        found.append("hundredths of a decibel: rounded")
    return tuple(found)


def _volume_db(level_dbm0: float, frequencies_hz: tuple[float, ...], law: Law) -> float:
    """The libteletone volume that gives a burst this level."""
    return level_dbm0 - _offset_db(len(frequencies_hz), law)


def _offset_db(tones: int, law: Law) -> float:
    """The level of `tones` simultaneous tones at volume 0, in dBm0."""
    peak = 20 * math.log10(1.414214 * 32767 / 32768) - (3.14 + 3.02)
    return peak + law.full_scale_dbm0 - 10 * math.log10(tones)


def _number(value: float) -> str:
    return str(value).removesuffix(".0")


def _in_rounds(tones: _Tones) -> tuple[_Tones, int]:
    """The shortest sequence that gives `tones` when repeated, and the number of repetitions."""
    for length in range(1, min(_LONGEST_ROUND, len(tones) // 2) + 1):
        if len(tones) % length == 0 and tones[length:] == tones[:-length]:
            return tones[:length], len(tones) // length
    return tones, 1


def _played(script: str) -> _Tones:
    """All tones that teletone_run plays, in order. Raises ToneError."""
    parts = script.split(";")
    if _SETTING.fullmatch(parts[-1].strip()):
        # FreeSWITCH reads a final setting again after its first letter: `L=3` plays the digit 3.
        raise ToneError(
            "TGML, part {number} {text!r}: a setting is at the end. Move it to the front",
            number=len(parts),
            text=parts[-1].strip(),
        )
    state = _State()
    first = _run(parts, state)
    times = next((int(match["value"]) for match in map(_whole_script, parts) if match and int(match["value"]) > 0), 1)
    # Each round begins with the final settings of the round before. From the second round on, all are equal.
    again = _run(parts, state) if times > 1 else []
    if len(first) + len(again) * (times - 1) > _TONES_READ_LIMIT:
        raise ToneError("TGML: plays more than {most} tones. Repeat it less often", most=_TONES_READ_LIMIT)
    return [dict(tone) for tone in first + again * (times - 1)]


def _whole_script(part: str) -> re.Match[str] | None:
    match = _SETTING.fullmatch(part.strip())
    return match if match and match["name"] == "L" else None


def _run(parts: list[str], state: _State) -> _Tones:
    played: _Tones = []
    for position, text in enumerate(parts, 1):
        part = text.strip()
        place = Message("TGML, part {position} {text!r}", position=position, text=part)
        if part[1:2] == "=":
            setting = _SETTING.fullmatch(part)
            if setting is None:
                raise ToneError("{place}: is not a setting. Write it like v=-13, d=100, w=100, l=2 or L=2", place=place)
            _set(state, setting["name"], setting["value"], place)
            continue
        end = 0
        while end < len(part):
            match = _TONE.match(part, end)
            if match is None:
                raise ToneError(
                    "{place}: is not a tone from {text!r} on. Write it like %(100,50,400,450) or 5",
                    place=place,
                    text=part[end:],
                )
            tone = _tone(match, state, place)
            times, state.loops = max(1, state.loops), 0
            if len(played) + times > _TONES_READ_LIMIT:
                raise ToneError(
                    "{place}: is beyond {most} tones. Repeat it less often", place=place, most=_TONES_READ_LIMIT
                )
            played += [tone] * times if tone else []
            end = match.end()
    return played


def _set(state: _State, name: str, value: str, place: str) -> None:
    number = float(value)
    if name in "<>+":
        raise ToneError(
            "{place}: is a fade, which a profile cannot express. Remove it, or write a tone for each step", place=place
        )
    if name != "v" and not number.is_integer():
        raise ToneError("{place}: FreeSWITCH drops the fraction. Give a whole number", place=place)
    if name == "c" and number != 1:
        raise ToneError("{place}: a sound has one channel. Remove it", place=place)
    if name == "r" and number != 8000:
        raise ToneError("{place}: another rate changes every pitch on a call at 8000 Hz. Remove it", place=place)
    if name == "v":
        if not -63 <= number <= 0:
            raise ToneError(
                "{place}: FreeSWITCH ignores a volume outside -63 to 0. Give one from -63 to 0", place=place
            )
        state.volume_db = number
    elif number < 0:
        raise ToneError("{place}: is negative. Give a positive number", place=place)
    elif name == "d":
        state.on_ms = number
    elif name == "w":
        state.off_ms = number
    elif name == "l":
        state.loops = int(number)


def _tone(match: re.Match[str], state: _State, place: str) -> dict[str, Any] | None:
    """A tone as the values of a Segment, or None if it has no duration."""
    values = [value.strip() for value in match["values"].split(",")] if match["values"] is not None else []
    manual = match["name"] == "%"
    if (len(values) < 3) if manual else (len(values) not in {0, 2}):
        wanted = "%(on,off,frequency)" if manual else Message("{tone} or {tone}(on,off)", tone=match["name"])
        raise ToneError(
            "{place}: {text!r} is incomplete. Write {wanted}", place=place, text=match[0].strip(), wanted=wanted
        )
    on_ms, off_ms = state.on_ms, state.off_ms
    if values:
        if not all(_WHOLE.fullmatch(value) for value in values[:2]):
            raise ToneError(
                "{place}: {text!r} needs times in whole milliseconds. Write them like 100",
                place=place,
                text=match[0].strip(),
            )
        on_ms, off_ms = float(values[0]), float(values[1])
    frequencies = _frequencies(values[2:], place) if manual else _DIGITS_HZ[match["name"]]
    # A tone of no duration consists only of its pause, which is how TGML writes silence.
    if on_ms == 0:
        return {"frequencies_hz": (), "on_ms": off_ms, "level_dbm0": None} if off_ms else None
    level_dbm0 = round(state.volume_db + _offset_db(len(frequencies), Law.A), 2)
    ramp_ms = min(RAMP_MS, on_ms / 2)
    return {
        "frequencies_hz": frequencies,
        "on_ms": on_ms,
        "off_ms": off_ms,
        "ramp_ms": ramp_ms,
        "level_dbm0": level_dbm0,
    }


def _frequencies(values: list[str], place: str) -> tuple[float, ...]:
    """The frequencies up to the first 0, as FreeSWITCH reads them. Raises ToneError if there are none."""
    found: list[float] = []
    for value in values:
        if not _FREQUENCY.fullmatch(value):
            raise ToneError(
                "{place}: {text!r} is not a frequency. Write it in hertz, like 400 or 440.5", place=place, text=value
            )
        if float(value) == 0:
            break
        found.append(float(value))
    if not found:
        raise ToneError(
            "{place}: FreeSWITCH skips a tone of 0 Hz and its time. Write silence as %(0,100,400)", place=place
        )
    return tuple(found)
