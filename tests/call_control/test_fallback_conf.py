"""The text of the fallback file."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idtone import dialplan
from idtone.call_control.fallback_conf import End, end_of, read_remembered, render
from idtone.call_control.fallback_keeper import write_durably
from idtone.core.calls import Period, Suspension
from idtone.core.decision import never_originates
from idtone.core.decision import suspended as stopped_at
from idtone.core.errors import FallbackError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number, NumberKind
from idtone.registry.number_notation import read_span

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
SPAN = read_span("0312345677")

START, DAY = int(SINCE.timestamp()), timedelta(days=1)

instants = st.integers(1, 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def test_the_text():
    """The file does not contain the references of the police."""
    suspended = [(SPAN, Suspension(SINCE, reference="R-1")), (read_span("0612345*"), Suspension(SINCE, SINCE + DAY))]
    entries = [
        f"81312345677 = {START}",
        f"81612345xxx = {START}:{START + 86_400}",
        "[own]",
        "813123456xx = 0",
    ]
    own = [
        (read_span("0312345600-0312345699"), Period()),
        (SPAN, Period(SINCE)),
        (read_span("0312345678"), Period(until=SINCE)),
    ]
    text = render(suspended, own[:1], End(7, "abc", "def", by_line=True))
    first, *lines = text.splitlines()
    digest = hashlib.sha256("\n".join((first, "[suspended]", *entries, "")).encode()).hexdigest()
    assert lines == [
        "[suspended]", *entries, "[end]", "registry = 7", "origin = abc", "usable = def",
        "lines = yes", f"sha256 = {digest}", "complete = yes",
    ]  # fmt: skip
    assert end_of(text.encode()) == End(7, "abc", "def", by_line=True)
    assert end_of(render([], None).encode()) == End(0, "")
    assert f"[own]\n81312345677 = {START}\n81312345678 = 0:{START}\n[end]" in render([], own[1:])
    assert "[own]\nall = yes\n[end]" in render([], None)
    assert "[own]\n[end]" in render([], [])


def test_no_file_that_was_cut_or_changed_is_whole():
    octets = render([(SPAN, Suspension(SINCE))], None, End(7, "abc")).encode()
    for length in range(len(octets)):
        assert end_of(octets[:length]) is None, octets[:length]
    begin = octets.index(b"sha256 = ")
    for at in (octets.index(b"81312345677"), octets.index(b"[suspended]"), begin + 10):
        assert end_of(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]) is None, at
    for more in (b"\n", b"[suspended]\n"):
        assert end_of(octets + more) is None


@pytest.mark.parametrize(
    ("entries", "written"),
    [
        ([("0312345600-0312345699", 0, None)], {"813123456xx": "0"}),
        ([(f"031234560{n}", 0, None) for n in range(10)], {"8131234560x": "0"}),
        (
            [("0312345598-0312345610", 0, 9)],
            {"81312345598": "0:9", "81312345599": "0:9", "8131234560x": "0:9", "81312345610": "0:9"},
        ),
        ([("0312345677", 0, 5), ("0312345677", 7, None)], {"81312345677": "0:5/7"}),
        ([("0312345677", 0, 5), ("0312345677", 3, 9)], {"81312345677": "0:9"}),
        ([("031234567*", 0, 5), ("0312345670-0312345678", 3, 9), ("0312345679", 1, 9)], {"8131234567x": "0:9"}),
        ([("0312345677", 0.9, 4.1)], {"81312345677": "0:5"}),
        ([("0312345677", -10**9, 5)], {"81312345677": "0:5"}),
    ],
    ids=["a range", "neighbours", "an odd range", "twice", "overlapping", "nested", "fractions", "before 1970"],
)  # fmt: skip
def test_the_fewest_entries_with_their_times(entries, written):
    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)

    placed = [(read_span(text), Suspension(at(since) or SINCE, at(until))) for text, since, until in entries]
    placed.sort(key=lambda each: each[0].first)
    lines = render(placed, []).partition("[suspended]\n")[2].partition("[own]\n")[0].splitlines()
    assert dict(line.split(" = ") for line in lines) == written


periods = st.tuples(instants, st.none() | st.integers(1, 10**8).map(lambda seconds: timedelta(seconds=seconds)))
spans = st.tuples(st.integers(81312345000, 81312345999), st.integers(0, 120)).map(
    lambda pair: NumberSpan(pair[0], pair[0] + pair[1])
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(spans, periods), max_size=8), st.integers(81312344990, 81312346130), instants)
def test_what_is_written_and_read_again_suspends_the_same_numbers_at_the_same_times(tmp_path, suspended, number, other):
    placed = [(span, Suspension(since, None if lasts is None else since + lasts)) for span, (since, lasts) in suspended]
    placed.sort(key=lambda each: each[0].first)
    text = render(placed, [(span, Period(each.since, each.until)) for span, each in placed])
    assert text.isascii()
    write_durably(tmp_path, text)
    moments = [other, *(at for _, each in placed for at in (each.since, each.until) if at)]
    for now in moments:
        found = stopped_at([Number(NumberKind.FIXED, f"+{number}")], None, now, read_remembered(tmp_path))
        expected = any(number in span and each.in_force(now) for span, each in placed)
        assert bool(found) == expected
        assert read_remembered(tmp_path).may_use([Number(NumberKind.FIXED, f"+{number}")], now) == expected


@pytest.mark.parametrize(
    "text",
    ["", "[suspended]\n8131 = 1\n", "no section", render([(SPAN, Suspension(SINCE))], [])[:-9], render([], [])[:-1]],
)
def test_a_file_that_is_not_whole_is_an_error_with_its_remedy(tmp_path, text):
    (tmp_path / dialplan.FALLBACK_FILE).write_text(text)
    with pytest.raises(FallbackError, match="make the registry available"):
        read_remembered(tmp_path)


def test_numbers_that_never_originate_are_in_sections_by_their_last_digits():
    """The sections are short because Asterisk searches a section entry by entry."""
    never = [
        (read_span("0312345677"), Period(SINCE)),
        (read_span("0335810110"), Period(SINCE, SINCE + DAY)),
        (read_span("0451230677"), Period(SINCE)),
        (read_span("0612677*"), Period(SINCE)),
    ]
    text = render([(SPAN, Suspension(SINCE))], [], End(7, "abc"), never)
    assert text.partition("[suspended]\n")[2].partition("[end]\n")[0].splitlines() == [
        f"81312345677 = {START}",
        "[never-originates]", "entries = 4",
        "[never-originates-110]", f"81335810110 = {START}:{START + 86_400}",
        "[never-originates-677]", f"81312345677 = {START}", f"81451230677 = {START}", f"81612677xxx = {START}",
        "[own]",
    ]  # fmt: skip
    assert end_of(text.encode()) == End(7, "abc")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(spans, periods), max_size=8), st.integers(81312344990, 81312346130), instants)
def test_what_never_originates_is_remembered_apart_from_suspensions(tmp_path, listed, number, other):
    placed = [(span, Period(since, None if lasts is None else since + lasts)) for span, (since, lasts) in listed]
    write_durably(
        tmp_path, render([(SPAN, Suspension(SINCE))], [], never=sorted(placed, key=lambda each: each[0].first))
    )
    asked = [Number(NumberKind.FIXED, f"+{number}")]
    for now in [other, *(at for _, each in placed for at in (each.since, each.until) if at)]:
        known = read_remembered(tmp_path)
        assert never_originates(asked, None, now, known) == any(
            number in span and each.in_force(now) for span, each in placed
        )
        assert bool(stopped_at(asked, None, now, known)) == (number in SPAN and now >= SINCE)
