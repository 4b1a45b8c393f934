"""A profile's bursts: their first and last samples, and their waves."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..profile import Profile, Segment, Sweep
from .oscillation import BLOCK, Glide, Samples, Tone, Wave, exact_fraction, raised_cosine


class BurstTimeline:
    """The samples at which a profile's bursts begin and end, each rounded from its exact time."""

    def __init__(self, profile: Profile, sample_rate_hz: int) -> None:
        at = Fraction(0)
        edges = []
        for segment in profile.segments:
            end = at + exact_fraction(segment.on_ms) * sample_rate_hz / 1000
            if segment.frequencies_hz:
                edges.append((at, end, segment))
            at = end + exact_fraction(segment.off_ms) * sample_rate_hz / 1000
        self._edges = edges
        self._repeat = profile.repeat
        self.cycle = at
        """Exact length of one cycle of the profile, in samples."""
        self.end = math.floor(at * profile.repeat + Fraction(1, 2))

    def bursts(self) -> Iterator[tuple[int, int, Segment]]:
        """Yield the first sample, the sample after the last, and the segment of each audible burst."""
        # Integers are fast, and a profile may have half a million bursts.
        unit = math.lcm(self.cycle.denominator, *(edge.denominator for each in self._edges for edge in each[:2]))
        scaled = [(int(start * unit), int(end * unit), segment) for start, end, segment in self._edges]
        cycle = int(self.cycle * unit)
        for once in range(self._repeat):
            passed = once * cycle
            for start, end, segment in scaled:
                first = (2 * (passed + start) + unit) // (2 * unit)
                yield first, (2 * (passed + end) + unit) // (2 * unit), segment


class BurstWave:
    """The wave of a segment, `length` samples long, with phase 0 at its first sample.

    `peak` is the peak of a single sine at the segment's level.
    """

    def __init__(self, segment: Segment, length: int, sample_rate_hz: int, peak: float) -> None:
        self.length = length
        self._segment, self._rate_hz = segment, sample_rate_hz
        ramp = segment.ramp_ms * sample_rate_hz / 1000
        self._ramp = ramp if ramp > 0.5 else 0.0  # a shorter ramp ends before the middle of the first sample
        self._gain = peak / math.sqrt(len(segment.frequencies_hz))
        if segment.modulation:
            self._gain /= math.sqrt(1 + segment.modulation.depth * segment.modulation.depth / 2)
        self.plateau = (min(math.ceil(self._ramp), length), max(length - math.ceil(self._ramp), 0))
        """The first sample after the start ramp, and the first sample of the end ramp."""

    @property
    def period(self) -> int | None:
        """Number of samples after which the plateau repeats, or None if the frequencies change."""
        if self._segment.sweep:
            return None
        rates_hz = [*self._segment.frequencies_hz]
        if self._segment.modulation:
            rates_hz.append(self._segment.modulation.rate_hz)
        return math.lcm(*((exact_fraction(rate_hz) / self._rate_hz).denominator for rate_hz in rates_hz))

    def blocks(self, first: int = 0, end: int | None = None) -> Iterator[Samples]:
        """Yield the samples from `first` up to `end` in blocks. Each block may overwrite the previous one."""
        end = self.length if end is None else end
        total, factor = np.empty((2, min(BLOCK, self.length)))
        modulation = self._segment.modulation
        swell = (
            Tone(exact_fraction(modulation.rate_hz) / self._rate_hz, BLOCK, modulation.depth) if modulation else None
        )
        for begins, ends, waves in self._parts():
            stop = min(ends, end)
            for at in range(max(begins, first), stop, BLOCK):
                size = min(BLOCK, stop - at)
                block = _sum([wave.block(at, size) for wave in waves], total[:size])
                if swell:
                    swollen = np.add(swell.block(at, size), 1.0, out=factor[:size])
                    block = np.multiply(block, swollen, out=total[:size])
                if at < self._ramp or at + size > self.length - self._ramp:
                    block = block * self._ramps(at, size)
                yield block

    def _parts(self) -> Iterator[tuple[int, int, list[Wave]]]:
        """Yield the first sample, the end and the waves of each part.

        A sweep in steps has one part per step. Any other burst is a single part.
        """
        from_hz = [exact_fraction(frequency_hz) for frequency_hz in self._segment.frequencies_hz]
        sweep = self._segment.sweep
        if sweep is None:
            waves: list[Wave] = [Tone(each_hz / self._rate_hz, BLOCK, self._gain) for each_hz in from_hz]
            yield 0, self.length, waves
        elif sweep.steps is None:
            on = exact_fraction(self._segment.on_ms) * self._rate_hz / 1000
            bends = [
                (exact_fraction(to) - each) / (2 * self._rate_hz * on)
                for each, to in zip(from_hz, sweep.to_hz, strict=True)
            ]
            waves = [
                Glide(each / self._rate_hz, bend, BLOCK, self._gain) for each, bend in zip(from_hz, bends, strict=True)
            ]
            yield 0, self.length, waves
        else:
            yield from self._stairs(from_hz, sweep, sweep.steps)

    def _stairs(self, from_hz: list[Fraction], sweep: Sweep, steps: int) -> Iterator[tuple[int, int, list[Wave]]]:
        stair = exact_fraction(self._segment.on_ms) * self._rate_hz / 1000 / steps
        rises = [(exact_fraction(to) - each) / (steps - 1) for each, to in zip(from_hz, sweep.to_hz, strict=True)]
        turned = [Fraction(0)] * len(from_hz)
        for step in range(steps):
            begins = stair * step
            pitches = [(each + rise * step) / self._rate_hz for each, rise in zip(from_hz, rises, strict=True)]
            first = min(math.ceil(begins), self.length)
            end = self.length if step == steps - 1 else min(math.ceil(begins + stair), self.length)
            if end > first:
                phases = [phase - pitch * begins for pitch, phase in zip(pitches, turned, strict=True)]
                yield (
                    first,
                    end,
                    [Tone(pitch, BLOCK, self._gain, phase) for pitch, phase in zip(pitches, phases, strict=True)],
                )
            turned = [(phase + pitch * stair) % 1 for pitch, phase in zip(pitches, turned, strict=True)]

    def _ramps(self, first: int, size: int) -> Samples:
        """The gain of the ramps at the start and end of the burst."""
        middle = np.arange(first, first + size, dtype=np.float64) + 0.5
        from_edge = np.minimum(middle, self.length - middle)
        return raised_cosine(np.minimum(from_edge / self._ramp, 1.0))


def _sum(blocks: list[Samples], total: Samples) -> Samples:
    """The sum of the blocks, stored in `total` if there are several blocks."""
    if len(blocks) == 1:
        return blocks[0]
    np.add(blocks[0], blocks[1], out=total)
    for block in blocks[2:]:
        np.add(total, block, out=total)
    return total
