"""Statistics of runs of calls: percentiles, differences with their confidence, and goals."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .forwarding_ways import Way

CLEAN_MS: Final = 50.0
"""Limit of the time that forwarding adds to a call of a clean run, in milliseconds at the 95th percentile."""
_DRAWS: Final = 400
_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """The times of one connected call."""

    post_dial_ms: float
    """Milliseconds from the caller's INVITE to the called phone's."""
    onset_ms: float | None
    """Milliseconds from the answer to the sound's first packet; None if the sound was not measured."""
    connected_ms: float
    """Milliseconds from the called phone's answer until the caller receives it, less the sound's length."""


@dataclass(frozen=True, slots=True)
class Run:
    """The calls of one way of forwarding at one rate, from one load or several merged loads."""

    way: Way
    rate: float
    offered: int
    samples: tuple[Sample, ...]
    retransmissions: int
    asterisk_ms_per_call: float
    service_ms_per_call: float
    resident_mb: float | None
    """The service's resident memory after the load; None on a way without a service."""
    records: int | None
    """Complete records of the load's calls in the evidence; None on a way without the hook."""
    left: int = 0
    """Channels that Asterisk still had long after the last call."""

    @property
    def failed(self) -> int:
        return self.offered - len(self.samples)

    @property
    def unrecorded(self) -> int:
        return 0 if self.records is None else abs(len(self.samples) - self.records)


def merge_runs(runs: Sequence[Run]) -> Run:
    """Merge several runs of the same way and rate."""
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
    """Smallest value that at least `share` (0 … 1) of the values do not exceed; NaN for no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass(frozen=True, slots=True)
class AddedTime:
    """The difference of a percentile from the native way's, in milliseconds.

    `low` and `high` enclose 95 of 100 resamplings.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} ({self.low:+.2f} … {self.high:+.2f})"


def added_percentile(values: Sequence[float], native: Sequence[float], share: float) -> AddedTime:
    """Difference of a percentile from the native way's, with its interval by bootstrap.

    `share` is 0 … 1. The values are NaN for no calls.
    """
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
    """True if no call of a run failed, and the added time is within CLEAN_MS at p95.

    `native` is the native run at its lowest rate. The addition is measured from the median of `native`.
    """
    if run.failed or run.unrecorded or run.left:
        return False
    base = percentile([sample.connected_ms for sample in native.samples], 0.5)
    return percentile([sample.connected_ms - base for sample in run.samples], 0.95) <= CLEAN_MS


@dataclass(frozen=True, slots=True)
class GoalResult:
    what: str
    found: float
    goal: float
    is_lower_bound: bool = False
    """True if the goal is a lower bound."""
    unit: str = "ms"

    @property
    def reached(self) -> bool:
        return self.found >= self.goal if self.is_lower_bound else self.found <= self.goal

    def row(self) -> dict[str, str]:
        sign = "≥" if self.is_lower_bound else "≤"
        found, goal = f"{self.found:.2f} {self.unit}", f"{sign} {self.goal:g} {self.unit}"
        return {"what": self.what, "found": found, "goal": goal, "": "" if self.reached else "missed"}
