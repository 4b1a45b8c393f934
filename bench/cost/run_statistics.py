"""Figures from the single calls: percentiles, differences with their confidence, and the goals. Pure."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .forwarding_ways import Way

CLEAN_MS: Final = 50.0
"""Limit of a clean rate: nothing failed, and the 95th percentile of the addition stays below this."""
_DRAWS: Final = 400
_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """One call. Times in milliseconds; None if the call did not come to that."""

    post_dial_ms: float
    """Milliseconds from the caller's INVITE to the called phone's."""
    onset_ms: float | None
    """Milliseconds from the answer to the first packet of the sound."""
    connected_ms: float
    """Milliseconds from the answer until the caller gets it, less the sound's length."""


@dataclass(frozen=True, slots=True)
class Run:
    """Calls of one way of forwarding at one rate. They come from one load, or from several together."""

    way: Way
    rate: float
    offered: int
    samples: tuple[Sample, ...]
    retransmissions: int
    asterisk_ms_per_call: float
    service_ms_per_call: float
    resident_mb: float | None
    """Resident memory of the service, at the end."""
    records: int | None
    """Complete records of this load in the evidence; None without a service on this way."""
    left: int = 0
    """Channels that Asterisk still had long after the last call."""

    @property
    def failed(self) -> int:
        return self.offered - len(self.samples)

    @property
    def unrecorded(self) -> int:
        return 0 if self.records is None else abs(len(self.samples) - self.records)


def merge_runs(runs: Sequence[Run]) -> Run:
    """Several runs of one way at one rate as one run."""
    first, offered = runs[0], sum(run.offered for run in runs)
    return Run(
        first.way,
        first.rate,
        offered,
        tuple(sample for run in runs for sample in run.samples),
        sum(run.retransmissions for run in runs),
        sum(run.asterisk_ms_per_call * run.offered for run in runs) / offered,
        sum(run.service_ms_per_call * run.offered for run in runs) / offered,
        max((run.resident_mb for run in runs if run.resident_mb is not None), default=None),
        None if first.records is None else sum(run.records or 0 for run in runs),
        sum(run.left for run in runs),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed; NaN for no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass(frozen=True, slots=True)
class AddedTime:
    """Difference of a percentile from another way's, with the interval of 95 of 100 resamplings."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} ({self.low:+.2f} … {self.high:+.2f})"


def added_percentile(values: Sequence[float], native: Sequence[float], share: float) -> AddedTime:
    """The difference of a percentile, by bootstrap; NaN for no values."""
    value = percentile(values, share) - percentile(native, share)
    if not values or not native:
        return AddedTime(math.nan, math.nan, math.nan)
    dice = random.Random(_SEED)
    drawn = sorted(
        percentile(dice.choices(values, k=len(values)), share) - percentile(dice.choices(native, k=len(native)), share)
        for _ in range(_DRAWS)
    )
    return AddedTime(value, drawn[int(0.025 * _DRAWS)], drawn[int(0.975 * _DRAWS) - 1])


def is_clean(run: Run, native: Run) -> bool:
    """True if a way is clean at this rate; the addition is over the native way's median at its lowest rate."""
    if run.failed or run.unrecorded or run.left:
        return False
    base = percentile([sample.connected_ms for sample in native.samples], 0.5)
    return percentile([sample.connected_ms - base for sample in run.samples], 0.95) <= CLEAN_MS


@dataclass(frozen=True, slots=True)
class GoalResult:
    """One goal: its subject, the found figure, and the demanded one."""

    what: str
    found: float
    goal: float
    least: bool = False
    """True if the goal is a lower bound."""
    unit: str = "ms"

    @property
    def reached(self) -> bool:
        return self.found >= self.goal if self.least else self.found <= self.goal

    def row(self) -> dict[str, str]:
        sign = "≥" if self.least else "≤"
        found, goal = f"{self.found:.2f} {self.unit}", f"{sign} {self.goal:g} {self.unit}"
        return {"what": self.what, "found": found, "goal": goal, "": "" if self.reached else "missed"}
