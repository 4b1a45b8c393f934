"""The rules' detection rates for generated fraud, and their rates of false reports for ordinary offices.

All rates have confidence intervals. `python -m lab.member.misuse.detection_rates [--days N]` writes the table of
docs/explanation/misuse-rates.md.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import sqrt
from typing import Final

from bench.bench_output import PROGRESS
from idtone.core.misuse_limits import load_limits
from idtone.ledger.evidence.call_outline import OutlinedDay
from idtone.member.misuse.findings import DayJudge
from idtone.member.misuse.rules import RULES
from lab.repository import ROOT

from .traffic import FRAUDS, LICENCES, MEASURED_FROM, OFFICES, WEAK, day_of, weeks_of_a_licence

PAGE: Final = ROOT / "docs" / "explanation" / "misuse-rates.md"
DAYS: Final = 400
NAMES: Final = [rule.name for rule in RULES]
_Z: Final = 1.96
"""Quantile of the normal distribution for 95 % confidence."""
_BEGIN, _END = "<!-- rates -->\n", "<!-- end of rates -->"

Days = Callable[[int], Iterable[OutlinedDay]]
"""Function that yields the days that a seed generates. Only the last day is judged, and the others are its past."""


def _one(traffic: Callable[..., Iterator[OutlinedDay]], seed: int) -> Iterator[OutlinedDay]:
    yield day_of(traffic, seed)


SCENES: Final[dict[str, Days]] = {
    **{name: partial(_one, traffic) for name, (traffic, _) in FRAUDS.items()},
    **{f"{name}_weak": partial(_one, partial(traffic, strength=WEAK)) for name, (traffic, _) in FRAUDS.items()},
    **{name: partial(_one, traffic) for name, traffic in OFFICES.items()},
    **{name: partial(weeks_of_a_licence, times=times) for name, times in LICENCES.items()},
}


def count_findings(scene: str, seeds: range) -> Counter[str]:
    """Rule → number of seeds for which the rule has a finding on the last day."""
    limits, counts = load_limits(None), Counter[str]()
    for seed in seeds:
        judge, last = DayJudge("pbx-1", limits, {}), set[str]()
        for day in SCENES[scene](seed):
            last = {finding.rule.name for finding in judge.day(day)}
        counts.update(last)
    return counts


def wilson_interval(count: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % confidence interval for the share `count` / `of`."""
    share = count / of
    middle = share + _Z**2 / (2 * of)
    half = _Z * sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2))
    return max(0.0, (middle - half) / (1 + _Z**2 / of)), min(1.0, (middle + half) / (1 + _Z**2 / of))


def table(days: int) -> str:
    """The table in Markdown, with a row for each kind of day.

    A row has the rules with findings, the number of days with findings, and the interval in per cent.
    """
    none = f"none ({_range(0, days)})"
    rows = [("days", "findings of"), ("---", "---")]
    for scene in SCENES:
        PROGRESS.print(f"{scene} …")
        counts = count_findings(scene, range(MEASURED_FROM, MEASURED_FROM + days))
        cells = [f"`{name}` {counts[name]} of {days} ({_range(counts[name], days)})" for name in NAMES if counts[name]]
        rows.append((f"`{scene}`", ", ".join(cells) or none))
    return "".join(f"| {first} | {second} |\n" for first, second in rows)


def rates_in_page() -> dict[str, dict[str, tuple[int, int]]]:
    """Kind of day → rule → number of days with a finding and number of all days, as the table on the page has them."""
    said: dict[str, dict[str, tuple[int, int]]] = {}
    for line in PAGE.read_text("utf-8").partition(_BEGIN)[2].partition(_END)[0].splitlines()[2:]:
        _, scene, cells, _ = line.split("|")
        said[scene.strip(" `")] = {}
        for cell in filter(None, map(str.strip, cells.split(", "))):
            if not cell.startswith("none"):
                name, count, _, of, *_ = cell.split()
                said[scene.strip(" `")][name.strip("`")] = int(count), int(of)
    return said


def _range(count: int, of: int) -> str:
    low, high = wilson_interval(count, of)
    return f"{100 * low:.3g}–{100 * high:.3g} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS, help=f"days of each kind (default: {DAYS})")
    made = table(parser.parse_args().days)
    before, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    PAGE.write_text(f"{before}{_BEGIN}{made}{_END}{rest.partition(_END)[2]}", "utf-8")
    print(made, end="")


if __name__ == "__main__":
    main()
