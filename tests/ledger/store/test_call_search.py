"""The search for calls. It finds the same calls as a look at every record, in both directions, however often it
stops.
"""

import itertools
from datetime import timedelta

import pytest

from idtone.core.calls import Outcome
from idtone.ledger.evidence.call_filter import CallFilter
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.store import call_search
from idtone.ledger.store.call_search import search_calls
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.ledger.sample_calls import calls_of_all_kinds
from lab.ledger.sample_ledger import write
from lab.nightly_tests import one_of_each

FILTERS = [
    CallFilter(),
    *(CallFilter(outcome=outcome) for outcome in Outcome),
    CallFilter(reason="service-unavailable"),
    CallFilter(direction="incoming"),
    CallFilter(licence='L-"\\%_'),
    CallFilter(licence="L-0001"),
    CallFilter(licence="L-%"),
    CallFilter(member="m-0002"),
    CallFilter(delivery="sent"),
    CallFilter(delivery="not-known"),
    CallFilter(fallback=True),
    CallFilter(fallback=False),
    CallFilter(odd=True),
    CallFilter(member="m-0001", delivery="not-known", fallback=False),
    CallFilter(outcome="NOTICE", delivery="not-known", fallback=True),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> LedgerReader:
    url = f"sqlite:///{tmp_path_factory.mktemp('search')}/ledger.sqlite3"
    write(url, calls_of_all_kinds())
    return LedgerReader.open(url)


@pytest.fixture(scope="module")
def records(reader: LedgerReader) -> list[Record]:
    """All calls, the newest first, for comparison with the search."""
    calls = [record for record in reader.each_record() if not record.call_id.startswith("act-")]
    ids = {row[0]: row[1] for row in reader._all("SELECT call_id, min(id) FROM steps GROUP BY call_id")}
    return sorted(calls, key=lambda record: (record.steps[0].at, ids[record.call_id]), reverse=True)


PARTS = [(1, 3, False), (4, 2, True), (7, 100, True), (320, 1, False)]
"""Parts of many sizes: the first steps, the limit, and whether a search stops at once."""


@pytest.mark.parametrize(("wanted", "parts"), one_of_each(FILTERS, PARTS, rest=pytest.mark.breadth), ids=str)
def test_it_finds_what_a_look_at_each_record_finds(reader, records, wanted, parts, monkeypatch):
    first, limit, stops = parts
    monkeypatch.setattr(call_search, "FIRST_STEPS", first)
    monkeypatch.setattr(call_search, "MOST_STEPS", 9)
    monkeypatch.setattr(call_search, "AT_ONCE", 2)
    expected = [record.call_id for record in records if wanted.accepts(record)]
    found: list[str] = []
    back: list[str] = []
    place, places = None, []
    for _ in itertools.count():
        part = search_calls(reader, wanted, place=place, limit=limit, enough=lambda: stops)
        found += [record.call_id for record in part.records]
        places += part.places
        if part.reached is None:
            break
        assert part.records or stops
        place = part.reached
    assert found == expected
    place = None
    for _ in itertools.count():
        part = search_calls(reader, wanted, place=place, newer=True, limit=limit, enough=lambda: stops)
        back = [record.call_id for record in part.records] + back
        if part.reached is None:
            break
        place = part.reached
    assert back == expected


def test_it_keeps_to_the_range(reader, records):
    moments = [record.steps[0].at for record in records]
    edges = sorted({*moments, max(moments) + timedelta(microseconds=1)})
    since, until = ((edges[0], edge) for edge in edges[1:]), ((edge, edges[-1]) for edge in edges[:-1])
    for start, end in (*itertools.pairwise(edges), *since, *until):
        expected = [record.call_id for record in records if start <= record.steps[0].at < end]
        for newer in (False, True):
            part = search_calls(reader, CallFilter(), start, end, newer=newer, limit=1000)
            assert [record.call_id for record in part.records] == expected
            assert part.reached is None


def test_what_is_rare_is_interpreted_alone(reader, monkeypatch):
    """Python reads only the records of rare calls, so a search skips the other calls quickly."""
    asked: list[str] = []
    whole = LedgerReader.records_of
    monkeypatch.setattr(
        LedgerReader, "records_of", lambda self, ids: asked.extend(ids) or whole(self, asked[-len(ids) :])
    )
    search_calls(reader, CallFilter(outcome="REFUSE"), limit=100)
    assert len(asked) == 3
    asked.clear()
    search_calls(reader, CallFilter(fallback=True), limit=100)
    assert {*asked} == {"alone", "late", "by-the-hook"}
