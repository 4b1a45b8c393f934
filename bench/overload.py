"""The capacity of a PBX with the hook, and its behaviour under three times as many calls.

    python -m bench.overload [--json]

Callers, called parties, Asterisk and the service share the processors of one machine. So the figures are lower than on
a dedicated PBX; SIPp's share is printed. The rate rises until goodput falls. Goodput is the number of calls per second
of the licensed number that got a verdict within a second and heard their sound. Rates and overload are measured in one
run, because only then they can be compared.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lab.asterisk import Asterisk
from lab.asterisk_installation import find_or_get
from lab.lab import LICENSED, SUSPENDED
from lab.processes import end_in_order, processor_s
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.sipp import Load, Outcome, called
from lab.site import BARE

from .bench_output import PROGRESS, options, print_table, report

EMERGENCY: Final = "110"
MIX: Final = (*[LICENSED] * 18, EMERGENCY, SUSPENDED)
FIRST_RATE, STEP = 20.0, 1.25
STEP_S, OVERLOAD_S, AFTER_S = 8.0, 20.0, 10.0
AFTER_RATE: Final = 4.0
TIMES: Final = 3
GOOD_VERDICT_S: Final = 1.0
PROMPT_S: Final = 0.25
"""Longest time of a prompt verdict, in seconds."""
FALLEN: Final = 0.8
MOST_RATE: Final = 500.0
SETTLE_S: Final = 15.0
SHED_CAUSE: Final = 42


@dataclass(frozen=True, slots=True)
class LoadResults:
    """The results of a load at one rate."""

    rate: float
    offered: int
    served: int
    goodput: float
    """Goodput in calls per second."""
    shed: int
    wrong: int
    """Number of wrong calls: without an end; licensed ones that were connected without evidence of the sound, or
    refused otherwise than by 503 with cause 42; emergency calls that were not connected; suspended numbers that rang.
    """
    verdict_median_ms: float
    verdict_longest_ms: float
    shed_median_ms: float | None
    asterisk_ms_per_call: float
    """Asterisk's processor time in milliseconds for each offered call."""
    service_ms_per_call: float
    sipp_share: float
    """The callers' share of one processor."""

    @property
    def served_per_processor_s(self) -> float:
        """Served calls per second of processor time.

        This figure depends less than goodput on other work of the machine.
        """
        return 1000 * self.served / self.offered / (self.asterisk_ms_per_call + self.service_ms_per_call)

    @property
    def sustained(self) -> bool:
        return not self.shed and not self.wrong and self.verdict_longest_ms <= 1000 * PROMPT_S


@dataclass
class OverloadBench:
    """One PBX with its service, for one load after another."""

    asterisk: Asterisk
    service: Service
    scratch: Path
    loads: int = 0

    def run(self, rate: float, seconds: float, after_s: float = 0.0) -> tuple[LoadResults, float | None]:
        """Run a load, then occasional calls for `after_s` seconds.

        Returns the load's results, and the seconds until calls were normal again.
        """
        self.loads += 1
        folder = self.scratch / f"load-{self.loads}"
        asterisk, service = self.asterisk.process, self.service.process
        assert asterisk
        assert service
        pids = (asterisk.pid, service.pid)
        before, later = self._heard(), None
        with called(folder / "called") as answering:

            def begin(numbers: Sequence[str], rate: float, seconds: float, name: str) -> Load:
                return Load(self.asterisk.sip_address, answering.port, numbers, rate, seconds, folder / name)

            load = begin(MIX, rate, seconds, "caller")
            began_s = [*map(processor_s, pids)]
            time.sleep(seconds)
            spent_s = [now - then for now, then in zip(map(processor_s, pids), began_s, strict=True)]
            sipp_s = processor_s(load.pid)
            if after_s:
                later = begin([LICENSED], AFTER_RATE, after_s, "later")
            outcomes, afterwards = load.outcomes(), later.outcomes() if later else []
        self._settle()
        heard = self._heard() - before - sum(each.status == 200 for each in afterwards)
        verdicts_s = _verdicts_s(outcomes)
        row = LoadResults(
            rate,
            load.offered,
            len(_served(outcomes)),
            _goodput(outcomes, load),
            sum(map(_is_shed, outcomes)),
            _wrong(outcomes, load.offered, heard, answering.rung()),
            verdict_median_ms=1000 * statistics.median(verdicts_s),
            verdict_longest_ms=1000 * max(verdicts_s),
            shed_median_ms=_shed_median_ms(outcomes),
            asterisk_ms_per_call=1000 * spent_s[0] / load.offered,
            service_ms_per_call=1000 * spent_s[1] / load.offered,
            sipp_share=sipp_s / seconds,
        )
        return row, _normal_after_s(afterwards, later) if later else None

    def _heard(self) -> int:
        return sum(bool(record["sent"]) for record in self.service.records().values())

    def _settle(self) -> None:
        ended_s = time.monotonic()
        while self.asterisk.channels() and time.monotonic() < ended_s + SETTLE_S:
            time.sleep(0.2)


def _served(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [each for each in outcomes if each.number == LICENSED and each.status == 200]


def _is_shed(each: Outcome) -> bool:
    return each.status == 503 and each.cause == SHED_CAUSE


def _verdicts_s(outcomes: Sequence[Outcome]) -> list[float]:
    return [each.verdict_s for each in _served(outcomes) if each.verdict_s is not None] or [math.inf]


def _shed_median_ms(outcomes: Sequence[Outcome]) -> float | None:
    took_s = [each.final_s - each.sent_s for each in outcomes if each.status == 503]
    return 1000 * statistics.median(took_s) if took_s else None


def _goodput(outcomes: Sequence[Outcome], load: Load) -> float:
    """The goodput of the load without its first second, in calls per second."""
    begin_s = load.began_s + 1
    good = [
        each
        for each in _served(outcomes)
        if begin_s <= each.final_s < load.ends_s and each.verdict_s is not None and each.verdict_s <= GOOD_VERDICT_S
    ]
    return len(good) / (load.ends_s - begin_s)


def _wrong(outcomes: Sequence[Outcome], offered: int, heard: int, rung: Sequence[str]) -> int:
    def is_wrong(each: Outcome) -> bool:
        if each.number == EMERGENCY:
            return each.status != 200
        return not _is_shed(each) and each.status != (403 if each.number == SUSPENDED else 200)

    without_end = offered - len(outcomes)
    unheard = abs(len(_served(outcomes)) - heard)
    return without_end + sum(map(is_wrong, outcomes)) + unheard + rung.count(SUSPENDED)


def _normal_after_s(outcomes: Sequence[Outcome], later: Load) -> float | None:
    """Seconds after which every call was served promptly again; None if that never happened."""
    if len(outcomes) < later.offered:
        return None
    late = [each for each in outcomes if each.status != 200 or (each.verdict_s or math.inf) > PROMPT_S]
    last_s = max((each.sent_s for each in late), default=later.began_s)
    return last_s - later.began_s if any(each.sent_s > last_s for each in outcomes) else None


def measure(bench: OverloadBench, tell: Callable[[LoadResults], None]) -> dict[str, Any]:
    """Raise the rate until goodput falls, then offer three times the sustained rate."""
    rows: list[LoadResults] = []
    rate = FIRST_RATE

    def run(rate: float, seconds: float, after_s: float = 0.0) -> tuple[LoadResults, float | None]:
        row, normal_s = bench.run(rate, seconds, after_s)
        tell(row)
        return row, normal_s

    while rate <= MOST_RATE and (len(rows) < 2 or rows[-1].goodput >= FALLEN * max(row.goodput for row in rows)):
        if rows and not any(row.sustained for row in rows[-3:]) and rows[-1].goodput < max(row.goodput for row in rows):
            break
        rows.append(run(rate, STEP_S)[0])
        rate *= STEP
    sustained = max((row for row in rows if row.sustained), key=lambda row: row.rate, default=rows[0])
    best = max(rows, key=lambda row: row.goodput)
    # Other work of the machine changes by the minute: the peak is taken again before and after, and their mean counts.
    before, _ = run(best.rate, STEP_S)
    over, normal_s = run(TIMES * sustained.rate, OVERLOAD_S, AFTER_S)
    after, _ = run(best.rate, STEP_S)
    peak = (before.goodput + after.goodput) / 2
    return {
        "sustainable_per_s": sustained.rate,
        "peak_goodput_per_s": peak,
        "overload": asdict(over),
        "overload_goodput_of_peak": over.goodput / peak,
        "overload_yield_of_best": over.served_per_processor_s / max(row.served_per_processor_s for row in rows),
        "normal_after_s": normal_s,
        "rates": [asdict(row) for row in rows],
        "around": [asdict(before), asdict(after)],
    }


def main() -> None:
    chosen = options(__doc__).parse_args()
    end_in_order()

    def tell(row: LoadResults) -> None:
        PROGRESS.print(f"{row.rate:.0f} calls/s: {row.goodput:.1f}/s good, {row.shed} shed, {row.wrong} wrong")

    with (
        tempfile.TemporaryDirectory(prefix="idtone-overload-") as folder,
        Asterisk(find_or_get(), Path(folder) / "pbx", site=BARE) as asterisk,
        Service(asterisk, LAB_REGISTRY) as service,
    ):
        found = measure(OverloadBench(asterisk, service, Path(folder)), tell)
    if not chosen.json:
        before, after = found.pop("around")
        rows = (*found.pop("rates"), before, found["overload"], after)
        print_table("what became of the calls", rows)
    report(f"{TIMES} times the sustainable rate, beside the peak", found, chosen.json)


if __name__ == "__main__":
    main()
