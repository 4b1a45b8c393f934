"""Rows, states of the goals, and files, made from tallies."""

import json
from collections import Counter

import pytest

from bench.verify import results
from bench.verify.results import GoalStatus


def detected(conforms: int, trials: int, what: str = "gsm") -> results.Row:
    tally = Counter(trials=trials, conforms=conforms, present=trials)
    return results.rows({("detection", "sample", what): tally})[0]


@pytest.mark.parametrize(
    ("conforms", "trials", "reached"),
    [
        (3000, 3000, GoalStatus.SHOWN),
        (60, 60, GoalStatus.SO_FAR),
        (59, 60, GoalStatus.MISSED),
        (2999, 3000, GoalStatus.SO_FAR),
    ],
)
def test_a_goal_is_reached_by_the_bound_or_only_so_far(conforms, trials, reached):
    assert detected(conforms, trials).reached is reached


@pytest.mark.parametrize(
    ("hours", "alarms", "what", "reached"),
    [
        (300, 0, "speech", GoalStatus.SHOWN), (6, 0, "speech", GoalStatus.SO_FAR),
        (300, 1, "speech", GoalStatus.MISSED),
        (20, 0, "music", GoalStatus.SHOWN),
    ],
)  # fmt: skip
def test_false_alarms_count_against_the_hours(hours, alarms, what, reached):
    tally = Counter({"milliseconds": hours * 3_600_000, "alarms": alarms, "cannot-tell": 3})
    row, left_open = results.rows({("false-alarms", "sample", what): tally})
    assert row.reached is reached
    assert row.value == pytest.approx(alarms / hours)
    assert (left_open.value, left_open.reached) == (pytest.approx(3 / hours), GoalStatus.NONE)


def test_near_misses_are_counted_together_and_the_accepted_are_named():
    (row,) = results.rows(
        {
            ("near-misses", "sample", "SIT · gsm"): Counter(trials=50, conforms=0, present=0),
            ("near-misses", "sample", "CNG · gsm"): Counter(trials=50, conforms=1, present=2),
        }
    )
    assert (row.hits, row.trials, row.reached) == (1, 100, GoalStatus.MISSED)
    assert row.notes == {"CNG · gsm": 1, "present: CNG · gsm": 2}


def test_every_row_reaches_the_tables_and_the_file(tmp_path, capsys):
    slow = results.inspect_row("speech", 5.8, 2.1)
    assert slow.reached is GoalStatus.MISSED
    found = [detected(59, 60), results.throughput_row("sample", "speech", 1600, with_numba=False), slow]
    results.print_tables(found)
    shown = capsys.readouterr().out
    for expected in ("0.9833", GoalStatus.MISSED, "all", "1600 × real time", "speech, 5.8 s"):
        assert expected in shown
    results.write_json(found, {"trials": 60}, tmp_path / "found.json")
    assert len(json.loads((tmp_path / "found.json").read_text())["rows"]) == len(found)


def test_chains_count_whole_sounds_called_absent_and_damaged_ones_called_conforming():
    rows = results.rows(
        {
            ("chains", "sample", "whole · AMR"): Counter({"trials": 300, "absent": 1, "cannot-tell": 30}),
            ("chains", "notice", "whole · AMR"): Counter(trials=300, absent=0),
            ("chains", "sample", "first 80 ms missing · AMR"): Counter(trials=100, conforms=1, absent=3),
        }
    )
    found = {(row.measure, row.profile): (row.hits, row.trials, row.reached) for row in rows}
    assert found == {
        ("wrong absent", "sample"): (1, 300, GoalStatus.SO_FAR),
        ("left open", "sample"): (30, 300, GoalStatus.NONE),
        ("wrong conforms", "sample"): (1, 100, GoalStatus.MISSED),
        ("wrong absent", "notice"): (0, 300, GoalStatus.SO_FAR),
        ("left open", "notice"): (0, 300, GoalStatus.NONE),
        ("wrong absent", "all"): (1, 600, GoalStatus.SO_FAR),
        ("left open", "all"): (30, 600, GoalStatus.NONE),
        ("wrong conforms", "all"): (1, 100, GoalStatus.MISSED),
    }
    assert [row.notes for row in rows if row.profile == "all"] == [
        {"whole · AMR": 1},
        {"whole · AMR": 30},
        {"first 80 ms missing · AMR": 1},
    ]
