"""The bench of the table of lines measures what it says."""

from datetime import UTC, datetime

from bench import customer_lines
from bench.customer_lines import calls_of, make_entries, measure, with_policies
from bench.large_registry import registry_text
from idtone.core.calls import Reason
from idtone.core.decision import decide
from idtone.registry.customer_lines.index import compile_lines
from idtone.registry.index import RegistryIndex
from idtone.registry.parsers import parse_registry


def test_its_calls_get_these_answers():
    made = list(make_entries(10_000, 100, 10))
    index, now = compile_lines(made), datetime.now(UTC)
    answers = {
        way: {
            index.presentation(call, now)[0] for call in calls if way != "another's number" or _is_anothers(index, call)
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


def test_its_own_calls_are_licensed():
    made, now = list(make_entries(10_000, 100, 10)), datetime.now(UTC)
    index = compile_lines(made)
    registry = RegistryIndex(parse_registry(registry_text(10_000, 10), "registry.yaml"))
    for way in ("own number", "incoming"):
        placed = with_policies(registry, calls_of(made)[way], now)
        reasons = {decide(call, registry, policy, now, lines=index).reason for call, policy in placed[:100]}
        assert reasons == {Reason.LICENCE_VALID}, way


def _is_anothers(index, call) -> bool:
    now = datetime.now(UTC)
    return index.customer_of(call.forwarding_number, now) != index.customer_of_line(call.endpoint, call.account, now)


def test_it_measures(monkeypatch):
    monkeypatch.setattr(customer_lines, "ROUNDS", 1)
    found = measure(10_000, 100)
    assert found["table"]["octets_mb"] > 0
    assert all(figures["with_us"] > 0 for name, figures in found.items() if "with_us" in figures)
