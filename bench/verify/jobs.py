"""Jobs of the experiment, in which the verifier judges independent pieces of material."""

import functools
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from idtone.tones.making.amplitude import amplitude
from idtone.tones.measuring.inspection import inspect
from idtone.tones.profile import Profile
from idtone.tones.verification.report import Match, Report
from idtone.tones.verification.verifier import Verifier

from . import speech_and_music
from .impaired_legs import CONDITIONS, Condition, Trial, sounding_rms, trials
from .near_misses import near_miss_trials, signal_take
from .profiles import profiles
from .speech_and_music import RATE_HZ, Part, Take
from .transmission_chains import chain_trial

FREQUENCY_CONDITION: Final = Condition("white +10 dB, no codec", None, noise="white", snr_db=10)
BEFORE_MS: Final = 30.0
AFTER_MS: Final = 130.0
"""Most milliseconds between the true place of a sound and the place where it is found: a codec delays it by up to 70
ms.
"""

INSPECTED_S: Final = (5.8, 60.0)
"""Lengths of a short call and of a long one, in seconds."""

_THROUGHPUT_TAKES: Final = 3

Key = tuple[str, str, str]
"""The measure, the profile, and what is judged: ("detection", "sample", "gsm")."""
Tally = Counter[str]

_TAKES: Final = {"speech": speech_and_music.speech_take, "music": speech_and_music.music_take, "signals": signal_take}


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work: `count` trials or takes from number `first` on, for each of `profiles`.

    A search for false alarms judges all profiles in one pass.
    """

    kind: str
    profiles: tuple[str, ...]
    what: str
    coding: str
    first: int
    count: int
    part: Part


def run(job: Job) -> dict[Key, Tally]:
    found: dict[Key, Tally] = {}
    for name in job.profiles:
        tally: Tally = Counter()
        what = _KINDS[job.kind](job, name, tally)
        found[job.kind, name, what] = tally
    return found


@functools.lru_cache(2)
def _take(what: str, part: Part, index: int) -> Take:
    """The take with this number. It is cached, because the next profile needs it too."""
    return _TAKES[what](part, index)


def verify_trial(profile: Profile, trial: Trial) -> tuple[bool, bool, tuple[str, ...]]:
    """Verify a leg that contains a sound, and compare the verdict with the truth.

    Returns whether the sound conforms in its place, whether it was found there, and the failed criteria.
    """
    report = verifier(profile.id).verify(trial.samples, RATE_HZ, trial.lost)
    here = _here(trial, report)
    conforms = report.verdict == "conforms" and any(f.verdict == "conforms" for f in here)
    present = any(f.verdict in ("conforms", "present") for f in here)
    failed = [
        f"{test.name} {test.outcome}" for finding in here[:1] for test in finding.tests if test.outcome != "passed"
    ]
    return conforms, present, () if conforms else tuple(failed or [f"verdict {report.verdict}"])


@functools.cache
def verifier(profile: str) -> Verifier:
    return Verifier(_profile(profile))


@functools.cache
def _profile(name: str) -> Profile:
    return profiles()[name]


def _here(trial: Trial, report: Report) -> list[Match]:
    return [found for found in report.findings if -BEFORE_MS < found.start_ms - trial.start_ms < AFTER_MS]


def _detection(job: Job, name: str, tally: Tally) -> str:
    for trial in trials(_profile(name), CONDITIONS[job.what], job.first, job.count, job.part):
        conforms, present, reasons = verify_trial(_profile(name), trial)
        tally.update(trials=1, conforms=int(conforms), present=int(present))
        tally.update(f"failed: {reason}" for reason in reasons)
    return job.what


def _near_misses(job: Job, name: str, tally: Tally) -> str:
    for trial in near_miss_trials(_profile(name), job.what, job.coding, job.first, job.count, job.part):
        verdict = verifier(name).verify(trial.samples, RATE_HZ).verdict
        tally.update(trials=1, conforms=int(verdict == "conforms"))
        tally.update(present=int(verdict in ("conforms", "present")))
    return f"{job.what} · {job.coding}"


def _chains(job: Job, name: str, tally: Tally) -> str:
    for number in range(job.first, job.first + job.count):
        trial = chain_trial(_profile(name), job.what, job.coding, job.part, number)
        tally.update(trials=1)
        tally[verifier(name).verify(trial.samples, RATE_HZ).verdict] += 1
    return f"{job.coding} · {job.what}"


def _false_alarms(job: Job, name: str, tally: Tally) -> str:
    for index in range(job.first, job.first + job.count):
        take = _take(job.what, job.part, index)
        findings = verifier(name).verify(take.samples, RATE_HZ).findings
        alarms = [found for found in findings if found.verdict in ("conforms", "present")]
        left_open = sum(found.verdict == "cannot-tell" for found in findings)
        tally.update({"milliseconds": round(1000 * take.duration_s), "alarms": len(alarms), "cannot-tell": left_open})
        tally.update(conforms=sum(found.verdict == "conforms" for found in alarms))
        tally.update(f"at: {take.name}, {found.start_ms / 1000:.2f} s, {found.verdict}" for found in alarms)
    return job.what


def _frequency(job: Job, name: str, tally: Tally) -> str:
    bound = frequency_bound(_profile(name), FREQUENCY_CONDITION.snr_db)
    for trial in trials(_profile(name), FREQUENCY_CONDITION, job.first, job.count, job.part):
        here = _here(trial, verifier(name).verify(trial.samples, RATE_HZ))
        errors = [found.frequency_error_percent for found in here if found.frequency_error_percent is not None]
        tally.update(trials=1, measured=len(errors[:1]))
        if errors:
            # A tally counts; millionths keep enough of a square.
            tally["square_millionths"] += round(1e6 * (errors[0] / 100 / bound) ** 2)
    return job.what


_KINDS: Final[dict[str, Callable[[Job, str, Tally], str]]] = {
    "detection": _detection,
    "near-misses": _near_misses,
    "chains": _chains,
    "false-alarms": _false_alarms,
    "frequency": _frequency,
}
"""Kind of job → function that adds up one profile's results, and returns the name of what was judged."""


def is_steady(profile: Profile) -> bool:
    """True if the profile has only steady sines. `frequency_bound` holds only for those."""
    return not any(segment.modulation or segment.sweep for segment in profile.segments)


def frequency_bound(profile: Profile, snr_db: float) -> float:
    """The Cramér–Rao bound of the relative frequency error, if all sines are off by one factor and have unknown phases.

    A sine of amplitude A in white noise of variance σ² gives the information A²/2σ² · Σ w² (n − n̄)² about its angular
    frequency, where w is its envelope.
    """
    variance = sounding_rms(profile) ** 2 * 10 ** (-snr_db / 10)
    information = 0.0
    for burst in profile.bursts():
        segment = burst.segment
        length = round(segment.on_ms * RATE_HZ / 1000)
        place = np.arange(length) + 0.5
        ramp = max(segment.ramp_ms * RATE_HZ / 1000, 1e-9)
        envelope = np.sin(np.pi / 2 * np.minimum(1, np.minimum(place, length - place) / ramp)) ** 2
        weight = envelope**2
        middle = np.sum(weight * place) / np.sum(weight)
        spread = float(np.sum(weight * (place - middle) ** 2))
        peak = amplitude(profile.level_of(segment), profile.law) / math.sqrt(len(segment.frequencies_hz))
        for frequency_hz in segment.frequencies_hz:
            information += (2 * math.pi * frequency_hz / RATE_HZ) ** 2 * peak**2 / (2 * variance) * spread
    return 1 / math.sqrt(information)


def throughput(profile: str, what: str, part: Part) -> float:
    """Speed of verification on one processor, as a multiple of real time.

    It is measured over half an hour of decoded audio.
    """
    takes = [_take(what, part, index) for index in range(_THROUGHPUT_TAKES)]
    verifier(profile).verify(takes[0].samples[: 10 * RATE_HZ], RATE_HZ)
    began_s = time.process_time()
    for take in takes:
        verifier(profile).verify(take.samples, RATE_HZ)
    return sum(take.duration_s for take in takes) / (time.process_time() - began_s)


def inspection_time(what: str, length_s: float, part: Part) -> float:
    """Processor time of `idtone tone inspect`, as a share of the recording's length.

    The result is the worst of three takes.
    """
    shares = []
    for index in range(_THROUGHPUT_TAKES):
        samples = _take(what, part, index).samples[: round(length_s * RATE_HZ)]
        began_s = time.process_time()
        inspect(samples, RATE_HZ)
        shares.append((time.process_time() - began_s) / length_s)
    return max(shares)
