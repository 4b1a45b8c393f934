"""The calls that `make bench-numbers` offers, and the results that it counts as wrong."""

from collections import Counter
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from bench.presented_calls import (
    CALLER,
    CONNECTED,
    GROUPS,
    KINDS,
    LINE,
    REFUSED,
    OfferedCall,
    draw_calls,
    registry_text,
)
from bench.presented_number_check import AWAY, UP, ObservedCall, PresentedHeaders, find_fault
from idtone.core.numbers import parse
from idtone.registry.sources import parse_document
from lab.spellings import OUT_OF_ORDER, READABLE


@cache  # not when the file is read, which each worker does
def calls() -> list[OfferedCall]:
    return draw_calls(1, 600)


FEW = draw_calls(1, 60)


def test_each_kind_and_each_group_of_spellings_comes_and_each_call_is_what_it_says():
    assert {call.kind for call in calls()} == set(KINDS)
    assert {call.group for call in calls()} == set(GROUPS)
    assert len({call.dialled for call in calls()}) == len(calls())
    assert {(call.way, call.direction, call.interface) for call in calls() if call.kind == "own"} == {
        (way, direction, interface)
        for way in ("hook", "own-dial")
        for direction in ("incoming", "outgoing")
        for interface in ("ari", "agi")
    }
    for call in calls():
        if call.group in READABLE:
            assert parse(call.written).e164 == f"+81{call.number[1:]}", call
    assert sum(len(set(spell("05012345678"))) for spell in READABLE.values()) > 900
    parse_document(registry_text(datetime.now(UTC)), "registry.yaml")


@pytest.mark.parametrize("number", ["0312345678", "05012345678", "0120345678"])
def test_no_number_is_read_from_a_form_that_is_out_of_order(number):
    assert not [text for spell in OUT_OF_ORDER.values() for text in spell(number) if parse(text).e164]


def test_what_must_become_of_a_call():
    for call in calls():
        for is_away in (False, True):
            must = call.required_outcome(is_away)
            if call.group in OUT_OF_ORDER or call.kind in ("suspended", "never originates", CALLER, "ported away"):
                assert must == REFUSED
            if call.kind in (LINE, "another customer's", "random"):
                assert (must == REFUSED) >= (call.direction == "outgoing")
            if call.kind == "own":
                assert must == CONNECTED
    assert {
        call.required_outcome(False) for call in calls() if call.kind == "random" and call.direction == "incoming"
    } == {
        CONNECTED,
        REFUSED,
    }


def one(**wanted: str) -> OfferedCall:
    return next(call for call in FEW if all(getattr(call, name) == value for name, value in wanted.items()))


def record(**changes: Any) -> Any:
    return SimpleNamespace(
        **{"fallback": False, "reason": "r", "outcome": "PLAY", "status": "CONNECTED", "complete": True} | changes
    )


OUT = one(kind="own", direction="outgoing", way="hook")
IN = one(kind="own", direction="incoming", way="hook")
DIAL = one(kind="own", direction="outgoing", way="own-dial")
NOT_OURS = one(kind="another member's", direction="outgoing", way="hook")
CHECKED = PresentedHeaders(OUT.number, (OUT.number, f"+81{OUT.number[1:]}"), "", "")
REJECTED = record(outcome="REFUSE", status="REFUSED")
POLICE = "0335810110"


@pytest.mark.parametrize(
    ("call", "status", "shown", "records", "problem"),
    [
        (OUT, "200", CHECKED, [record()], ""),
        (OUT, "200", CHECKED, [record(fallback=True)], "was decided without the service"),
        (OUT, "200", CHECKED, [], "0 records"),
        (OUT, "200", CHECKED, [record(complete=False)], "complete: False"),
        (OUT, "200", CHECKED, [REJECTED], "its record says REFUSE"),
        (OUT, "200", None, [record()], "did not arrive"),
        (
            OUT,
            "200",
            PresentedHeaders(POLICE, (OUT.number, OUT.number), "", ""),
            [record()],
            "instead of the checked number",
        ),
        (
            OUT,
            "200",
            PresentedHeaders(OUT.number, (OUT.number, POLICE), "", ""),
            [record()],
            "instead of the checked number",
        ),
        (OUT, "200", PresentedHeaders(OUT.number, (), "", ""), [record()], "instead of the checked number"),
        (
            OUT,
            "200",
            PresentedHeaders(OUT.number, CHECKED.identities, POLICE, ""),
            [record()],
            "instead of the checked number",
        ),
        (OUT, "403", None, [REJECTED], "must be connected"),
        (OUT, None, None, [], "has no end"),
        (IN, "200", PresentedHeaders(IN.shows, (IN.shows,) * 2, IN.number, f"+81{IN.number[1:]}"), [record()], ""),
        (IN, "200", PresentedHeaders(IN.shows, (IN.shows,) * 2, POLICE, IN.number), [record()], "was diverted by"),
        (IN, "200", PresentedHeaders(POLICE, (POLICE,) * 2, IN.number, IN.number), [record()], "what its caller shows"),
        (DIAL, "200", PresentedHeaders(DIAL.shows, (DIAL.shows,) * 2, "", ""), [record()], ""),
        (DIAL, "200", PresentedHeaders(POLICE, (DIAL.shows,) * 2, "", ""), [record()], "what its caller shows"),
        (NOT_OURS, "403", None, [REJECTED], ""),
        (NOT_OURS, "403", PresentedHeaders(POLICE, (), "", ""), [REJECTED], "arrived"),
        (NOT_OURS, "200", CHECKED, [record()], "must be refused"),
    ],
)
def test_what_is_wrong(call, status, shown, records, problem):
    seen = ObservedCall({call.name: status} if status else {}, {call.name: shown} if shown else {})
    found = find_fault(call, UP, seen, records)
    assert (problem in found) if problem else not found


def test_a_call_that_came_in_for_a_number_of_no_member_is_refused_without_the_service_alone():
    call = next(
        each
        for each in calls()
        if each.kind == "random" and each.required_outcome(False) != each.required_outcome(True)
    )
    refused, alone = ObservedCall({call.name: "403"}), record(outcome="REFUSE", status="REFUSED", fallback=True)
    assert not find_fault(call, AWAY, refused, [alone])
    assert "must be connected" in find_fault(call, AWAY, refused, [REJECTED])
    assert (
        Counter(each.required_outcome(True) for each in calls())[REFUSED]
        > Counter(each.required_outcome(False) for each in calls())[REFUSED]
    )
