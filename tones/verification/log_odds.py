"""Computes the evidence that a fit is the sound and not speech or noise, as a log-likelihood ratio.

Each feature distinguishes the sound from chance patterns in speech. A logistic regression learned the weights of the
features from speech and from sounds under speech. `calibration.json` contains the weights, the thresholds, and the
false alarms measured with them. `python -m bench.verify.calibration` writes that file.
"""

import json
import math
from dataclasses import astuple, dataclass
from functools import cache
from importlib import resources
from typing import Final

import numpy as np

from .fit import Fitted
from .screening import RATE_HZ, Reals, padded_slice

AUDIBLE: Final = 0.4
"""Minimum received share of a component that counts."""
_WINDOW: Final = 256
_HOP: Final = 64
_NEAR_HZ: Final = 80.0
_LOWEST_HZ: Final = 90.0
_HIGHEST_HZ: Final = 3500.0


@dataclass(frozen=True, slots=True)
class Features:
    """Features that distinguish the sound from speech.

    - `score`: −log10 of the probability of the coherence in noise, divided by 10.
    - `share`: log-odds of the tones' share of the total power while they sound.
    - `weakest`: −log of the share that the model leaves unexplained in the worst component.
    - `spread`: level difference between the loudest and the quietest component, relative to the profile, in units of
      6 dB.
    - `pitch`, `tempo`: squared errors in units of half the tolerance, at most 1.
    - `quiet`: level relative to the profile's, at most 0, in units of 10 dB.
    - `few`: 1 / number of bursts, because chance imitates a sound of few bursts more often.
    """

    score: float
    share: float
    weakest: float
    spread: float
    pitch: float
    tempo: float
    quiet: float
    few: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibrated values.

    `weights` contains the weights of the Features, followed by a constant. A score of at least `threshold` is the
    sound, and a score below `grey` is not. `hours` of speech and music that the regression did not use gave
    `false_alarms`, counted for each profile separately. `false_alarms_per_hour` is the upper limit of a 95 % confidence
    interval.
    """

    weights: tuple[float, ...]
    threshold: float
    grey: float
    hours: float
    false_alarms: int
    false_alarms_per_hour: float


@cache
def calibration() -> Calibration:
    stored = json.loads((resources.files(__package__) / "calibration.json").read_text(encoding="utf-8"))
    return Calibration(tuple(stored.pop("weights").values()), **stored)


def log_odds(features: Features, weights: tuple[float, ...]) -> float:
    """Natural logarithm of the odds that the fit is the sound."""
    return math.fsum(value * weight for value, weight in zip((*astuple(features), 1.0), weights, strict=True))


def features_of(
    samples: Reals, fitted: Fitted, *, pitch_tolerance: float, tempo_tolerance: float, judge_errors: bool = True
) -> Features:
    """The features of a fit in its recording at 8 kHz.

    If `judge_errors` is False, pitch and tempo count as correct.
    """
    audible = [each for each in fitted.components if each.heard >= AUDIBLE] or list(fitted.components)
    levels = [20 * math.log10(max(each.amplitude, 1e-6) / each.component.amplitude) for each in audible]
    return Features(
        score=min(fitted.score, 80.0) / 10,
        share=_logit(tone_share(samples, fitted), 0.005),
        weakest=-math.log(max(1 - min(each.coherence for each in audible), 0.01)),
        spread=min(max(levels) - min(levels), 30.0) / 6,
        pitch=min(abs(fitted.pitch) / (pitch_tolerance / 2), 1.0) ** 2 if judge_errors else 0.0,
        tempo=min(abs(fitted.tempo) / (tempo_tolerance / 2), 1.0) ** 2 if judge_errors else 0.0,
        quiet=max(min(sum(levels) / len(levels), 0.0), -20.0) / 10,
        few=1 / len({each.component.burst for each in fitted.components}),
    )


def tone_share(samples: Reals, fitted: Fitted) -> float:
    """The tones' share of the total power while they sound."""
    begin = round(fitted.start_s * RATE_HZ)
    count = round((fitted.end_s - fitted.start_s) * RATE_HZ)
    windows = np.lib.stride_tricks.sliding_window_view(padded_slice(samples, begin, max(count, _WINDOW)), _WINDOW)[
        ::_HOP
    ]
    spectra = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), axis=1)) ** 2
    frequencies_hz = np.fft.rfftfreq(_WINDOW, 1 / RATE_HZ)
    times_s = (np.arange(len(windows)) * _HOP + _WINDOW / 2 + begin) / RATE_HZ
    spectra *= (frequencies_hz >= _LOWEST_HZ) & (frequencies_hz <= _HIGHEST_HZ)
    sounding = np.zeros(len(times_s), bool)
    any_tone = np.zeros(len(frequencies_hz), bool)
    tones = np.zeros(spectra.shape, bool)
    for each in fitted.components:
        inside = (times_s >= each.start_s + 0.01) & (times_s <= each.end_s - 0.01)
        low_hz, high_hz = sorted((each.component.from_hz, each.component.to_hz))
        near = (frequencies_hz >= low_hz * (1 + fitted.pitch) - _NEAR_HZ) & (
            frequencies_hz <= high_hz * (1 + fitted.pitch) + _NEAR_HZ
        )
        sounding |= inside
        any_tone |= near
        tones |= np.outer(inside, near)
    tone = float(spectra[tones].sum())
    rest = float(spectra[sounding][:, ~any_tone].sum())
    return tone / (tone + rest + 1e-20)


def _logit(share: float, floor: float) -> float:
    bounded = min(max(share, floor), 1 - floor)
    return math.log(bounded / (1 - bounded))
