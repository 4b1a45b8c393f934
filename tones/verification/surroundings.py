"""Finds bursts of the sound's own tones before and after the place at which it was found."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from .fit import Fitted, FittedComponent, Fitter
from .screening import RATE_HZ, Reals
from .sound_plan import Plan

_GLIDE_COHERENCE: Final = 0.4
_TEMPI: Final = np.array([0.9, 1.0, 1.1])
_SHORTEST_GAP_S: Final = 0.15
_LONGEST_LOOK_S: Final = 1.5


class Surroundings:
    """A search for bursts of the sound's own tones before and after the sound."""

    def __init__(self, plan: Plan) -> None:
        gaps_s = [later.start_s - each.end_s for each, later in zip(plan.components, plan.components[1:], strict=False)]
        self._gap_s = max([_SHORTEST_GAP_S, *gaps_s]) + 0.05
        self._tones: list[tuple[Fitter, int, int]] = []
        tones: dict[tuple[float, float], list[int]] = {}
        for index, each in enumerate(plan.components):
            tones.setdefault((each.from_hz, each.to_hz), []).append(index)
        for same in tones.values():
            for index in {same[0], same[-1]}:
                alone = plan.components[index]
                single = replace(alone, start_s=0.0, end_s=alone.length_s)
                self._tones.append((Fitter(Plan((single,)), _TEMPI), same[0], same[-1]))

    def bursts(self, samples: Reals, heard: Reals | None, fitted: Fitted) -> Iterator[tuple[Fitted, float]]:
        """Yield the best burst at each place around the sound, with its level relative to the sound's own burst.

        The level is in dB.
        """
        for fitter, first, last in self._tones:
            own = fitted.components[first]
            length_s = fitter.plan.length_s
            look_s = min(self._gap_s + length_s, _LONGEST_LOOK_S)
            earliest_s, latest_s = fitted.start_s - look_s, fitted.end_s + look_s - length_s
            for place_s in _steps(earliest_s, own.start_s - length_s, 2 * fitter.reach_s):
                yield from _louder(fitter, samples, heard, place_s, own, before_s=own.start_s)
            for place_s in _steps(fitted.components[last].end_s, latest_s, 2 * fitter.reach_s):
                yield from _louder(fitter, samples, heard, place_s, own, after_s=fitted.components[last].end_s)


def _steps(first_s: float, last_s: float, step_s: float) -> Iterator[float]:
    count = max(1, math.ceil((last_s - first_s) / step_s))
    yield from (first_s + (last_s - first_s) * index / count for index in range(count + 1))


def _louder(
    fitter: Fitter,
    samples: Reals,
    heard: Reals | None,
    place_s: float,
    own: FittedComponent,
    *,
    before_s: float = math.inf,
    after_s: float = -math.inf,
) -> Iterator[tuple[Fitted, float]]:
    found = fitter.coarse(fitter.baseband(samples, heard, round(place_s * RATE_HZ)))
    (component,) = found.components
    if not fitter.plan.steady and component.coherence > _GLIDE_COHERENCE:
        # The coarse grid cannot show if a glide is pure.
        found = fitter.fine(fitter.baseband(samples, heard, found.first), found)
        (component,) = found.components
    if found.end_s <= before_s and found.start_s >= after_s:
        yield found, 20 * math.log10(max(component.amplitude, 1e-9) / max(own.amplitude, 1e-9))
