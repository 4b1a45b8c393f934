"""The cost of the hook in this version and in an earlier one. Each has its own checkout and PBX; they take turns in one
run.

    python -m bench.cost.compare_versions FOLDER [--turns N] [--rate R] [--seconds S] [--json] [--page]

`FOLDER` is a checkout of the earlier version with its own `.venv`. In each turn both versions run Asterisk's own
`Dial(…,A(file))` and then the hook. The hook's addition is compared within the turn, so that other work on the machine
affects both. `--page` puts the table into docs/explanation/cost.md and its Japanese page.
"""

import json
import os
import random
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from lab.processes import end_in_order
from lab.repository import ROOT

from ..bench_output import PROGRESS, Found, options, report
from ..results_in_docs import write_texts
from .forwarding_ways import Way
from .goals import HOOK
from .run_statistics import percentile

TURNS: Final = 12
RATE: Final = 5.0
SECONDS: Final = 8.0
BED: Final = Path(__file__).with_name("checkout_bench.py")
ENGLISH: Final = ROOT / "docs" / "explanation" / "cost.md"
JAPANESE: Final = ROOT / "docs" / "ja" / "explanation" / "cost.md"
BENCH: Final = "bench-before"
_DRAWS: Final = 2000
_SEED: Final = 7

Loads = Mapping[Way, dict[str, Any]]
"""The results of one version in one turn: the native way and the hook."""
_JAPANESE: Final = {
    "title": "## 以前の版との比較",
    "summary": (
        "`make bench-before`: 以前の版 {old} と現在の版 {new} を、それぞれの PBX で交互に {turns} 回測定しました。"
        "{offered} 通話のうち失敗は {failed} 件、完全な記録のないものは {unrecorded} 件です。"
        "差は、同じ回の中での差の中央値です。"
    ),
    "what": "項目", "before": "以前の版", "now": "現在の版", "difference": "差(95 % 区間)",
    "connected": "応答から接続まで、native との差、p50(ms)", "post_dial": "ダイヤル後遅延、native との差、p50(ms)",
    "asterisk": "Asterisk のプロセッサー時間、native 比", "service": "サービスのプロセッサー時間、1 通話あたり(ms)",
}  # fmt: skip
_ENGLISH: Final = {
    "title": "## Compared with a version before",
    "summary": (
        "`make bench-before` compared {old} and {new}, each on its own PBX, in {turns} turns. Of {offered} calls, "
        "{failed} failed, and {unrecorded} lack a complete record. Each difference is the median of the differences "
        "within the turns."
    ),
    "what": "figure", "before": "previous version", "now": "now", "difference": "difference (95 % interval)",
    "connected": "answer → connected over native, p50, ms", "post_dial": "post-dial delay over native, p50, ms",
    "asterisk": "Asterisk's processor time, relative to native", "service": "service's processor time per call, ms",
}  # fmt: skip


def costs_per_call(loads: Loads) -> dict[str, float]:
    """Cost of the hook over the native way of the same turn."""
    hook, native = loads[HOOK], loads[Way.NATIVE]
    connected, post_dial = (
        percentile(hook[name], 0.5) - percentile(native[name], 0.5) for name in ("connected_ms", "post_dial_ms")
    )
    return {
        "connected": connected,
        "post_dial": post_dial,
        "asterisk": hook["asterisk_ms"] / native["asterisk_ms"],
        "service": hook["service_ms"],
    }


def compare(turns: Sequence[tuple[Loads, Loads]]) -> dict[str, dict[str, float]]:
    """Each figure in the earlier version and in this version, as the median over the turns.

    `difference` is the median difference within a turn. `low` and `high` enclose the medians of 95 of 100 resamplings.
    """
    pairs = [(costs_per_call(before), costs_per_call(now)) for before, now in turns]
    dice = random.Random(_SEED)
    found = {}
    for name in pairs[0][0]:
        differences = [now[name] - before[name] for before, now in pairs]
        drawn = sorted(statistics.median(dice.choices(differences, k=len(differences))) for _ in range(_DRAWS))
        found[name] = {
            "before": statistics.median(before[name] for before, _ in pairs),
            "now": statistics.median(now[name] for _, now in pairs),
            "difference": statistics.median(differences),
            "low": drawn[int(0.025 * _DRAWS)],
            "high": drawn[int(0.975 * _DRAWS) - 1],
        }
    return found


def count_failures(turns: Sequence[tuple[Loads, Loads]]) -> dict[str, int]:
    """Numbers of offered calls, failed calls, and calls without a complete record."""
    loads = [load for turn in turns for version in turn for load in version.values()]
    return {name: sum(load[name] for load in loads) for name in ("offered", "failed", "unrecorded")}


@contextmanager
def checkout_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the PBX of a checkout during the block.

    Raises RuntimeError if it does not start.
    """
    python = folder / ".venv" / "bin" / "python"
    with subprocess.Popen(
        [python, BED],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPYCACHEPREFIX": str(folder / "build" / "pycache")},
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"{folder}: its PBX does not start")
            yield process
        finally:
            process.stdin.close()  # at its end, the other one stops what it has started
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.terminate()


def request_load(of: subprocess.Popen[str], way: Way, rate: float, seconds: float) -> dict[str, Any]:
    """Run one load in a checkout, and return its results."""
    assert of.stdin
    assert of.stdout
    of.stdin.write(f"{way} {rate} {seconds}\n")
    of.stdin.flush()
    line = of.stdout.readline()
    if not line:
        raise RuntimeError(f"the PBX of a checkout ended during {way}")
    found: dict[str, Any] = json.loads(line)
    return found


def measure(before: Path, turns: int, rate: float, seconds: float) -> list[tuple[Loads, Loads]]:
    found: list[tuple[Loads, Loads]] = []
    with ExitStack() as stack:
        beds = [
            stack.enter_context(checkout_process(before)),
            stack.enter_context(checkout_process(ROOT)),
        ]
        for turn in range(turns):
            of: dict[int, Loads] = {}
            for version in (0, 1) if turn % 2 else (1, 0):
                of[version] = {way: request_load(beds[version], way, rate, seconds) for way in (Way.NATIVE, HOOK)}
            found.append((of[0], of[1]))
            PROGRESS.print(f"turn {turn + 1} of {turns}")
    return found


def version_of(folder: Path) -> str:
    command = ["git", "-C", folder, "log", "-1", "--format=%h (%cs)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def table_text(found: Found, words: Mapping[str, str]) -> str:
    """Section of the page with the compared versions, and a line for each figure."""
    lines = [
        words["title"], "", words["summary"].format(**found["calls"], **found["versions"]), "",
        f"| {words['what']} | {words['before']} | {words['now']} | {words['difference']} |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {words[name]} | {each['before']:.2f} | {each['now']:.2f} "
        f"| {each['difference']:+.2f} ({each['low']:+.2f} … {each['high']:+.2f}) |"
        for name, each in found.items()
        if name in words
    ]
    return "\n".join(lines) + "\n"


def write_page(found: Found) -> None:
    """Write the comparison into docs/explanation/cost.md and its Japanese page."""
    write_texts({ENGLISH: table_text(found, _ENGLISH), JAPANESE: table_text(found, _JAPANESE)}, BENCH)


def main() -> None:
    parser = options(__doc__, turns=TURNS, rate=RATE, seconds=SECONDS)
    parser.add_argument("folder", type=Path, help="a checkout of the previous version, with its own .venv")
    parser.add_argument("--page", action="store_true", help="put the table into the pages of the documentation")
    chosen = parser.parse_args()
    end_in_order()
    turns = measure(chosen.folder.resolve(), chosen.turns, chosen.rate, chosen.seconds)
    versions = {"old": version_of(chosen.folder), "new": version_of(ROOT)}
    found = {**compare(turns), "calls": {"turns": len(turns), **count_failures(turns)}, "versions": versions}
    report("what the hook costs", found, chosen.json)
    if chosen.page:
        write_page(found)


if __name__ == "__main__":
    main()
