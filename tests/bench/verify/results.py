"""What the experiment found, beside its goals: rows, their table, their JSON and their picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from idtone.files import draft
from idtone.tones import verification

from . import confidence
from .measurements import Key, Tally

CALIBRATION: Final = Path(verification.__file__).with_name("calibration.json")
CONFORMS_GOAL: Final = {
    **dict.fromkeys(("clean", "g711-mu", "g711-a", "g722", "gsm", "opus-12k", "amr-12.2", "g729"), 0.999),
    "white +0 dB": 0.999, "white -5 dB": 0.99,
    "babble +10 dB": 0.999, "babble +5 dB": 0.98, "babble +0 dB": 0.80,
    "talker +10 dB": 0.999, "talker +5 dB": 0.98, "talker +0 dB": 0.80,
}  # fmt: skip
PRESENT_GOAL: Final = {"loss 5 %": 0.995, "loss 10 %": 0.98}
NEAR_MISS_GOAL: Final = 0.001
FREQUENCY_GOAL: Final = 1.3
THROUGHPUT_GOAL: Final = {True: 15_000.0, False: 1_500.0}
"""With numba and without, × real time."""

RIVALS: Final = "rivals: how often two pulses were heard"
_GRIDS: Final = ("conforms", "present", RIVALS)
HOURS_GOAL: Final = {"speech": 300, "music": 20}
"""Without a false alarm."""


class Reached(StrEnum):
    """Of a goal. `SHOWN`: the 95 % bound reaches it too. `SO_FAR`: the figure does, on too few trials to be sure."""

    SHOWN = "reached"
    SO_FAR = "reached so far"
    MISSED = "NOT REACHED"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `bound` is the one-sided 95 % bound towards the worse; `trials` and `hours` say what it rests on."""

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
    reached: Reached = Reached.NONE
    notes: Mapping[str, int] = field(default_factory=dict)


def rows(tallies: Mapping[Key, Tally]) -> list[Row]:
    """The rows of all tallies, and over all profiles where there are several."""
    found: list[Row] = []
    for (kind, profile, what), tally in tallies.items():
        if kind == "detection":
            found += _detection_rows(profile, what, tally)
        elif kind == "false-alarms":
            found.append(_alarm_row(profile, what, tally))
        elif kind == "frequency":
            found.append(_frequency_row(profile, what, tally))
    return found + _near_miss_rows({key: tally for key, tally in tallies.items() if key[0] == "near-misses"})


def state_false_alarms(found: Sequence[Row]) -> None:
    """Write the false alarms in speech and music, of all profiles together, to the verifier's calibration."""
    alarms = [row for row in found if row.measure == "false alarms" and row.what in HOURS_GOAL]
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
    # Goals are for speech and music; the tunes are harder than either, and ours.
    goal = 0.0 if what in HOURS_GOAL else None
    reached = Reached.NONE if goal is None else Reached.MISSED if alarms else Reached.SO_FAR
    if reached is Reached.SO_FAR and hours >= 0.99 * HOURS_GOAL[what]:
        reached = Reached.SHOWN
    return Row("false alarms", profile, what, alarms / hours, "/h", bound, alarms, None, hours, goal, reached, notes)


def _frequency_row(profile: str, what: str, tally: Tally) -> Row:
    measured = max(1, tally["measured"])
    ratio = (tally["square_millionths"] / 1e6 / measured) ** 0.5
    # The sum of squares is a chi-squared one; for this many trials its root is normal.
    bound = ratio * (1 + 1.645 / (2 * measured) ** 0.5)
    reached = _at_most(ratio, bound, FREQUENCY_GOAL) if tally["measured"] else Reached.MISSED
    counts = {"hits": tally["measured"], "trials": tally["trials"]}
    return Row(
        "frequency error", profile, what, ratio, "× Cramér–Rao", bound, **counts, goal=FREQUENCY_GOAL, reached=reached
    )


def _near_miss_rows(tallies: Mapping[Key, Tally]) -> list[Row]:
    """One row for each profile, with the near misses that were accepted in its notes."""
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
                "near misses", profile, f"{len(mine)} kinds", rate, "", bound, **counts, goal=NEAR_MISS_GOAL,
                reached=reached, notes=notes,
            )
        )  # fmt: skip
    return found


def throughput_row(profile: str, what: str, times: float, with_numba: bool) -> Row:
    goal, unit = THROUGHPUT_GOAL[with_numba], f"× real time {'with' if with_numba else 'without'} numba"
    reached = Reached.SHOWN if times >= goal else Reached.MISSED
    return Row("throughput", profile, what, times, unit, goal=goal, reached=reached)


def rival_row(who: str, what: str, hits: int, trials: int) -> Row:
    """How often a detector took a leg for the sound; nobody has a goal here."""
    return Row(RIVALS, who, what, hits / trials, hits=hits, trials=trials)


def rival_alarm_row(who: str, alarms: int, hours: float) -> Row:
    return Row(RIVALS, who, "speech", alarms / hours, "/h", hits=alarms, hours=hours)


def _at_least(rate: float, bound: float, goal: float | None) -> Reached:
    if goal is None:
        return Reached.NONE
    return Reached.MISSED if rate < goal else Reached.SHOWN if bound >= goal else Reached.SO_FAR


def _at_most(value: float, bound: float, goal: float) -> Reached:
    return Reached.MISSED if value > goal else Reached.SHOWN if bound <= goal else Reached.SO_FAR


def print_tables(found: Sequence[Row], console: Console) -> None:
    """A grid of detection and of the rivals, a list of everything else, and the reasons where a goal is not reached."""
    for measure in dict.fromkeys(row.measure for row in found):
        mine = [row for row in found if row.measure == measure]
        console.print(_grid(measure, mine) if measure in _GRIDS else _list(measure, mine))
        for place, reasons in _reasons(mine).items():
            console.print(f"  {place}: {'; '.join(f'{why} ({count})' for why, count in reasons)}", highlight=False)


def _reasons(mine: Sequence[Row]) -> dict[str, list[tuple[str, int]]]:
    """The commonest notes where a goal is not reached; in a grid, of all profiles together."""
    found: dict[str, Counter[str]] = {}
    for row in mine:
        if row.reached is Reached.MISSED and row.notes:
            place = row.what if row.measure in _GRIDS else f"{row.profile}, {row.what}"
            found.setdefault(place, Counter()).update(row.notes)
    return {place: notes.most_common(4) for place, notes in found.items()}


def _grid(measure: str, mine: Sequence[Row]) -> Table:
    """What × profile; for detection also all profiles together, with the bound and the goal."""
    across, down = (list(dict.fromkeys(getattr(row, key) for row in mine)) for key in ("profile", "what"))
    cells = {(row.what, row.profile): row for row in mine}
    table = Table(title=measure, title_justify="left")
    table.add_column("")
    for name in across:
        table.add_column(name.replace("-", " ").replace(" ", "\n"), justify="right")
    totals = ("of each", "together", "at least", "goal", "") if measure != RIVALS else ("of each",)
    for name in totals:
        table.add_column(name, justify="right")
    for what in down:
        row = [cells.get((what, name)) for name in across]
        there = [cell for cell in row if cell]
        texts = [
            f"{_number(cell.value)}{cell.unit}{'!' * (cell.reached is Reached.MISSED)}" if cell else "" for cell in row
        ]
        each = f"{there[0].hours:.1f} h" if there[0].hours else str(there[0].trials)
        if measure == RIVALS:
            table.add_row(what, *texts, each)
            continue
        hits, count = sum(cell.hits or 0 for cell in there), sum(cell.trials or 0 for cell in there)
        bound, goal = confidence.at_least(hits, count), there[0].goal
        missed = any(cell.reached is Reached.MISSED for cell in there)
        verdict = Reached.MISSED if missed else _at_least(hits / count, bound, goal)
        table.add_row(
            what, *texts, each, _number(hits / count), _number(bound), "" if goal is None else f"{goal:g}", verdict
        )
    return table


def _list(measure: str, mine: Sequence[Row]) -> Table:
    table = Table(title=measure, title_justify="left")
    for heading in ("profile", "what", "value", "of", "at most", "goal", ""):
        table.add_column(heading, justify="right" if heading in ("value", "of", "at most", "goal") else "left")
    for row in mine:
        counted = f"{row.hits} in {row.hours:.1f} h" if row.hours else f"{row.hits}/{row.trials}" if row.trials else ""
        table.add_row(
            row.profile, row.what, f"{_number(row.value)} {row.unit}".strip(), counted,
            "" if row.bound is None else _number(row.bound), "" if row.goal is None else f"{row.goal:g}", row.reached,
        )  # fmt: skip
    return table


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.4f}".rstrip("0").rstrip(".")


def write_json(found: Sequence[Row], settings: Mapping[str, Any], path: Path) -> None:
    content = {"settings": settings, "rows": [asdict(row) for row in found]}
    with draft(path) as new:
        new.file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())
        new.put()


def write_plot(found: Sequence[Row], path: Path) -> None:
    """Detection by profile and condition as colours, false alarms and rivals as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(15, 7), width_ratios=(3, 2), layout="constrained")
    detected = [row for row in found if row.measure in ("conforms", "present")]
    across = list(dict.fromkeys(row.profile for row in detected))
    down = list(dict.fromkeys(f"{row.what}, {row.measure}" for row in detected))
    cells = {(f"{row.what}, {row.measure}", row.profile): row for row in detected}
    left.set_title("detected (boxed: goal not reached)")
    if cells:
        grid = [[cells[a, b].value if (a, b) in cells else float("nan") for b in across] for a in down]
        left.imshow(grid, vmin=0.5, vmax=1, cmap="RdYlGn", aspect="auto")
        left.set_xticks(range(len(across)), across, rotation=30, ha="right")
        left.set_yticks(range(len(down)), down)
        for (what, profile), row in cells.items():
            box = {"facecolor": "none", "edgecolor": "white", "pad": 1.5} if row.reached is Reached.MISSED else None
            place = across.index(profile), down.index(what)
            colour = "black" if 0.6 < row.value < 0.95 else "white"
            left.text(*place, f"{row.value:.3f}", ha="center", va="center", fontsize=8, color=colour, bbox=box)
    rivals = [row for row in found if row.measure == RIVALS and row.trials]
    names, whats = (list(dict.fromkeys(getattr(row, key) for row in rivals)) for key in ("profile", "what"))
    for number, name in enumerate(names):
        mine = {row.what: row.value for row in rivals if row.profile == name}
        places = [whats.index(what) + 0.25 * (number - 1) for what in mine]
        right.barh(places, list(mine.values()), height=0.25, label=name)
    right.set_title("taken for the sound of two pulses, side by side")
    right.set_yticks(range(len(whats)), whats)
    right.invert_yaxis()
    if names:
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.04), ncols=len(names))
    with draft(path) as new:
        figure.savefig(new.file, format=path.suffix[1:] or "png", dpi=110)
        new.put()
    pyplot.close(figure)
