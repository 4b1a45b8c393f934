"""The goals of the bench: upper limits of the hook's cost.

The limits hold on two cores that the hook shares with Asterisk and both SIPps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .forwarding_ways import Way
from .run_statistics import GoalResult, Run, added_percentile, is_clean, percentile

ALONE, BUSY, BUSIER, BUSIEST = 1.0, 50.0, 100.0, 140.0
"""Calls per second at which goals are judged. The first is one call at a time."""
HOOK: Final = Way.ARI_CALLED


@dataclass(frozen=True, slots=True)
class RunTable:
    """All runs of a bench, by way and rate."""

    runs: Mapping[tuple[Way, float], Run]

    @property
    def rates(self) -> list[float]:
        return sorted({rate for _, rate in self.runs})

    def get(self, way: Way, rate: float) -> Run | None:
        return self.runs.get((way, rate))

    def native(self) -> Run:
        """The native run at the lowest rate, the base of all comparisons."""
        return next(run for rate in self.rates if (run := self.get(Way.NATIVE, rate)))

    def clean_rate(self, way: Way) -> float:
        """Highest rate up to which all runs of a way are clean; 0 if the first run is not clean."""
        highest = 0.0
        for rate in self.rates:
            run = self.get(way, rate)
            if run is None or not is_clean(run, self.native()):
                break
            highest = rate
        return highest


def judge_goals(table: RunTable) -> Iterator[GoalResult]:
    """Compare the results with the goals that the table of runs can judge."""
    hook, native, dial = (table.get(way, ALONE) for way in (HOOK, Way.NATIVE, Way.DIAL))
    busy, native_busy, both = (table.get(way, BUSY) for way in (HOOK, Way.NATIVE, Way.ARI_BOTH))
    busier, native_busier = (table.get(way, BUSIER) for way in (HOOK, Way.NATIVE))
    alone, under_load = "one call at a time", f"{BUSY:g} calls/s"
    for run, base, figure, share, what, goal in (
        (hook, native, _connected, 0.5, f"answer → connected, over native, {alone}, p50", 1.0),
        (hook, native, _connected, 0.99, f"answer → connected, over native, {alone}, p99", 2.0),
        (busy, native_busy, _connected, 0.5, f"answer → connected, over native, {under_load}, p50", 1.0),
        (busy, native_busy, _connected, 0.99, f"answer → connected, over native, {under_load}, p99", 2.0),
        (busier, native_busier, _connected, 0.99, f"answer → connected, over native, {BUSIER:g} calls/s, p99", 4.0),
        (both, native_busy, _connected, 0.5, f"answer → connected, over native, both hear it, {under_load}, p50", 1.5),
        (hook, native, _onset, 0.5, "answer → sound, over native, p50", 0.1),
        (hook, dial, _post_dial, 0.5, "post-dial delay added by the decision, p50", 1.8),
    ):
        if run and base:
            yield GoalResult(what, added_percentile(figure(run), figure(base), share).value, goal)
    most = table.clean_rate(Way.NATIVE)
    for way, goal in ((Way.ARI_CALLED, 0.85), (Way.AGI_CALLED, 0.75)):
        if most:
            yield GoalResult(f"highest clean rate, {way}, of native's", table.clean_rate(way) / most, goal, True, "")
    for rate, goal in ((BUSY, 1.2), (BUSIEST, 0.9)):
        if run := table.get(HOOK, rate):
            yield GoalResult(f"service's processor time a call, {rate:g} calls/s", run.service_ms_per_call, goal)
    for run, goal in ((busy, 1.2), (both, 1.35)):
        if run and native_busy:
            ratio = run.asterisk_ms_per_call / native_busy.asterisk_ms_per_call
            what = f"Asterisk's processor time a call, of native's, {run.way}, {under_load}"
            yield GoalResult(what, ratio, goal, unit="")


def _connected(run: Run) -> Sequence[float]:
    return [sample.connected_ms for sample in run.samples]


def _onset(run: Run) -> Sequence[float]:
    return [sample.onset_ms for sample in run.samples if sample.onset_ms is not None]


def _post_dial(run: Run) -> Sequence[float]:
    return [sample.post_dial_ms for sample in run.samples]


def table_row(run: Run, native: Run) -> dict[str, float | int | str | None]:
    """A row of the printed table of runs."""
    base = percentile(_connected(native), 0.5)
    connected = [value - base for value in _connected(run)]
    return {
        "way": run.way.value, "rate": run.rate, "offered": run.offered, "failed": run.failed,
        "unrecorded": run.unrecorded, "retransmissions": run.retransmissions, "left": run.left,
        **{f"added_p{share * 100:.0f}_ms": percentile(connected, share) for share in (0.5, 0.95, 0.99)},
        "onset_p50_ms": percentile(_onset(run), 0.5),
        "post_dial_p50_ms": percentile(_post_dial(run), 0.5),
        "post_dial_p99_ms": percentile(_post_dial(run), 0.99),
        "asterisk_ms_per_call": run.asterisk_ms_per_call, "service_ms_per_call": run.service_ms_per_call,
        "resident_mb": run.resident_mb,
    }  # fmt: skip
