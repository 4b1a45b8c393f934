"""The experiment's results compared with its goals: as rows, as a table and as JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from idtone.core.files import draft
from idtone.tones import verification

from ..bench_output import print_table
from . import confidence
from .jobs import Key, Tally
from .transmission_chains import WHOLE

CALIBRATION: Final = Path(verification.__file__).with_name("calibration.json")
CONFORMS_GOAL: Final = {
    **dict.fromkeys(("clean", "g711-mu", "g711-a", "g722", "gsm", "opus-12k", "amr-12.2", "g729"), 0.999),
    "white +0 dB": 0.999, "white -5 dB": 0.99,
    "babble +10 dB": 0.999, "babble +5 dB": 0.98, "babble +0 dB": 0.80,
    "talker +10 dB": 0.999, "talker +5 dB": 0.98, "talker +0 dB": 0.80,
}  # fmt: skip
PRESENT_GOAL: Final = {"loss 5 %": 0.995, "loss 10 %": 0.98}
NEAR_MISS_GOAL: Final = 0.001
ABSENT_GOAL: Final = 0.005
DAMAGED_GOAL: Final = 0.001
FREQUENCY_GOAL: Final = 1.3
THROUGHPUT_GOAL: Final = {True: 15_000.0, False: 1_500.0}
"""Goal of the throughput with numba (True) and without it, as multiples of real time."""
INSPECT_GOAL: Final = 2.0
"""Highest processor time of an inspection, as a share of the recording's length."""

HOURS_GOAL: Final = {"speech": 300, "music": 20, "signals": 20}
"""Hours that must pass without a false alarm."""


class GoalStatus(StrEnum):
    """The state of a goal.

    `SHOWN` means that the 95 % bound reaches the goal too. `SO_FAR` means that only the figure reaches it, because
    there were too few trials.
    """

    SHOWN = "reached"
    SO_FAR = "reached so far"
    MISSED = "NOT REACHED"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A measured figure of the experiment, with its confidence bound and its goal.

    `bound` is its one-sided 95 % bound on the worse side. `trials` and `hours` are the size of the sample.
    """

    measure: str
    profile: str
    what: str
    value: float
    unit: str = ""
    bound: float | None = None
    hits: int | None = None
    trials: int | None = None
    hours: float | None = None
    goal: float | None = None
    reached: GoalStatus = GoalStatus.NONE
    notes: Mapping[str, int] = field(default_factory=dict)


def rows(tallies: Mapping[Key, Tally]) -> list[Row]:
    """Convert tallies to rows, and add rows over all profiles if there are several."""
    found: list[Row] = []
    for (kind, profile, what), tally in tallies.items():
        if kind == "detection":
            found += _detection_rows(profile, what, tally)
        elif kind == "false-alarms":
            found += [_alarm_row(profile, what, tally), _open_row(profile, what, tally)]
        elif kind == "frequency":
            found.append(_frequency_row(profile, what, tally))
    found += _chain_rows({key: tally for key, tally in tallies.items() if key[0] == "chains"})
    return found + _near_miss_rows({key: tally for key, tally in tallies.items() if key[0] == "near-misses"})


def state_false_alarms(found: Sequence[Row]) -> None:
    """Write the rate of false alarms into the verifier's calibration.

    The rate is that in speech, music and signals, for all profiles together.
    """
    alarms = [row for row in found if row.measure == "false alarms"]
    hours, count = sum(row.hours or 0.0 for row in alarms), sum(row.hits or 0 for row in alarms)
    stored = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    stored["hours"], stored["false_alarms"] = round(hours, 2), count
    stored["false_alarms_per_hour"] = float(f"{confidence.events_at_most(count) / hours:.3g}")
    CALIBRATION.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


def _detection_rows(profile: str, what: str, tally: Tally) -> list[Row]:
    notes = {name.removeprefix("failed: "): count for name, count in tally.most_common() if name.startswith("failed: ")}
    goals = {"conforms": CONFORMS_GOAL.get(what), "present": PRESENT_GOAL.get(what)}
    wanted = ("conforms", "present") if what in PRESENT_GOAL or what not in CONFORMS_GOAL else ("conforms",)
    return [
        _rate_row(name, profile, what, tally[name], tally["trials"], goals[name], notes if name == "conforms" else {})
        for name in wanted
    ]


def _rate_row(
    measure: str, profile: str, what: str, hits: int, trials: int, goal: float | None, notes: Mapping[str, int]
) -> Row:
    rate, bound = hits / trials, confidence.at_least(hits, trials)
    return Row(measure, profile, what, rate, "", bound, hits, trials, None, goal, _at_least(rate, bound, goal), notes)


def _alarm_row(profile: str, what: str, tally: Tally) -> Row:
    hours, alarms = tally["milliseconds"] / 3_600_000, tally["alarms"]
    notes = {name.removeprefix("at: "): count for name, count in tally.items() if name.startswith("at: ")}
    bound = confidence.events_at_most(alarms) / hours
    enough = hours >= 0.99 * HOURS_GOAL[what]
    reached = GoalStatus.MISSED if alarms else GoalStatus.SHOWN if enough else GoalStatus.SO_FAR
    return Row("false alarms", profile, what, alarms / hours, "/h", bound, alarms, None, hours, 0.0, reached, notes)


def _open_row(profile: str, what: str, tally: Tally) -> Row:
    """The row of places in speech and music that the verifier left undecided."""
    hours, count = tally["milliseconds"] / 3_600_000, tally["cannot-tell"]
    bound = confidence.events_at_most(count) / hours
    return Row("left open in other sounds", profile, what, count / hours, "/h", bound, count, None, hours)


def _frequency_row(profile: str, what: str, tally: Tally) -> Row:
    measured = max(1, tally["measured"])
    ratio = (tally["square_millionths"] / 1e6 / measured) ** 0.5
    # The sum of squares is a chi-squared one; for this many trials its root is normal.
    bound = ratio * (1 + 1.645 / (2 * measured) ** 0.5)
    reached = _at_most(ratio, bound, FREQUENCY_GOAL) if tally["measured"] else GoalStatus.MISSED
    counts = {"hits": tally["measured"], "trials": tally["trials"]}
    return Row(
        "frequency error", profile, what, ratio, "× Cramér–Rao", bound, **counts, goal=FREQUENCY_GOAL, reached=reached
    )


def _chain_rows(tallies: Mapping[Key, Tally]) -> list[Row]:
    """Rows of complete sounds that were called absent or left undecided, and of damaged ones that were called
    conforming. There is one for each profile, and one for all.
    """
    found = []
    names = tuple(dict.fromkeys(key[1] for key in tallies))
    for profile in (*names, "all") if names else ():
        mine: dict[str, Tally] = {}
        for (_, name, what), tally in tallies.items():
            if profile in (name, "all"):
                mine.setdefault(what, Counter()).update(tally)
        for measure, wrong, goal in (
            ("wrong absent", "absent", ABSENT_GOAL),
            ("left open", "cannot-tell", None),
            ("wrong conforms", "conforms", DAMAGED_GOAL),
        ):
            there = {what: each for what, each in mine.items() if what.startswith(WHOLE) == (wrong != "conforms")}
            hits, trials = sum(each[wrong] for each in there.values()), sum(each["trials"] for each in there.values())
            if not trials:
                continue
            rate, bound = hits / trials, confidence.at_most(hits, trials)
            notes = {what: each[wrong] for what, each in there.items() if each[wrong]}
            found.append(
                Row(
                    measure,
                    profile,
                    f"{len(there)} kinds",
                    rate,
                    "",
                    bound,
                    hits,
                    trials,
                    goal=goal,
                    reached=GoalStatus.NONE if goal is None else _at_most(rate, bound, goal),
                    notes=notes,
                )
            )
    return found


def _near_miss_rows(tallies: Mapping[Key, Tally]) -> list[Row]:
    """A row for each profile; its notes name the accepted near misses."""
    found = []
    for profile in dict.fromkeys(key[1] for key in tallies):
        mine = {key[2]: tally for key, tally in tallies.items() if key[1] == profile}
        total: Tally = sum(mine.values(), Counter())
        rate, bound = total["conforms"] / total["trials"], confidence.at_most(total["conforms"], total["trials"])
        accepted = {what: tally["conforms"] for what, tally in mine.items() if tally["conforms"]}
        doubtful = {f"present: {what}": tally["present"] for what, tally in mine.items() if tally["present"]}
        reached, notes = _at_most(rate, bound, NEAR_MISS_GOAL), accepted | doubtful
        counts = {"hits": total["conforms"], "trials": total["trials"]}
        found.append(
            Row(
                "near misses",
                profile,
                f"{len(mine)} kinds",
                rate,
                "",
                bound,
                **counts,
                goal=NEAR_MISS_GOAL,
                reached=reached,
                notes=notes,
            )
        )
    return found


def throughput_row(profile: str, what: str, times: float, with_numba: bool) -> Row:
    goal, unit = THROUGHPUT_GOAL[with_numba], f"× real time {'with' if with_numba else 'without'} numba"
    reached = GoalStatus.SHOWN if times >= goal else GoalStatus.MISSED
    return Row("throughput", profile, what, times, unit, goal=goal, reached=reached)


def inspect_row(what: str, length_s: float, share: float) -> Row:
    reached = GoalStatus.SHOWN if share <= INSPECT_GOAL else GoalStatus.MISSED
    return Row("inspect", "", f"{what}, {length_s:g} s", share, "of its length", goal=INSPECT_GOAL, reached=reached)


def _at_least(rate: float, bound: float, goal: float | None) -> GoalStatus:
    if goal is None:
        return GoalStatus.NONE
    return GoalStatus.MISSED if rate < goal else GoalStatus.SHOWN if bound >= goal else GoalStatus.SO_FAR


def _at_most(value: float, bound: float, goal: float) -> GoalStatus:
    return GoalStatus.MISSED if value > goal else GoalStatus.SHOWN if bound <= goal else GoalStatus.SO_FAR


def print_tables(found: Sequence[Row]) -> None:
    """Print the rows by measure, the rows over all profiles, and the main reasons for missed goals."""
    for measure in dict.fromkeys(row.measure for row in found):
        mine = [row for row in found if row.measure == measure]
        print_table(measure, [_shown(row) for row in (*mine, *_together(mine))])


def _together(mine: Sequence[Row]) -> Iterator[Row]:
    for what in dict.fromkeys(row.what for row in mine if row.measure in ("conforms", "present")):
        there = [row for row in mine if row.what == what]
        hits, trials = sum(row.hits or 0 for row in there), sum(row.trials or 0 for row in there)
        yield _rate_row(there[0].measure, "all", what, hits, trials, there[0].goal, {})


def _shown(row: Row) -> dict[str, str]:
    counted = f"{row.hits} in {row.hours:.1f} h" if row.hours else f"{row.hits}/{row.trials}" if row.trials else ""
    reasons = Counter(row.notes).most_common(4) if row.reached is GoalStatus.MISSED else ()
    return {
        "profile": row.profile, "what": row.what, "value": f"{_number(row.value)} {row.unit}".strip(), "of": counted,
        "bound": "" if row.bound is None else _number(row.bound), "goal": "" if row.goal is None else f"{row.goal:g}",
        "": row.reached, "because": "; ".join(f"{why} ({count})" for why, count in reasons),
    }  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.4f}".rstrip("0").rstrip(".")


def write_json(found: Sequence[Row], settings: Mapping[str, Any], path: Path) -> None:
    content = {"settings": settings, "rows": [asdict(row) for row in found]}
    with draft(path) as new:
        new.file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())
        new.put()
