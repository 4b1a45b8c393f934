"""What the hook is to cost at most, on two cores that it shares with Asterisk and both SIPps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .figures import Finding, Run, added, clean, percentile
from .ways import Way

ALONE, BUSY = 1.0, 50.0
"""Calls per second: one at a time, and the rate at which the goals under load are judged."""
HOOK: Final = Way.ARI_CALLED


@dataclass(frozen=True, slots=True)
class Table:
    """All runs of a bench, by way and rate."""

    runs: Mapping[tuple[Way, float], Run]

    @property
    def rates(self) -> list[float]:
        return sorted({rate for _, rate in self.runs})

    def get(self, way: Way, rate: float) -> Run | None:
        return self.runs.get((way, rate))

    def native(self) -> Run:
        """At its lowest rate: what everything is compared with."""
        return next(run for rate in self.rates if (run := self.get(Way.NATIVE, rate)))

    def clean_rate(self, way: Way) -> float:
        """The highest that it bears, with all below it; 0 where it bears none."""
        highest = 0.0
        for rate in self.rates:
            run = self.get(way, rate)
            if run is None or not clean(run, self.native()):
                break
            highest = rate
        return highest


def findings(table: Table) -> Iterator[Finding]:
    """Each goal that this table can judge."""
    for rate, where, goals in (
        (ALONE, "one call at a time", (("p50", 0.5, 1.2), ("p99", 0.99, 2.0))),
        (BUSY, f"{BUSY:g} calls/s", (("p50", 0.5, 1.0), ("p99", 0.99, 4.0))),
    ):
        hook, native = table.get(HOOK, rate), table.get(Way.NATIVE, rate)
        if hook is None or native is None:
            continue
        for name, share, goal in goals:
            yield Finding(
                f"answer → connected, over native, {where}, {name}",
                added(_connected(hook), _connected(native), share).value, goal,
            )  # fmt: skip
    hook, native, bare = (table.get(way, ALONE) for way in (HOOK, Way.NATIVE, Way.DIAL))
    if hook and native:
        yield Finding("answer → sound, over native, p50", added(_onset(hook), _onset(native), 0.5).value, 0.1)
    if hook and bare:
        value = added(_post_dial(hook), _post_dial(bare), 0.5).value
        yield Finding("post-dial delay added by the decision, p50", value, 2.0)
    most = table.clean_rate(Way.NATIVE)
    for way in (Way.ARI_CALLED, Way.AGI_CALLED):
        if most:
            yield Finding(f"highest clean rate, {way}, of native's", table.clean_rate(way) / most, 0.9, True, "")
    busy, native_busy, both = (table.get(way, BUSY) for way in (HOOK, Way.NATIVE, Way.ARI_BOTH))
    if busy and native_busy:
        yield Finding(f"service's processor time a call, {BUSY:g} calls/s", busy.service_ms_per_call, 1.5)
        for run, goal in ((busy, 1.2), (both, 1.4)):
            if run:
                ratio = run.asterisk_ms_per_call / native_busy.asterisk_ms_per_call
                what = f"Asterisk's processor time a call, of native's, {run.way}, {BUSY:g} calls/s"
                yield Finding(what, ratio, goal, unit="")
    if both and native_busy:
        value = added(_connected(both), _connected(native_busy), 0.5).value
        yield Finding(f"answer → connected, over native, both hear it, {BUSY:g} calls/s, p50", value, 1.5)


def _connected(run: Run) -> Sequence[float]:
    return [sample.connected_ms for sample in run.samples]


def _onset(run: Run) -> Sequence[float]:
    return [sample.onset_ms for sample in run.samples if sample.onset_ms is not None]


def _post_dial(run: Run) -> Sequence[float]:
    return [sample.post_dial_ms for sample in run.samples]


def row(run: Run, native: Run) -> dict[str, float | int | str | None]:
    """One line of the table, of plain values."""
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
