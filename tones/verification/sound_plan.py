"""The plan for a sound: the components that a receiver expects, with their times.

A component is one burst of a steady or gliding tone, or one step of a stepped sweep. Tones of one burst that the
receiver's filters cannot separate are lines of the same component, and so are the sidebands of a modulated tone.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from idtone.core.errors import ToneError

from ..making.amplitude import LOWEST_RATE_HZ, amplitude
from ..making.waveform import waveform
from ..measuring.inspection import MeasuredBurst, inspect
from ..profile import CALL_LIMIT_MS, Burst, Law, Profile

CLOSE_HZ: Final = 70.0
"""Distance below which tones share a component, in Hz."""
COMPONENT_LIMIT: Final = 120
_SAME_HZ: Final = 1.0
_TONE_DB: Final = 6.0
"""Minimum SINAD at which a burst of a recording counts as a tone and not as noise, in dB."""
_WEAK_DB: Final = -15.0
"""Minimum level relative to the strongest partial of a recorded burst, in dB. Weaker partials are lost on the line."""


@dataclass(frozen=True, slots=True)
class Component:
    """A tone from `start_s` to `end_s` of the sound, measured at half amplitude.

    Its frequency changes evenly from `from_hz` to `to_hz`. `lines_hz` are the offsets of its spectral lines.
    `amplitude` is the amplitude of a sine as loud as all lines together, where 1.0 is full scale. `burst` is the number
    of its burst, from 0.
    """

    burst: int
    start_s: float
    end_s: float
    ramp_s: float
    from_hz: float
    to_hz: float
    lines_hz: tuple[float, ...]
    amplitude: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def track_s(self) -> tuple[float, float]:
        """The times at which the frequency is `from_hz` and `to_hz`: the outer ends of the ramps."""
        return self.start_s - self.ramp_s / 2, self.end_s + self.ramp_s / 2

    @property
    def middle_hz(self) -> float:
        return (self.from_hz + self.to_hz) / 2

    @property
    def steady(self) -> bool:
        return self.from_hz == self.to_hz


@dataclass(frozen=True, slots=True)
class Plan:
    """A sound's components by start time. Times count from the start of the first component."""

    components: tuple[Component, ...]

    @property
    def length_s(self) -> float:
        """Time from the start of the first component to the end of the last, in seconds."""
        return max(component.end_s for component in self.components)

    @property
    def steady(self) -> bool:
        return all(component.steady for component in self.components)

    @property
    def longest_row(self) -> int:
        """The largest number of components of a single tone."""
        return max(Counter((each.from_hz, each.to_hz) for each in self.components).values())

    @property
    def bursts(self) -> int:
        return 1 + max(component.burst for component in self.components)


def plan_of(profile: Profile) -> Plan:
    """The plan for a profile. Raises ToneError if the profile is too long, has too many tones, or has none."""
    if profile.duration_ms > CALL_LIMIT_MS:
        raise ToneError(
            "the profile {id} is longer than {call_limit_ms} ms and cannot be looked for",
            id=profile.id,
            call_limit_ms=CALL_LIMIT_MS,
        )
    components: list[Component] = []
    for number, burst in enumerate(_bursts(profile)):
        components.extend(burst(number))
        if len(components) > COMPONENT_LIMIT:
            raise ToneError(
                "the profile {id} has more than {component_limit} tones and cannot be looked for",
                id=profile.id,
                component_limit=COMPONENT_LIMIT,
            )
    if not components:
        raise ToneError("the recording of the profile {id} holds no tone and cannot be looked for", id=profile.id)
    components = _alike(components)
    first_s = min(component.start_s for component in components)
    return Plan(
        tuple(
            replace(each, start_s=each.start_s - first_s, end_s=each.end_s - first_s)
            for each in sorted(components, key=lambda each: each.start_s)
        )
    )


def _alike(components: list[Component]) -> list[Component]:
    """The components, with one common frequency for measured tones less than `_SAME_HZ` apart.

    Neither an ear nor a line can distinguish tones this close.
    """
    known: list[float] = []
    found = []
    for each in components:
        hz = []
        for frequency_hz in (each.from_hz, each.to_hz):
            near = [other for other in known if abs(other - frequency_hz) < _SAME_HZ]
            if not near:
                known.append(frequency_hz)
            hz.append(near[0] if near else frequency_hz)
        found.append(replace(each, from_hz=hz[0], to_hz=hz[1]))
    return found


def _bursts(profile: Profile) -> Iterator[Callable[[int], Iterator[Component]]]:
    """Yield a function for each burst, which takes the burst's number and yields its components."""
    if profile.recording is None:
        for burst in profile.timeline():
            yield partial(_planned, burst=burst, peak=amplitude(profile.level_of(burst.segment), profile.law))
        return
    for found in inspect(waveform(profile, LOWEST_RATE_HZ), LOWEST_RATE_HZ, law=profile.law).bursts:
        if found.sinad_db >= _TONE_DB:
            yield partial(_measured, found=found, law=profile.law)


def _planned(number: int, burst: Burst, peak: float) -> Iterator[Component]:
    segment = burst.segment
    # A raised cosine is at half its amplitude in its middle.
    start_s = (burst.start_ms + segment.ramp_ms / 2) / 1000
    end_s = (burst.end_ms - segment.ramp_ms / 2) / 1000
    ramp_s = segment.ramp_ms / 1000
    single = peak / math.sqrt(len(segment.frequencies_hz))
    sidebands = _sidebands(segment.modulation.rate_hz if segment.modulation else None)
    if segment.sweep:
        for from_hz, to_hz in zip(segment.frequencies_hz, segment.sweep.to_hz, strict=True):
            whole = Component(number, start_s, end_s, ramp_s, from_hz, to_hz, sidebands, single)
            yield from _stairs(whole, segment.sweep.steps) if segment.sweep.steps else (whole,)
        return
    for group in _close(segment.frequencies_hz):
        yield _steady(number, start_s, end_s, ramp_s, group, sidebands, single * math.sqrt(len(group)))


def _stairs(whole: Component, count: int) -> Iterator[Component]:
    """Yield the steps of a sweep as separate components.

    The phase between two steps depends on the place of the sound.
    """
    first_s, last_s = whole.track_s
    for stair in range(count):
        start_s, end_s = (first_s + (last_s - first_s) * (stair + edge) / count for edge in (0, 1))
        frequency_hz = whole.from_hz + (whole.to_hz - whole.from_hz) * stair / (count - 1)
        yield replace(
            whole,
            start_s=max(start_s, whole.start_s),
            end_s=min(end_s, whole.end_s),
            ramp_s=0.0,
            from_hz=frequency_hz,
            to_hz=frequency_hz,
        )


def _measured(number: int, found: MeasuredBurst, law: Law) -> Iterator[Component]:
    """Yield the strong partials of a recorded burst as components."""
    start_s = (found.start_ms + found.rise_ms / 2) / 1000
    end_s = (found.end_ms - found.fall_ms / 2) / 1000
    ramp_s = (found.rise_ms + found.fall_ms) / 2000
    loudest = max(each.level_dbm0 for each in found.partials)
    strong = [index for index, each in enumerate(found.partials) if each.level_dbm0 > loudest + _WEAK_DB]
    sidebands = _sidebands(found.modulation.rate_hz if found.modulation else None)
    if found.glide:
        for index in strong:
            from_hz, to_hz = found.glide.from_hz[index], found.glide.to_hz[index]
            peak = amplitude(found.partials[index].level_dbm0, law)
            yield Component(number, start_s, end_s, ramp_s, from_hz, to_hz, sidebands, peak)
        return
    peaks = {found.partials[index].frequency_hz: amplitude(found.partials[index].level_dbm0, law) for index in strong}
    for group in _close(tuple(peaks)):
        together = math.sqrt(math.fsum(peaks[frequency_hz] ** 2 for frequency_hz in group))
        yield _steady(number, start_s, end_s, ramp_s, group, sidebands, together)


def _steady(
    number: int,
    start_s: float,
    end_s: float,
    ramp_s: float,
    group: tuple[float, ...],
    sidebands: tuple[float, ...],
    together: float,
) -> Component:
    middle_hz = math.fsum(group) / len(group)
    lines = tuple(frequency_hz - middle_hz + side_hz for frequency_hz in group for side_hz in sidebands)
    return Component(number, start_s, end_s, ramp_s, middle_hz, middle_hz, lines, together)


def _sidebands(rate_hz: float | None) -> tuple[float, ...]:
    return (0.0,) if rate_hz is None else (-rate_hz, 0.0, rate_hz)


def _close(frequencies_hz: tuple[float, ...]) -> Iterator[tuple[float, ...]]:
    group: list[float] = []
    for frequency_hz in sorted(frequencies_hz):
        if group and frequency_hz - group[-1] > CLOSE_HZ:
            yield tuple(group)
            group = []
        group.append(frequency_hz)
    yield tuple(group)
