"""Says of a recording whether a profile's sound is in it.

    screen (every place) → fit (candidates) → evidence (log-odds) → tests → verdict

A place counts as the sound when its log-odds reach the calibrated threshold and its pitch and tempo lie
within the profile's tolerance. The tests then ask what a likelihood does not: whether every burst is
there, no further one, and nothing in the pauses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idtone.errors import RecordingError

from ..profile import Profile
from ..recordings.leg import Leg
from ..recordings.rates import at_rate
from ..waveform import waveform
from . import evidence
from .evidence import AUDIBLE
from .fit import Baseband, Fitted, FittedComponent, Fitter
from .plan import Plan, plan_of
from .report import Finding, HeardBurst, Outcome, Report, Test, Verdict
from .screen import HOP, RATE_HZ, Reals, Screen

CODEC_MS: Final = 4.0
"""How far codecs move the edge of a burst; it comes on top of the tolerance."""
_COARSE_SCORE: Final = 5.0
"""A fit with less cannot reach the threshold."""
_RIVAL: Final = 0.7
"""Of two overlapping candidates, one with less than this share of the other's score is not looked at."""
_MISSING_DB: Final = -12.0
_FURTHER_DB: Final = -6.0
_FURTHER_COHERENCE: Final = 0.75
"""Beside the sound, a tone of its pitch and length this loud and this pure is one more burst."""
_PAUSE_DB: Final = -6.0
_HIDDEN: Final = 0.5
"""Where more of the sound's length is lost than this, it could be there unseen."""
_ORDER: Final = tuple(Verdict)


class Verifier:
    """Looks for one profile; made once, used for many recordings, also by several threads."""

    def __init__(self, profile: Profile) -> None:
        """Raises ToneError where the profile cannot be looked for."""
        self.profile = profile
        own = waveform(profile, RATE_HZ).astype(np.float32)
        self._plan = plan_of(profile)
        self._screen = Screen(self._plan, own)
        self._fitter = Fitter(self._plan)

    def verify(
        self, samples: NDArray[np.floating[Any]], sample_rate_hz: int, lost: Sequence[tuple[int, int]] = ()
    ) -> Report:
        """The report on one leg: `samples` of one channel, 1.0 being full scale; `lost` are spans of samples.

        Raises RecordingError for samples that are no sound (wrong shape, not finite).
        """
        if samples.ndim != 1 or not np.all(np.isfinite(samples)):
            raise RecordingError("the samples are not one channel of finite numbers")
        leg = Leg("", samples.astype(np.float32), sample_rate_hz, tuple(lost))
        return self.verify_leg(leg)

    def verify_leg(self, leg: Leg) -> Report:
        """As `verify`, of a leg."""
        at_8k = at_rate(leg, RATE_HZ)
        heard = heard_of(len(at_8k.samples), at_8k.lost)
        findings = self._findings(at_8k.samples, heard)
        verdict, reason = Verdict.ABSENT, "nothing in the recording is like the sound"
        if findings:
            verdict, reason = findings[0].verdict, _reason(findings[0])
        if verdict is Verdict.ABSENT and (hidden := self._hidden(at_8k.samples, heard)):
            verdict, reason = Verdict.CANNOT_TELL, hidden
        return Report(
            self.profile.id,
            verdict,
            reason,
            findings,
            leg.duration_ms,
            1000 * sum(end - first for first, end in leg.lost) / leg.sample_rate_hz,
            evidence.calibration().threshold,
            evidence.calibration().false_alarms_per_hour,
        )

    def fits(self, samples: Reals, heard: Reals | None = None) -> Iterator[tuple[Fitted, Baseband]]:
        """Every place worth judging, at 8 kHz: the likeliest first, none overlapping a likelier one by half."""
        candidates = self._screen.candidates(samples, lossy=heard is not None)
        coarse: list[tuple[Fitted, Baseband]] = []
        for sample, score in zip(candidates.samples.tolist(), candidates.scores.tolist(), strict=True):
            rivals = np.abs(candidates.samples - sample) < self._overlap_s * RATE_HZ
            if score < _RIVAL * candidates.scores[rivals].max():
                continue
            base = self._fitter.baseband(samples, heard, sample)
            fitted = self._fitter.coarse(base)
            if fitted.score >= _COARSE_SCORE:
                coarse.append((fitted, base))
        # A lost burst scores as little as one that is not there; the energy tells a sound from its own shifted copy.
        weight = attrgetter("score" if heard is None else "energy")
        taken: list[float] = []
        for rough, base in sorted(coarse, key=lambda each: -weight(each[0])):
            if any(abs(rough.start_s - other_s) < self._overlap_s for other_s in taken):
                continue
            taken.append(rough.start_s)
            if not self._plan.steady:
                base = self._fitter.baseband(samples, heard, rough.first)
            yield self._fitter.fine(base, rough), base

    def features(self, samples: Reals, fitted: Fitted) -> evidence.Features:
        tolerance = self.profile.tolerance
        return evidence.features_of(
            samples,
            fitted,
            pitch_tolerance=tolerance.frequency_percent / 100,
            tempo_tolerance=tolerance.time_percent / 100,
            judge_errors=self.tolerates(fitted),
        )

    def tolerates(self, fitted: Fitted) -> bool:
        """Whether pitch and tempo are within the profile's tolerance."""
        tolerance = self.profile.tolerance
        return (
            abs(fitted.pitch) <= tolerance.frequency_percent / 100
            and abs(fitted.tempo) * self._plan.length_s <= self._time_tolerance_s
        )

    @property
    def _time_tolerance_s(self) -> float:
        return self.profile.tolerance.time_percent / 100 * self._plan.length_s

    @property
    def _overlap_s(self) -> float:
        return max(self._plan.length_s / 2, HOP / RATE_HZ)

    def _findings(self, samples: Reals, heard: Reals | None) -> tuple[Finding, ...]:
        found = []
        for fitted, base in self.fits(samples, heard):
            score = evidence.log_odds(self.features(samples, fitted), evidence.calibration().weights)
            if score >= evidence.calibration().grey:
                found.append(self._judge(fitted, base, score))
        return tuple(sorted(found, key=lambda each: (_ORDER.index(each.verdict), -each.score)))

    def _judge(self, fitted: Fitted, base: Baseband, score: float) -> Finding:
        bursts = tuple(_heard_burst(self._plan, index, fitted, base) for index in range(self._plan.bursts))
        case = _Case(self, self._plan, fitted, base, bursts)
        tests = tuple(test(case) for test in TESTS)
        outcomes = {test.outcome for test in tests}
        if Outcome.FAILED in outcomes:
            verdict = Verdict.ABSENT
        elif score < evidence.calibration().threshold:
            verdict = Verdict.CANNOT_TELL
        else:
            verdict = Verdict.PRESENT if Outcome.UNKNOWN in outcomes else Verdict.CONFORMS
        return Finding(
            verdict,
            1000 * fitted.start_s - 500 * self._plan.components[0].ramp_s,
            1000 * fitted.end_s + 500 * self._plan.components[-1].ramp_s,
            _level_dbm0(self.profile, fitted.components),
            100 * fitted.pitch,
            100 * fitted.tempo,
            score,
            tuple(burst.told(self.profile) for burst in bursts),
            tests,
        )

    def _hidden(self, samples: Reals, heard: Reals | None) -> str | None:
        """Why the sound could be in the recording and not be found; None where it could not."""
        length = round(self._plan.length_s * RATE_HZ)
        if len(samples) < length:
            return "the recording is shorter than the sound"
        if heard is not None:
            missing = np.concatenate([[0.0], np.cumsum(1 - heard, dtype=np.float64)])
            shares = (missing[length:] - missing[:-length]) / length
            worst = int(shares.argmax())
            if shares[worst] > _HIDDEN:
                return (
                    f"{100 * shares[worst]:.0f} % are lost from {worst / RATE_HZ:.2f} s on for the length of the sound"
                )
        return None


@dataclass(frozen=True, slots=True)
class _Burst:
    components: tuple[FittedComponent, ...]
    start_error_s: float
    end_error_s: float
    heard: float

    @property
    def level_db(self) -> float:
        """Beside the profile's."""
        power = sum(each.amplitude**2 for each in self.components)
        wanted = sum(each.component.amplitude**2 for each in self.components)
        return 10 * math.log10(max(power, 1e-12) / wanted)

    def told(self, profile: Profile) -> HeardBurst:
        first = self.components[0]
        return HeardBurst(
            1000 * first.start_s - 500 * first.component.ramp_s,
            1000 * first.end_s + 500 * first.component.ramp_s,
            1000 * self.start_error_s,
            1000 * self.end_error_s,
            _level_dbm0(profile, self.components),
            self.heard,
        )


@dataclass(frozen=True, slots=True)
class _Case:
    verifier: Verifier
    plan: Plan
    fitted: Fitted
    base: Baseband
    bursts: tuple[_Burst, ...]


def _frequency(case: _Case) -> Test:
    limit = case.verifier.profile.tolerance.frequency_percent
    error = 100 * case.fitted.pitch
    outcome = Outcome.PASSED if abs(error) <= limit else Outcome.FAILED
    return Test("frequency", outcome, f"the frequency is {_off(error, 'higher', 'lower')}; {limit:g} % are allowed")


def _cadence(case: _Case) -> Test:
    limit = case.verifier.profile.tolerance.time_percent
    error = 100 * case.fitted.tempo
    outcome = Outcome.PASSED if abs(error) <= limit else Outcome.FAILED
    return Test("cadence", outcome, f"the cadence is {_off(error, 'slower', 'faster')}; {limit:g} % are allowed")


def _complete(case: _Case) -> Test:
    """Every burst is there, as loud beside the others as the profile says."""
    unheard = [index for index, burst in enumerate(case.bursts, 1) if burst.heard < AUDIBLE]
    levels = [burst.level_db for burst in case.bursts if burst.heard >= AUDIBLE]
    loudest = max(levels, default=0.0)
    missing = [
        index
        for index, burst in enumerate(case.bursts, 1)
        if burst.heard >= AUDIBLE and burst.level_db < loudest + _MISSING_DB
    ]
    if missing:
        return Test("bursts", Outcome.FAILED, f"{_numbered(missing)} missing")
    if unheard:
        return Test("bursts", Outcome.UNKNOWN, f"{_numbered(unheard)} lost in the recording")
    return Test("bursts", Outcome.PASSED, f"all {len(case.bursts)} bursts are there")


def _edges(case: _Case) -> Test:
    """No burst is longer or shorter by itself than the tolerance of the whole lets it be."""
    limit_ms = 10 * case.verifier.profile.tolerance.time_percent * case.plan.length_s + CODEC_MS
    errors = [
        (max(abs(burst.start_error_s), abs(burst.end_error_s)) * 1000, index)
        for index, burst in enumerate(case.bursts, 1)
        if min(each.coherence for each in burst.components) > 0.7 and burst.heard > 0.95
    ]
    if not errors:
        return Test("edges", Outcome.PASSED, "the edges of the bursts are too noisy to be measured one by one")
    worst, index = max(errors)
    outcome = Outcome.PASSED if worst <= limit_ms else Outcome.FAILED
    return Test(
        "edges", outcome, f"an edge of burst {index} is off by {worst:.1f} ms, the most; {limit_ms:.0f} ms are allowed"
    )


def _further(case: _Case) -> Test:
    """No further burst before or after."""
    for index, each in enumerate(case.plan.components):
        if not _outermost(case.plan, index):
            continue
        fitted = case.fitted.components[index]
        for place_s, amplitude, coherence in _beside(case, index):
            if amplitude > fitted.amplitude * 10 ** (_FURTHER_DB / 20) and coherence > _FURTHER_COHERENCE:
                return Test(
                    "further", Outcome.FAILED, f"a further burst of {each.middle_hz:.0f} Hz is at {place_s:.2f} s"
                )
    return Test("further", Outcome.PASSED, "there is no further burst")


def _pauses(case: _Case) -> Test:
    """Nothing of the tone in the pauses between two bursts of it."""
    latest: dict[int, int] = {}
    for index, each in enumerate(case.plan.components):
        track = case.base.track_of[index]
        before = latest.get(track)
        latest[track] = index
        if before is None:
            continue
        gap = (case.plan.components[before].end_s, each.start_s)
        level = case.base.between(index, each, case.fitted, *gap)
        if level is not None and level > case.fitted.components[index].amplitude * 10 ** (_PAUSE_DB / 20):
            return Test(
                "pauses", Outcome.FAILED, f"the tone sounds on in the pause before {1000 * each.start_s:.0f} ms"
            )
    return Test("pauses", Outcome.PASSED, "the pauses are quiet")


def _level(case: _Case) -> Test:
    limit = case.verifier.profile.tolerance.level_db
    off = _mean_level_db(case.fitted.components)
    if limit is None:
        return Test(
            "level", Outcome.PASSED, f"the level is {_off(off, 'above', 'below', 'dB')} the profile's; not judged"
        )
    outcome = Outcome.PASSED if abs(off) <= limit else Outcome.FAILED
    return Test(
        "level", outcome, f"the level is {_off(off, 'above', 'below', 'dB')} the profile's; {limit:g} dB are allowed"
    )


TESTS: Final[tuple[Callable[[_Case], Test], ...]] = (_frequency, _cadence, _complete, _edges, _further, _pauses, _level)


def _heard_burst(plan: Plan, number: int, fitted: Fitted, base: Baseband) -> _Burst:
    indices = [index for index, each in enumerate(plan.components) if each.burst == number]
    components = tuple(fitted.components[index] for index in indices)
    strongest = max(indices, key=lambda index: fitted.components[index].amplitude)
    start_error_s, end_error_s = base.edge_errors(strongest, plan.components[strongest], fitted)
    return _Burst(components, start_error_s, end_error_s, min(each.heard for each in components))


def _outermost(plan: Plan, index: int) -> bool:
    """Whether no other burst of the same tone lies outside this one, on one side at least."""
    each = plan.components[index]
    same = [other for other in plan.components if other.steady and other.from_hz == each.from_hz]
    return each.steady and (each == same[0] or each == same[-1])


def _beside(case: _Case, index: int) -> Iterator[tuple[float, float, float]]:
    """Where, how loud and how pure the tone of a component is before and after all of its bursts."""
    each = case.plan.components[index]
    same = [other for other in case.plan.components if other.steady and other.from_hz == each.from_hz]
    yield from case.base.elsewhere(index, each, case.fitted, same[0].start_s, same[-1].end_s)


def heard_of(length: int, lost: Sequence[tuple[int, int]]) -> Reals | None:
    """1 where a sample is in the recording and 0 where it is lost; None where none is."""
    if not lost:
        return None
    heard = np.ones(length, np.float32)
    for first, end in lost:
        heard[first:end] = 0
    return heard


def _mean_level_db(components: Iterable[FittedComponent]) -> float:
    audible = [each for each in components if each.heard >= AUDIBLE]
    power = sum(each.amplitude**2 * each.component.length_s for each in audible)
    wanted = sum(each.component.amplitude**2 * each.component.length_s for each in audible)
    return 10 * math.log10(max(power, 1e-12) / wanted) if wanted else 0.0


def _level_dbm0(profile: Profile, components: Sequence[FittedComponent]) -> float:
    bursts: dict[int, float] = {}
    for each in components:
        bursts[each.component.burst] = bursts.get(each.component.burst, 0.0) + each.amplitude**2
    power = sum(bursts.values()) / len(bursts)
    return 10 * math.log10(max(power, 1e-12)) + profile.law.full_scale_dbm0


def _reason(finding: Finding) -> str:
    match finding.verdict:
        case Verdict.CONFORMS:
            return "the sound is there and passed every test"
        case Verdict.PRESENT:
            return "; ".join(finding.failed)
        case Verdict.CANNOT_TELL:
            return (
                f"something at {finding.start_ms / 1000:.2f} s may be the sound, but what lies over it hides too much"
            )
        case Verdict.ABSENT:
            return f"something at {finding.start_ms / 1000:.2f} s is like the sound, but {'; '.join(finding.failed)}"


def _off(error: float, over: str, under: str, unit: str = "%") -> str:
    return f"{abs(error):.2f} {unit} {over if error >= 0 else under}"


def _numbered(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"burst {numbers[0]} is"
    return f"bursts {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} are"
