"""Verifies that a recording contains a profile's sound.

    screen (every place) → fit (candidates) → evidence (log-odds) → tests → verdict

A place counts as the sound if its log-odds reach the calibrated threshold and its pitch and tempo are within the
profile's tolerance. The tests then check what a likelihood does not cover: every burst is present, there is no
additional burst, and the pauses are quiet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idtone.core.errors import RecordingError

from ..making.waveform import waveform
from ..profile import Profile
from ..recordings.recorded_leg import RecordedLeg
from ..recordings.resampling import resample
from . import log_odds
from .fit import Baseband, Fitted, Fitter
from .part_measurements import dies_away, level_without_blast, stands_alone
from .part_tests import ALONE, CODEC_MS, TESTS, PartTestCase, heard_burst, level_dbm0, remnants
from .report import CheckOutcome, Match, Report, Test, ToneVerdict
from .screening import HOP, RATE_HZ, Reals, Screen
from .sound_plan import plan_of
from .surroundings import Surroundings

_COARSE_SCORE: Final = 8.0
"""Minimum score of the coarse fit. A fit with a lower score cannot reach the threshold."""
_COARSE_DAMAGED: Final = 4.0
"""Minimum score that replaces `_COARSE_SCORE` if bursts may be missing.

Less of the sound is then coherent, especially in a glide.
"""
_RIVAL: Final = 0.7
"""Minimum score of overlapping candidates that are fitted too, as a share of the best score.

If bursts are equal or packets are lost, the best candidate can be the wrong one.
"""
_HIDDEN: Final = 0.5
"""Length of a loss that can hide the sound, as a share of the sound's length."""
_DAMAGED_SCORE: Final = 8.0
"""Minimum screening score of a place that lacks some of its bursts. Speech and music rarely reach it."""
_REMAINS_SCORE: Final = 2.0
"""Minimum screening score that replaces `_DAMAGED_SCORE` if almost all power is at the sound's tones."""
_REMAINS_GREY: Final = -11.0
"""Minimum log-odds at which a place with almost all power at the sound's tones is open.

No line changes speech like that.
"""
_REMAINS_TEMPO: Final = 0.25
"""Maximum error of the tempo. A pattern that fits only with a larger error is not the sound."""
_SHADOW_S: Final = 0.3
_EVEN_ODDS: Final = 0.0
_SURE: Final = 12.0
"""Minimum score at which the sound counts as present, even if part of it is missing or it resounds in a room."""
_TRUE_PITCH: Final = 0.001
"""Maximum error of the pitch, which no line changes. A chance pattern is rarely this close to the profile's pitch."""
_DAMAGED_GREY: Final = -7.0
"""Minimum log-odds at which a place with the sound's own pitch is open if bursts may be missing."""
_ORDER: Final = tuple(ToneVerdict)
_THERE: Final = (ToneVerdict.CONFORMS, ToneVerdict.PRESENT)


class Verifier:
    """A search for one profile. One verifier serves many recordings, and is thread-safe."""

    def __init__(self, profile: Profile) -> None:
        """Prepare the search. Raises ToneError if the verifier cannot search for the profile."""
        self.profile = profile
        own = waveform(profile, RATE_HZ).astype(np.float32)
        self._peak = float(np.abs(own).max())
        self._plan = plan_of(profile)
        self._screen = Screen(self._plan, own)
        self._fitter = Fitter(self._plan)
        self._surroundings = Surroundings(self._plan)
        # A codec that moves a glide in time changes its apparent pitch.
        self._true_pitch = _TRUE_PITCH + abs(self._fitter.ridge) * CODEC_MS / 1000

    def verify(
        self, samples: NDArray[np.floating[Any]], sample_rate_hz: int, lost: Sequence[tuple[int, int]] = ()
    ) -> Report:
        """The report on one leg.

        `samples` is one channel, where 1.0 is full scale. `lost` contains spans of samples. Raises RecordingError if
        the samples are not one channel of finite numbers.
        """
        if samples.ndim != 1 or not np.all(np.isfinite(samples)):
            raise RecordingError("the samples are not one channel of finite numbers")
        leg = RecordedLeg("", samples.astype(np.float32), sample_rate_hz, tuple(lost))
        return self.verify_leg(leg)

    def verify_leg(self, leg: RecordedLeg) -> Report:
        """The report on a RecordedLeg."""
        at_8k = resample(leg, RATE_HZ)
        heard = received_mask(len(at_8k.samples), at_8k.lost)
        findings = self._findings(at_8k.samples, heard)
        verdict, reason = ToneVerdict.ABSENT, "nothing in the recording is like the sound"
        if findings:
            verdict, reason = findings[0].verdict, _reason(findings[0])
        if verdict is ToneVerdict.ABSENT and (hidden := self._hidden(at_8k.samples, heard)):
            verdict, reason = ToneVerdict.CANNOT_TELL, hidden
        return Report(
            self.profile.id,
            verdict,
            reason,
            findings,
            leg.duration_ms,
            1000 * sum(end - first for first, end in leg.lost) / leg.sample_rate_hz,
            log_odds.calibration().threshold,
            log_odds.calibration().false_alarms_per_hour,
        )

    def fitted_places(
        self, samples: Reals, heard: Reals | None = None, *, damaged: bool = False, remains: bool = False
    ) -> Iterator[tuple[Fitted, Baseband]]:
        """Yield all places worth judging, likeliest first. No place overlaps a likelier place by half or more.

        `samples` are at 8 kHz. If `damaged` is True, bursts may be missing without a trace. If `remains` is True, the
        line may also have destroyed most of the sound's phase.
        """
        damaged |= remains
        lossy = damaged or heard is not None
        candidates = (
            self._screen.candidates_without_phase(samples, _REMAINS_SCORE)
            if remains
            else self._screen.candidates(samples, lossy=lossy, least=_DAMAGED_SCORE if damaged else 0.0)
        )
        needed = _RIVAL if lossy or self._plan.longest_row > 2 else 1.0
        overlap_s = self._overlap_s
        coarse: list[tuple[Fitted, Baseband]] = []
        for sample, score in zip(candidates.samples.tolist(), candidates.scores.tolist(), strict=True):
            rivals = np.abs(candidates.samples - sample) < overlap_s * RATE_HZ
            if score < needed * candidates.scores[rivals].max():
                continue
            base = self._fitter.baseband(samples, heard, sample)
            fitted = self._fitter.coarse(base)
            if fitted.score >= (_COARSE_DAMAGED if damaged else _COARSE_SCORE):
                coarse.append((fitted, base))
        # With losses, the score cannot distinguish a lost burst from a missing one. The energy distinguishes a sound
        # from its shifted copy.
        weight = attrgetter("explained" if lossy else "score")
        coarse.sort(key=lambda each: -weight(each[0]))
        starts_s = np.array([rough.start_s for rough, _ in coarse])
        free = np.ones(len(coarse), bool)
        for index, (rough, base) in enumerate(coarse):
            if not free[index]:
                continue
            free &= np.abs(starts_s - rough.start_s) >= overlap_s
            if not self._plan.steady:
                base = self._fitter.baseband(samples, heard, rough.first)
            yield self._fitter.fine(base, rough), base

    def features(self, samples: Reals, fitted: Fitted) -> log_odds.Features:
        tolerance = self.profile.tolerance
        return log_odds.features_of(
            samples,
            fitted,
            pitch_tolerance=tolerance.frequency_percent / 100,
            tempo_tolerance=tolerance.time_percent / 100,
            judge_errors=self.tolerates(fitted),
        )

    def tolerates(self, fitted: Fitted) -> bool:
        """True if pitch and tempo are within the profile's tolerance."""
        tolerance = self.profile.tolerance
        return (
            abs(fitted.pitch) <= tolerance.frequency_percent / 100
            and abs(fitted.tempo) * self._plan.length_s <= self._time_tolerance_s
        )

    def has_true_pitch(self, fitted: Fitted) -> bool:
        """True if the pitch is the sound's own, as exactly as the sound shows it."""
        return abs(fitted.pitch) <= self._true_pitch

    @property
    def _time_tolerance_s(self) -> float:
        return self.profile.tolerance.time_percent / 100 * self._plan.length_s

    @property
    def _overlap_s(self) -> float:
        return max(self._plan.length_s / 2, HOP / RATE_HZ)

    def _findings(self, samples: Reals, heard: Reals | None) -> tuple[Match, ...]:
        found = list(self._judged(samples, heard, self.fitted_places(samples, heard)))
        if heard is None and not any(each.verdict in _THERE for each in found):
            # A decoder or a buffer may have lost whole bursts.
            damaged = self._judged(samples, heard, self.fitted_places(samples, damaged=True), damaged=True)
            found += [each for each in damaged if each.verdict is not ToneVerdict.ABSENT]
            if all(each.verdict is ToneVerdict.ABSENT for each in found):
                found += self._remains(samples)
        kept = without_shadows(found, 1000 * (self._plan.length_s + _SHADOW_S))
        return tuple(sorted(kept, key=lambda each: (_ORDER.index(each.verdict), -each.score)))

    def _judged(
        self, samples: Reals, heard: Reals | None, fits: Iterator[tuple[Fitted, Baseband]], *, damaged: bool = False
    ) -> Iterator[Match]:
        for fitted, base in fits:
            score = log_odds.log_odds(self.features(samples, fitted), log_odds.calibration().weights)
            least = _DAMAGED_GREY if damaged and self.has_true_pitch(fitted) else log_odds.calibration().grey
            if score >= least:
                yield self._judge(samples, heard, fitted, base, score, damaged=damaged)

    def _remains(self, samples: Reals) -> Iterator[Match]:
        """Yield places at which the line destroyed most of the phase, with the verdict cannot-tell."""
        for fitted, base in self.fitted_places(samples, remains=True):
            score = log_odds.log_odds(self.features(samples, fitted), log_odds.calibration().weights)
            if score >= _REMAINS_GREY and abs(fitted.tempo) <= _REMAINS_TEMPO:
                match = self._judge(samples, None, fitted, base, score, damaged=True)
                if not any(test.certain for test in match.tests if test.outcome is CheckOutcome.FAILED):
                    yield replace(match, verdict=ToneVerdict.CANNOT_TELL)

    def _judge(
        self, samples: Reals, heard: Reals | None, fitted: Fitted, base: Baseband, score: float, *, damaged: bool
    ) -> Match:
        share = log_odds.tone_share(samples, fitted)
        gain = level_without_blast(base, self._plan, fitted) if share > ALONE else None
        if gain is not None:
            # The loud part is the sound's own tone. Its power outweighs the rest of the burst unless it is limited.
            limited = np.clip(samples, -gain * self._peak, gain * self._peak)
            base = self._fitter.baseband(limited, heard, fitted.first)
            fitted = self._fitter.fine(base, fitted)
        bursts = tuple(
            heard_burst(self.profile, self._plan, index, fitted, base, blasted=gain is not None and index == 0)
            for index in range(self._plan.bursts)
        )
        around = self._fitter.baseband(samples, heard, fitted.first)
        beside = tuple(self._surroundings.bursts(samples, heard, fitted))
        case = PartTestCase(
            self.profile,
            self._plan,
            fitted,
            base,
            share,
            bursts,
            beside=beside,
            tails=dies_away(base, self._plan, fitted),
            alone=stands_alone(around, fitted),
            remnants=tuple(remnants(samples, fitted, beside)),
        )
        tests = tuple(test(case) for test in TESTS)
        threshold, grey = log_odds.calibration().threshold, log_odds.calibration().grey
        verdict = (
            verdict_of_damaged(tests, score, threshold, grey, alone=case.alone, true_pitch=self.has_true_pitch(fitted))
            if damaged
            else verdict_of(tests, score, threshold)
        )
        return Match(
            verdict,
            1000 * fitted.start_s - 500 * self._plan.components[0].ramp_s,
            1000 * fitted.end_s + 500 * self._plan.components[-1].ramp_s,
            level_dbm0(self.profile, fitted.components),
            100 * fitted.pitch,
            100 * fitted.tempo,
            score,
            tuple(burst.reported(self.profile) for burst in bursts),
            tests,
        )

    def _hidden(self, samples: Reals, heard: Reals | None) -> str | None:
        """The reason why the recording may contain the sound although it was not found, or None."""
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


def without_shadows(found: Sequence[Match], reach_ms: float) -> list[Match]:
    """The findings, without doubtful ones close to a likelier place, which are parts of the same sound."""
    return [
        each
        for each in found
        if each.verdict is not ToneVerdict.CANNOT_TELL
        or not any(abs(each.start_ms - other.start_ms) < reach_ms and other.score > each.score for other in found)
    ]


def verdict_of(tests: Sequence[Test], score: float, threshold: float) -> ToneVerdict:
    """The verdict on one place. A change that the line can have caused is not evidence of another sound.

    Scores of at least `threshold` are the sound. A sound with wrong times is open at even odds or better, if the line
    may have caused them. A sound with wrong frequencies needs the full score, because music has such frequencies more
    often than a line causes them.
    """
    failed = [test for test in tests if test.outcome is CheckOutcome.FAILED]
    if failed:
        needed = threshold if any(test.name == "frequency" for test in failed) else _EVEN_ODDS
        doubtful = score >= needed and not any(test.certain for test in failed)
        if doubtful and score >= _SURE and all(test.explained for test in failed):
            return ToneVerdict.PRESENT
        return ToneVerdict.CANNOT_TELL if doubtful else ToneVerdict.ABSENT
    if score < threshold:
        return ToneVerdict.CANNOT_TELL
    unknown = any(test.outcome is CheckOutcome.UNKNOWN for test in tests)
    return ToneVerdict.PRESENT if unknown else ToneVerdict.CONFORMS


def verdict_of_damaged(
    tests: Sequence[Test], score: float, threshold: float, grey: float, *, alone: bool, true_pitch: bool
) -> ToneVerdict:
    """The verdict on one place in a recording in which bursts may be missing without a trace.

    A place with the sound's own pitch, and with quiet before and after it, is open even at lower odds than `grey`.
    """
    verdict = verdict_of(tests, score, threshold)
    if verdict in _THERE:
        # The stated rate of false alarms applies to the strict screening.
        return ToneVerdict.PRESENT if alone and score >= _SURE else ToneVerdict.CANNOT_TELL
    if alone and true_pitch:
        is_other = any(test.certain for test in tests if test.outcome is CheckOutcome.FAILED)
        return ToneVerdict.ABSENT if is_other or score < _DAMAGED_GREY else ToneVerdict.CANNOT_TELL
    return verdict if score >= grey else ToneVerdict.ABSENT


def received_mask(length: int, lost: Sequence[tuple[int, int]]) -> Reals | None:
    """A mask with 1 for received samples and 0 for lost samples, or None if no sample is lost."""
    if not lost:
        return None
    heard = np.ones(length, np.float32)
    for first, end in lost:
        heard[first:end] = 0
    return heard


def _reason(finding: Match) -> str:
    match finding.verdict:
        case ToneVerdict.CONFORMS:
            return "the sound is there and passed every test"
        case ToneVerdict.PRESENT:
            return "; ".join(finding.failed)
        case ToneVerdict.CANNOT_TELL if finding.failed:
            return (
                f"something at {finding.start_ms / 1000:z.2f} s is like the sound, but {'; '.join(finding.failed)}; "
                "losses, echo or an adaptive buffer can cause that"
            )
        case ToneVerdict.CANNOT_TELL:
            return (
                f"something at {finding.start_ms / 1000:z.2f} s may be the sound, but other sounds cover too much of it"
            )
        case ToneVerdict.ABSENT:
            return f"something at {finding.start_ms / 1000:z.2f} s is like the sound, but {'; '.join(finding.failed)}"
