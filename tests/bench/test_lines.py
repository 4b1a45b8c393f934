"""The bench of the table of lines measures what it says."""

from __future__ import annotations

from datetime import UTC, datetime

from bench import lines
from bench.lines import calls_of, entries, measure
from idtone.core.calls import Reason
from idtone.registry.lines.index import compiled


def test_its_calls_get_these_answers():
    made = list(entries(10_000, 100, 10))
    index, now = compiled(made), datetime.now(UTC)
    answers = {
        way: {
            index.presenting(call, now)[0] for call in calls if way != "another's number" or _is_anothers(index, call)
        }
        for way, calls in calls_of(made).items()
    }
    assert answers == {
        "own number": {None},
        "own number, by account code": {None},
        "another's number": {Reason.NUMBER_OF_ANOTHER_CUSTOMER},
        "unknown line": {Reason.LINE_UNKNOWN},
        "incoming": {None},
    }


def _is_anothers(index, call) -> bool:
    now = datetime.now(UTC)
    return index.customer_of(call.forwarding_number, now) != index.customer_of_line(call.endpoint, call.account, now)


def test_it_measures(monkeypatch):
    monkeypatch.setattr(lines, "ROUNDS", 1)
    found = measure(10_000, 100)
    assert found["table"]["octets_mb"] > 0
    assert all(figures["with_us"] > 0 for name, figures in found.items() if "with_us" in figures)
