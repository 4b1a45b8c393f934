"""Rules against unwise properties of a valid sound.

A sound with findings can still be generated and played.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from .network_tones import resemblances, spectrum_hz
from .profile import CALL_LIMIT_MS, Profile, Segment

BAND_HZ: Final = (300.0, 3400.0)
"""A telephone line's frequency band, in Hz (ITU-T G.712)."""
LEVELS_DBM0: Final = (-30.0, -10.0)
"""Lowest and highest usual level, in dBm0.

The upper limit is the nominal level of the network's own tones (ITU-T E.180/Q.35, clause 2: -10 dBm0, within 5 dB),
which are not heard during a call. Below the lower limit, speech and room noise mask the sound.
"""
SHORTEST_BURST_MS: Final = 40.0
"""Minimum duration of a burst, in ms. Two packets of 20 ms are needed, because one of them can be lost."""
LONGEST_BURST_MS: Final = 2000.0
"""Maximum duration of a burst, in ms.

Receivers and people mistake a longer steady tone for a dial tone or an answer tone (ITU-T V.25: 2.6 to 4 s).
"""
SHORTEST_RAMP_MS: Final = 3.0
"""Minimum duration of a ramp, in ms.

A measured burst of 400 Hz had -24 dB beyond ±200 Hz without ramps, and -41 dB with ramps of 5 ms.
"""
MOST_FREQUENCIES: Final = 4
"""Maximum number of simultaneous frequencies. Speech codecs preserve few, because they model one voice."""
HEADROOM_DB: Final = 3.0
"""Headroom for the gain of gateways and telephones, in dB."""

Values = dict[str, str]
_Found = Iterator[tuple[int | None, Values]]
"""Segment number, counted from 1 (None for the whole sound), and the values for the finding's sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `check` yields the places that violate it. If `warning` is False, findings are only notes."""

    code: str
    check: Callable[[Profile], _Found]
    sentence: str
    warning: bool = True


@dataclass(frozen=True, slots=True)
class LintFinding:
    """A finding. `segment` counts from 1, or is None for the whole sound."""

    code: str
    segment: int | None
    message: str
    warning: bool


def lint(profile: Profile) -> tuple[LintFinding, ...]:
    """All findings, in the order of the rules."""
    return tuple(
        LintFinding(rule.code, segment, rule.sentence.format(**values), rule.warning)
        for rule in RULES
        for segment, values in rule.check(profile)
    )


def _heard(profile: Profile) -> Iterator[tuple[int, Segment]]:
    return ((number, segment) for number, segment in enumerate(profile.segments, 1) if segment.frequencies_hz)


def _network_tone(profile: Profile) -> _Found:
    for index, tone in resemblances(profile):
        segment = profile.segments[index]
        cadence = f"; its cadence is {tone.cadence}, here {segment.on_ms:.10g}/{segment.off_ms:.10g} ms"
        yield index + 1, {"tone": tone.name, "cadence": cadence if tone.cadence else ""}


def _band(profile: Profile) -> _Found:
    low_hz, high_hz = BAND_HZ
    for number, segment in _heard(profile):
        for frequency_hz in sorted({f for fraction in (0.0, 1.0) for f in spectrum_hz(segment, fraction)}):
            if not low_hz <= frequency_hz <= high_hz:
                yield number, {"frequency": f"{frequency_hz:g}", "low": f"{low_hz:g}", "high": f"{high_hz:g}"}


def _loud(profile: Profile) -> _Found:
    return _levels(profile, lambda level_dbm0: level_dbm0 > LEVELS_DBM0[1], LEVELS_DBM0[1])


def _quiet(profile: Profile) -> _Found:
    return _levels(profile, lambda level_dbm0: level_dbm0 < LEVELS_DBM0[0], LEVELS_DBM0[0])


def _levels(profile: Profile, wrong: Callable[[float], bool], limit_dbm0: float) -> _Found:
    whole = {"level": f"{profile.level_dbm0:g}", "limit": f"{limit_dbm0:g}"}
    segments = list(_heard(profile))
    # The common level gives a single finding, not one per segment.
    if wrong(profile.level_dbm0) and (not segments or any(segment.level_dbm0 is None for _, segment in segments)):
        yield None, whole
    for number, segment in segments:
        if segment.level_dbm0 is not None and wrong(segment.level_dbm0):
            yield number, whole | {"level": f"{segment.level_dbm0:g}"}


def _short_burst(profile: Profile) -> _Found:
    for number, segment in _heard(profile):
        if segment.on_ms < SHORTEST_BURST_MS:
            yield number, {"on": f"{segment.on_ms:.10g}", "limit": f"{SHORTEST_BURST_MS:g}"}


def _long_burst(profile: Profile) -> _Found:
    for number, segment in _heard(profile):
        if segment.on_ms > LONGEST_BURST_MS:
            yield number, {"on": f"{segment.on_ms:.10g}", "limit": f"{LONGEST_BURST_MS:g}"}


def _click(profile: Profile) -> _Found:
    for number, segment in _heard(profile):
        if segment.ramp_ms < SHORTEST_RAMP_MS:
            yield number, {"ramp": f"{segment.ramp_ms:g}", "limit": f"{SHORTEST_RAMP_MS:g}"}


def _too_long(profile: Profile) -> _Found:
    if profile.duration_ms > CALL_LIMIT_MS:
        yield None, {"duration": f"{profile.duration_ms:.10g}", "limit": str(CALL_LIMIT_MS)}


def _many_frequencies(profile: Profile) -> _Found:
    for number, segment in _heard(profile):
        if len(segment.frequencies_hz) > MOST_FREQUENCIES:
            yield number, {"count": str(len(segment.frequencies_hz)), "limit": str(MOST_FREQUENCIES)}


def _headroom(profile: Profile) -> _Found:
    for number, segment in _heard(profile):
        peak_db = profile.level_of(segment) + 20 * math.log10(segment.crest)
        headroom_db = profile.law.full_scale_dbm0 - peak_db
        if headroom_db < HEADROOM_DB:
            yield number, {"headroom": f"{max(headroom_db, 0.0):.1f}", "limit": f"{HEADROOM_DB:g}"}


def _recording(profile: Profile) -> _Found:
    if profile.recording:
        yield None, {"file": profile.recording.name}


RULES: Final = (
    Rule("network-tone", _network_tone, "can be mistaken for {tone}{cadence}"),
    Rule("out-of-band", _band, "sounds at {frequency} Hz, outside the telephone band of {low} to {high} Hz"),
    Rule("too-loud", _loud, "is at {level} dBm0, above the {limit} dBm0 that ITU-T E.180 names for tones"),
    Rule("too-quiet", _quiet, "is at {level} dBm0; below {limit} dBm0 speech covers a notice"),
    Rule("short-burst", _short_burst, "lasts {on} ms; under {limit} ms one lost packet can remove all of it"),
    Rule("long-burst", _long_burst, "lasts {on} ms; over {limit} ms it sounds like a continuous tone"),
    Rule("click", _click, "has ramps of {ramp} ms; under {limit} ms the burst clicks"),
    Rule("too-long", _too_long, "lasts {duration} ms; a sound must not delay a call for more than {limit} ms"),
    Rule("many-frequencies", _many_frequencies, "has {count} frequencies; speech codecs damage more than {limit}"),
    Rule("little-headroom", _headroom, "has {headroom} dB to clipping; keep {limit} dB for gain in the network"),
    Rule(
        "recording",
        _recording,
        "is a recording: its frequencies are not checked here. See `idtone tone inspect {file}`",
        warning=False,
    ),
)
