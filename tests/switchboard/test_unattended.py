"""A line of the hook as evidence, whatever stands in it."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.calls import Direction, Outcome, Reason
from idtone.errors import LedgerError
from idtone.ledger.records import fold
from idtone.ledger.steps import CallStatus, Role, StepKind
from idtone.numbers import parse
from idtone.switchboard.unattended import LONGEST_LINE, blotted, pieces, read

BEGAN, ENDED = "1795564585.000001", "1795564590.250000"
NUMBER, CALLER, CALLED = "0312345678", "09012345679", "05031234567"
ACTED = f"179.1-1,{BEGAN},{NUMBER},outgoing,{CALLED},PJSIP%2F101%40trunk,{CALLER},NOTICE,service-unavailable,called"
OVER = f"{ACTED},{ENDED},CONNECTED,16,called"


def replaced(line: str, field: int, value: str) -> str:
    fields = line.split(",")
    fields[field] = value
    return ",".join(fields)


def test_a_call_that_was_handled_alone() -> None:
    unattended, ended = read(OVER)
    assert (unattended,) == read(ACTED)
    assert unattended.at == datetime.fromtimestamp(1795564585, UTC).replace(microsecond=1)
    assert unattended.numbers == {
        Role.FORWARDING: parse(NUMBER), Role.CALLER: parse(CALLER), Role.CALLED: parse(CALLED),
    }  # fmt: skip
    record = fold("lab", [unattended, ended])
    assert (record.direction, record.outcome, record.reason) == ("outgoing", "NOTICE", "service-unavailable")
    assert (record.status, record.hangup_cause, record.heard_by) == ("CONNECTED", 16, ("called",))
    assert record.heard
    assert record.complete
    assert record.unattended
    assert not record.anomalies


def test_who_was_not_to_hear_it_did_not() -> None:
    record = fold("lab", read(replaced(OVER, 9, "none")))
    assert (record.heard_by, record.heard, record.profiles) == ((), False, {})
    both = replaced(replaced(OVER, 9, "both"), 13, "called")
    assert (fold("lab", read(both)).heard_by, fold("lab", read(both)).heard) == (("called",), False)
    assert fold("lab", read(replaced(both, 13, "calledcaller"))).heard


def test_the_called_number_is_in_the_dial_string_where_it_is_nowhere_else() -> None:
    line = replaced(replaced(OVER, 4, ""), 5, quote(f"PJSIP/{CALLED}@trunk", safe=""))
    assert read(line)[0].numbers[Role.CALLED] == parse(CALLED)
    assert read(replaced(OVER, 4, "110"))[0].details["called_last4"] == "110"


def test_who_gave_up_before_anybody_decided() -> None:
    line = f"179.1-1,{BEGAN},,,,,,,,none,{ENDED},CANCEL,16,"
    first, ended = read(line)
    assert (first.kind, first.numbers) == (StepKind.UNATTENDED, {})
    assert "outcome" not in first.details
    assert ended.details["status"] == CallStatus.CANCEL


def test_a_call_that_was_turned_away_ended_at_once() -> None:
    shed = f"179.1-1,{BEGAN},{NUMBER},,,,,SHED,overload,none,,REFUSED,42,"
    first, ended = read(shed)
    assert first.at == ended.at
    assert (first.details["outcome"], first.details["direction"]) == (Outcome.SHED, Direction.INCOMING)
    assert ended.details["hangup_cause"] == 42


@pytest.mark.parametrize(
    "line",
    [
        "", "x", ",".join([""] * 10), ",".join([""] * 14), ACTED[:-30], ACTED + OVER, f"{OVER},", f"{ACTED},",
        OVER.replace("outgoing", "a b"), OVER.replace("outgoing", "\0"), OVER.replace("outgoing", "�"),
        replaced(OVER, 0, ""), replaced(OVER, 0, f"{NUMBER * 30}-1"), replaced(OVER, 0, NUMBER),
        replaced(OVER, 1, "now"), replaced(OVER, 1, "99999999999.000000"), replaced(OVER, 1, ""),
        replaced(OVER, 7, "PLAY"), replaced(OVER, 7, ""), replaced(OVER, 8, "licence"), replaced(OVER, 8, ""),
        replaced(OVER, 7, "REFUSE").replace("service-unavailable", "licence-valid"), replaced(OVER, 8, "licence-valid"),
        replaced(OVER, 9, "everybody"), replaced(OVER, 10, "later"), replaced(OVER, 11, "WELL"), replaced(OVER, 11, ""),
        replaced(OVER, 5, "x" * LONGEST_LINE),
    ],
)  # fmt: skip
def test_what_the_hook_does_not_write_is_refused_without_a_word_of_it(line: str) -> None:
    with pytest.raises(LedgerError) as refused:
        read(line)
    assert NUMBER not in str(refused.value)
    assert CALLER not in str(refused.value)


def test_what_is_kept_of_a_line_that_cannot_be_read_has_no_number_in_it() -> None:
    assert blotted(f"1795564585.21-1,{NUMBER},０3\x85") == "1795564585.21-1,0000000000,?0?"
    assert (
        blotted(f"{NUMBER}1795564585.21-1,{quote('０３', safe='')}") == "00000000001795564585.21-1,%EF%BC%00%EF%BC%00"
    )


@pytest.mark.parametrize("second", [OVER, ACTED])
def test_a_line_that_was_written_behind_one_that_was_cut_off(second: str) -> None:
    second = second.replace("179.1-1", "1795564585.21-1")
    assert pieces(OVER[:50] + second) == (OVER[:50], second)
    assert pieces(OVER + second) == (OVER, second)
    assert pieces(f"{OVER[:50]}pbx-{second}") is None
    assert pieces(second) is None


FIELDS = st.text(st.characters(exclude_characters=",", exclude_categories=("Cs",)), max_size=40)


@given(st.lists(st.one_of(FIELDS, st.sampled_from([*OVER.split(","), *Outcome, *Reason, *CallStatus])), max_size=16))
def test_any_line_is_steps_or_one_error(fields: list[str]) -> None:
    try:
        steps = read(",".join(fields))
    except LedgerError:
        return
    assert [step.kind for step in steps] in ([StepKind.UNATTENDED], [StepKind.UNATTENDED, StepKind.ENDED])
    fold("lab", steps)


@given(st.sampled_from(range(2, 7)), st.text(max_size=60))
def test_whatever_came_from_outside_makes_a_record(field: int, text: str) -> None:
    line = replaced(OVER, field, quote(text, safe="", errors="replace"))
    assert fold("lab", read(line)).complete
