"""What the verification says of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ToneVerdict(StrEnum):
    """In order of their weight for a recording with several places."""

    CONFORMS = "conforms"
    """The sound is there, and every test of it passed."""
    PRESENT = "present"
    """The sound is there, but the recording does not show that all of it conforms."""
    CANNOT_TELL = "cannot-tell"
    """The recording shows neither that the sound is there nor that it is not."""
    ABSENT = "absent"
    """The sound is not there; something like it may be."""


class TestOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Test:
    """One thing that was tested: what was found, and in words how it compares."""

    name: str
    outcome: TestOutcome
    says: str


@dataclass(frozen=True, slots=True)
class HeardBurst:
    """A burst of the sound as it was heard. Errors are against the profile's cadence, laid where it fits best; they are
    None where the edges cannot be measured, since a part is lost or something lies over them.

    `heard` is the share of it that is in the recording. The level is that of all its tones, in dBm0.
    """

    start_ms: float
    end_ms: float
    start_error_ms: float | None
    end_error_ms: float | None
    level_dbm0: float
    heard: float


@dataclass(frozen=True, slots=True)
class Match:
    """A place where the sound is, or something like it.

    Times count from the beginning of the recording. Errors are relative: 1.0 is 1 % higher, or slower.
    `score` is the natural logarithm of the odds that this is the sound and not speech or noise.
    """

    verdict: ToneVerdict
    start_ms: float
    end_ms: float
    level_dbm0: float
    frequency_error_percent: float
    cadence_error_percent: float
    score: float
    bursts: tuple[HeardBurst, ...]
    tests: tuple[Test, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """The tests that were not passed, in words."""
        return tuple(test.says for test in self.tests if test.outcome is not TestOutcome.PASSED)


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one leg. `reason` says in words what it rests on.

    `findings` are the places, the best first. At `threshold`, the score from which on a place counts, there
    are at most `false_alarms_per_hour` in speech and music (95 % confidence).
    """

    profile: str
    verdict: ToneVerdict
    reason: str
    findings: tuple[Match, ...]
    duration_ms: float
    lost_ms: float
    threshold: float
    false_alarms_per_hour: float
