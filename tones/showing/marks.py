"""Marks a profile's bursts, or the measured bursts, on a drawing of a sound."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ..measuring.inspection import Inspection, MeasuredBurst
from ..profile import Profile, Segment

MARKS: Final = 2000
"""Maximum number of marks. More of them would cover the drawing."""


@dataclass(frozen=True, slots=True)
class BurstMark:
    """A burst marked in a drawing.

    `lines_hz` contains the first and last value of each frequency. `stairs` is the number of steps of a stepped sweep.
    `tolerance_percent` is the tolerance of the frequencies. `edges_ms` contains the tolerances of the start and the
    end.
    """

    start_ms: float
    end_ms: float
    lines_hz: tuple[tuple[float, float], ...]
    stairs: int | None = None
    tolerance_percent: float = 0.0
    edges_ms: tuple[float, float] = (0.0, 0.0)


def marks_of_profile(profile: Profile, offset_ms: float = 0.0) -> tuple[BurstMark, ...]:
    """The marks of a profile whose sound begins at `offset_ms`. A recording has no marks.

    The cadence as a whole may be slower or faster, so later edges have a larger tolerance.
    """
    tolerance = profile.tolerance
    marks = []
    for burst in islice(profile.timeline(), MARKS):
        segment = burst.segment
        to_hz = segment.sweep.to_hz if segment.sweep else segment.frequencies_hz
        marks.append(
            BurstMark(
                offset_ms + burst.start_ms,
                offset_ms + burst.end_ms,
                tuple(zip(segment.frequencies_hz, to_hz, strict=True)),
                segment.sweep.steps if segment.sweep else None,
                tolerance.frequency_percent,
                (burst.start_ms * tolerance.time_percent / 100, burst.end_ms * tolerance.time_percent / 100),
            )
        )
    return tuple(marks)


def marks_of_inspection(inspection: Inspection) -> tuple[BurstMark, ...]:
    """The marks of the measured bursts."""
    return tuple(BurstMark(burst.start_ms, burst.end_ms, _lines(burst)) for burst in inspection.bursts)


def top_hz_of(sample_rate_hz: int, marks: Sequence[BurstMark]) -> float:
    """The highest frequency of a drawing, in Hz: the telephone band, or more if the marks require it."""
    highest = max((max(line) for mark in marks for line in mark.lines_hz), default=0.0)
    return min(sample_rate_hz / 2, max(4000.0, 1.15 * highest))


def profile_offset_ms(profile: Profile, bursts: Sequence[MeasuredBurst]) -> float | None:
    """The time at which the profile starts in a recording, in ms, or None if no burst matches.

    At this time, most of the profile's bursts match a measured burst.
    """
    plan = tuple(islice(profile.timeline(), 64))
    tolerance = profile.tolerance
    ordered = sorted(bursts, key=_start_ms)
    best: tuple[int, float] | None = None
    for burst in ordered:
        for first in plan[:8]:
            offset = burst.start_ms - first.start_ms
            met = 0
            for planned in plan:
                reach_ms = max(10.0, planned.end_ms * tolerance.time_percent / 100)
                place_ms = offset + planned.start_ms
                near = ordered[
                    bisect_left(ordered, place_ms - reach_ms, key=_start_ms) : bisect_right(
                        ordered, place_ms + reach_ms, key=_start_ms
                    )
                ]
                met += any(_alike(other, planned.segment, 3 * tolerance.frequency_percent) for other in near)
            if met and (best is None or met > best[0]):
                best = met, offset
    return best and best[1]


def _start_ms(burst: MeasuredBurst) -> float:
    return burst.start_ms


def _alike(burst: MeasuredBurst, segment: Segment, percent: float) -> bool:
    """True if the burst contains each frequency of the segment."""
    return all(
        any(abs(from_hz / frequency_hz - 1) <= percent / 100 for from_hz, _ in _lines(burst))
        for frequency_hz in segment.frequencies_hz
    )


def _lines(burst: MeasuredBurst) -> tuple[tuple[float, float], ...]:
    if burst.glide:
        return tuple(zip(burst.glide.from_hz, burst.glide.to_hz, strict=True))
    return tuple((partial.frequency_hz, partial.frequency_hz) for partial in burst.partials)
