"""The numbers that each line may present: cases in a table, and a comparison of the index with a naive search."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from idtone.core.calls import Direction, Reason
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number, NumberKind, parse
from idtone.registry.customer_lines.consistency import entry_faults
from idtone.registry.customer_lines.index import LinesIndex, NoLines, compile_lines
from idtone.registry.customer_lines.lines_document import ALWAYS, Entry
from lab.registry.customer_lines.line_tables import DAY, GOOD, NOW, call, index_of

ANOTHERS, UNKNOWN = Reason.NUMBER_OF_ANOTHER_CUSTOMER, Reason.LINE_UNKNOWN
DAY_BEGINS = datetime(2026, 11, 9, 15, tzinfo=UTC)
"""2026-11-10 in Japan."""


@pytest.mark.parametrize(
    ("number", "endpoint", "account", "at", "reason", "customer"),
    [
        ("0312345678", "6001", "", NOW, None, "c-1"),
        ("+81312345678", "6002", "", NOW, None, "c-1"),
        ("0312345600", "6001", "", NOW, None, "c-1"),
        ("0312345609", "6001", "", NOW, None, "c-1"),
        ("0312345610", "6001", "", NOW, ANOTHERS, "c-1"),
        ("0312345599", "6001", "", NOW, ANOTHERS, "c-1"),
        ("0612345000", "6001", "", NOW, None, "c-1"),
        ("0612345999", "6001", "", NOW, None, "c-1"),
        ("0612346000", "6001", "", NOW, ANOTHERS, "c-1"),
        ("0751234567", "6001", "", NOW, ANOTHERS, "c-1"),  # another customer's
        ("", "6001", "", NOW, ANOTHERS, "c-1"),
        ("+12125550123", "6001", "", NOW, ANOTHERS, "c-1"),
        ("0312345678", "", "acme", NOW, None, "c-1"),  # the operator's own Dial() knows the account code alone
        ("0312345678", "0312@from-internal", "acme", NOW, None, "c-1"),
        ("0312345678", "6401", "acme", NOW, ANOTHERS, "c-4"),  # the endpoint decides if the table has it
        ("0312345678", "trunk", "", NOW, UNKNOWN, None),
        ("0312345678", "", "", NOW, UNKNOWN, None),
        ("0312345678", "acme", "6001", NOW, UNKNOWN, None),  # names of one kind are not those of the other
        ("0751234567", "pbx-kyoto", "", DAY_BEGINS - timedelta(seconds=1), None, "c-2"),
        ("0751234567", "pbx-kyoto", "", DAY_BEGINS, None, "c-3"),
        ("0751234567", "pbx-kyoto", "", NOW - 400 * DAY, ANOTHERS, None),
        ("0312345678", "pbx-kyoto", "", DAY_BEGINS, ANOTHERS, "c-3"),
        ("0451234501", "6401", "", NOW, None, "c-4"),
        ("0451234500", "6401", "", NOW, None, "c-4"),  # the customer's numbers are all its lines'
        ("0451234569", "", "tenant-4", NOW, None, "c-4"),
        ("0451234501", "", "tenant-4", NOW, ANOTHERS, "c-4"),  # only of that endpoint
        ("0221234567", "old-line", "", NOW, None, None),
        ("0221234568", "old-line", "", NOW, ANOTHERS, None),
    ],
)
def test_a_line_presents_its_own_numbers_alone(number, endpoint, account, at, reason, customer):
    index = index_of(GOOD)
    for each in (index, LinesIndex.unpack(index.pack())):
        assert each.presentation(call(number, endpoint, account), at) == (reason, customer)


def test_an_incoming_call_comes_by_a_trunk_and_is_a_call_of_the_numbers_customer():
    index = index_of(GOOD)
    for number, customer in (("0312345678", "c-1"), ("0451234569", "c-4"), ("0221234567", None), ("0399999999", None)):
        assert index.presentation(call(number, "trunk", "", Direction.INCOMING), NOW) == (None, customer)


def test_without_a_table_no_number_may_be_presented():
    assert NoLines().presentation(call("0312345678", "6001"), NOW) == (Reason.LINES_MISSING, None)
    assert NoLines().presentation(call("0312345678", "trunk", "", Direction.INCOMING), NOW) == (None, None)


def test_totals():
    assert index_of(GOOD).totals == (4, 7, 1 + 10 + 1000 + 1 + 1 + 11 + 1, 7, 4)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_changed_octets_are_refused(data):
    octets = index_of(GOOD).pack()
    at = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(ValueError, match="table of lines"):
        LinesIndex.unpack(octets[:at] + bytes([octets[at] ^ data.draw(st.integers(1, 255))]) + octets[at + 1 :])
    with pytest.raises(ValueError, match="table of lines"):
        LinesIndex.unpack(octets[:at])


FIRST = 81312345600
SPAN = st.builds(
    lambda first, length: NumberSpan(FIRST + first, FIRST + first + length), st.integers(0, 30), st.integers(0, 12)
)
PERIOD = st.sampled_from([ALWAYS, (0, 100), (100, 200), (50, 150), (ALWAYS[0], 100), (100, ALWAYS[1])])
NAMES = st.lists(st.sampled_from("abcd"), max_size=2, unique=True).map(tuple)
ENTRY = st.builds(
    Entry,
    st.sampled_from([None, "c-1", "c-2", "c-3"]),
    NAMES,
    NAMES,
    st.lists(SPAN, max_size=3).map(tuple),
    PERIOD,
    st.booleans(),
)


def naive(entries: list[Entry], number: int, endpoint: str, account: str, at: int) -> tuple[Reason | None, str | None]:
    """The correct answer, from a search of all entries."""
    of_line = [entry for entry in entries if endpoint in entry.endpoints]
    if not of_line:
        of_line = [entry for entry in entries if account in entry.accounts]
    if not of_line:
        return UNKNOWN, None
    customers = {entry.customer for entry in of_line if entry.customer}
    of_line += [entry for entry in entries if entry.customer in customers and not entry.names_lines]
    of_line = [entry for entry in of_line if entry.period[0] <= at < entry.period[1]]
    for entry in of_line:
        if any(number in span for span in entry.spans):
            return None, entry.customer
    return ANOTHERS, None


@given(
    st.lists(ENTRY, max_size=6), st.integers(FIRST - 2, FIRST + 45), st.sampled_from(["", *"abcd"]),
    st.sampled_from(["", *"abcd"]), st.sampled_from([0, 49, 50, 99, 100, 149, 150, 199, 200]),
)  # fmt: skip
def test_the_index_answers_like_one_who_reads_every_entry(entries, number, endpoint, account, at):
    assume(not list(entry_faults(entries)))
    index = compile_lines(entries)
    asked = call(f"+{number}", endpoint, account)
    moment = datetime.fromtimestamp(at, UTC)
    reason, customer = index.presentation(asked, moment)
    expected, of_entry = naive(entries, number, endpoint, account, at)
    assert reason == expected
    if reason is None and of_entry:
        named = {entry.customer for entry in entries if any(number in span for span in entry.spans)}
        assert customer in named
    holders = {
        entry.customer
        for entry in entries
        if entry.customer and any(number in span for span in entry.spans) and entry.period[0] <= at < entry.period[1]
    }
    assert index.customer_of(parse(f"+{number}"), moment) == (holders.pop() if holders else None)
    assert not holders, "the rules give each number to one customer at a time"


def test_an_emergency_number_is_no_line_s():
    assert index_of(GOOD).customer_of(Number(NumberKind.EMERGENCY, "110"), NOW) is None
