"""The states of an operator's own suspension, and the calls that it stops in each state."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from idtone.core.errors import UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse
from idtone.registry.suspensions.own_stops import OwnStopIndex
from idtone.registry.suspensions.own_suspension import OwnSuspensions, approved, closed, covered, lifted, put_to_use
from idtone.registry.suspensions.suspension_file import StopsInUse, changing, read_suspensions
from idtone.registry.suspensions.suspension_states import DutyKind, SuspensionState
from lab.registry.suspensions.samples import DUE, NOW, ONE, RANGE, SUZUKI, act, in_force, stop


def test_one_person_orders_and_the_node_puts_it_in_force():
    one = stop()
    assert (one.state, one.stops, one.count) == (SuspensionState.APPROVED, True, 101)
    one = in_force()
    assert (one.state, one.in_force) == (SuspensionState.IN_FORCE, NOW)
    assert put_to_use(one, NOW + timedelta(1), True, DUE) == one, "it is in force since the first time"


def test_two_persons_approve_a_stop_and_its_end():
    asked = stop(persons=2)
    assert (asked.state, asked.stops) == (SuspensionState.ASKED, False)
    assert put_to_use(asked, NOW, True, DUE) == asked
    with pytest.raises(UsageError, match="sato has asked for this"):
        approved(asked, act())
    one = put_to_use(approved(asked, act(SUZUKI)), NOW, True, DUE)
    assert one.state is SuspensionState.IN_FORCE
    asked = lifted(one, act(), persons=2)
    assert asked.stops, "until another person approves its end"
    with pytest.raises(UsageError, match="sato has asked for this"):
        approved(asked, act())
    assert approved(asked, act(SUZUKI)).state is SuspensionState.LIFTED
    assert lifted(stop(persons=2), act(), persons=2).state is SuspensionState.WITHDRAWN


@pytest.mark.parametrize(
    ("of_association", "left", "state"),
    [
        ([], [ONE, RANGE], SuspensionState.IN_FORCE),
        ([ONE], [RANGE], SuspensionState.IN_FORCE),
        ([NumberSpan(81612345000, 81612345049)], [ONE, NumberSpan(81612345050, 81612345099)], SuspensionState.IN_FORCE),
        ([NumberSpan(81312345000, 81312345999), RANGE], [], SuspensionState.TAKEN_OVER),
    ],
)
def test_the_association_takes_over_number_by_number(of_association, left, state):
    after = covered(in_force(), of_association, NOW)
    assert (list(after.spans()), after.state) == (left, state)
    assert covered(after, [], NOW) == after, "what it has taken over, it may lift"


def test_a_duty_is_overdue_after_its_day_in_japan_and_is_closed_by_an_act():
    one = in_force()
    (duty,) = one.open_duties()
    ends = datetime(2026, 12, 31, 15, tzinfo=UTC)
    assert [duty.is_overdue(at) for at in (ends - timedelta(seconds=1), ends)] == [False, True]
    one = lifted(one, act())
    assert one.is_open, "what follows a stop stays open after its end"
    done = closed(one, DutyKind.CONTRACT_END, act(), date(2026, 12, 20), "D-1")
    assert (done.open_duties(), done.duties[0].document) == ([], "D-1")
    with pytest.raises(UsageError, match="has no open duty end of the contract"):
        closed(done, DutyKind.CONTRACT_END, act(), date(2026, 12, 20), "D-1")


@pytest.mark.parametrize(
    ("number", "is_stopped"),
    [("0312345678", True), ("+81312345678", True), ("0312345679", False), ("0612345099", True), ("0612345100", False),
     ("110", False), ("", False)],
)  # fmt: skip
def test_the_look_up(number, is_stopped):
    index = OwnStopIndex([in_force(), stop(persons=2)])
    found = index.of(parse(number))
    assert [each.in_force(datetime(1980, 1, 1, tzinfo=UTC)) for each in found] == [True] * is_stopped
    assert all(each.own and each.reference == "R-1" for each in found)


def test_the_file_keeps_them_and_a_damaged_one_is_not_taken_for_none(tmp_path):
    path = tmp_path / "ledger.sqlite3.suspensions"
    stops = StopsInUse(path)
    one = in_force()
    with changing(path) as draft:
        draft.put(one)
    stops.refresh()
    assert (read_suspensions(path), path.stat().st_mode & 0o777) == (OwnSuspensions(suspensions=(one,)), 0o600)
    assert stops.index.of(parse("0312345678"))
    kept = stops.index
    with changing(path) as draft:
        draft.put(closed(one, DutyKind.CONTRACT_END, act(), date(2026, 12, 20), "D-1"))
    stops.refresh()
    assert stops.index is kept, "the same stops"
    for text in ("", "{", json.dumps({"format": 2}), '{"suspensions": [{"numbers": [[81312345678, 81312345678]]}]}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="is damaged") as error:
            StopsInUse(path)
        assert "12345678" not in str(error.value)
        with pytest.raises(UsageError, match="is damaged"):
            stops.refresh()
        assert stops.index is kept, "what was read last stays in use"
