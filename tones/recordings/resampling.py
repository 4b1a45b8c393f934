"""Converts a leg to another sample rate."""

from dataclasses import replace

import soxr

from .recorded_leg import RecordedLeg


def resample(leg: RecordedLeg, sample_rate_hz: int) -> RecordedLeg:
    """The leg at `sample_rate_hz`, or the same object if it already has that rate.

    Lost spans grow to whole samples. The filter has linear phase, so nothing moves in time. It rings into lost spans,
    so they are set to zero again.
    """
    if leg.sample_rate_hz == sample_rate_hz:
        return leg
    samples = soxr.resample(leg.samples, leg.sample_rate_hz, sample_rate_hz, quality="HQ")
    lost: list[tuple[int, int]] = []
    for start, end in leg.lost:
        first = start * sample_rate_hz // leg.sample_rate_hz
        last = min(-(-end * sample_rate_hz // leg.sample_rate_hz), len(samples))
        if lost and first <= lost[-1][1]:
            first = lost.pop()[0]
        if first < last:
            lost.append((first, last))
            samples[first:last] = 0
    return replace(leg, samples=samples, sample_rate_hz=sample_rate_hz, lost=tuple(lost))
