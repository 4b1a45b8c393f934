"""Look-ups of numbers in the index."""

import statistics
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.calls import Direction, Holding, LicenceStatus
from idtone.core.decision import Registry
from idtone.core.numbers import MALFORMED, WITHHELD, Number, NumberKind, parse
from idtone.registry.index import RegistryIndex
from idtone.registry.number_notation import read_span
from lab.core.fake_registry import NOW
from lab.registry.examples import GOOD, faults_of, index_of, with_numbers

JST = timezone(timedelta(hours=9))


@pytest.fixture(scope="module")
def index() -> RegistryIndex:
    return index_of(GOOD)


HELD_NUMBERS = [
    "0312345678", "+81 3 1234 5678",
    "0312345600", "0312345650", "0312345699",  # the range: first, inside, last
    "0612345000", "0612345500", "0612345999",  # the prefix: first, inside, last
]  # fmt: skip


def test_the_licences_of_the_holder(index):
    registry: Registry = index
    assert (registry.version, registry.expires) == (42, datetime(2036, 12, 1, tzinfo=JST))
    for text in HELD_NUMBERS:
        holding = index.holding(parse(text), NOW)
        assert holding, text
        [licence] = holding.licences
        assert (licence.id, licence.member, licence.tone) == ("L-0001", "m-0001", "sample")
        assert (licence.status, licence.directions) == (LicenceStatus.ACTIVE, frozenset(Direction))
        assert (licence.valid_from, licence.valid_until) == tuple(datetime(y, 1, 10, tzinfo=JST) for y in (2026, 2037))
        assert (holding.member, holding.chain) == ("m-0001", None)
    assert index.holding(parse("0312340001"), NOW) == Holding("m-0002", ()), "no licence"


def test_a_number_without_a_holder(index):
    texts = "0312345599 0312345700 0612344999 0612346000 06123450000 0312345 +12125551234 110 05012345678"
    for number in (*map(parse, texts.split()), WITHHELD, MALFORMED, Number(NumberKind.EMERGENCY, "110")):
        assert index.holding(number, NOW) is None, number
        assert index.suspensions_of(number) == ()


def test_suspensions_masters_and_no_number_in_a_repr(index):
    [suspension] = index.suspensions_of(parse("03-1234-5677"))
    assert (suspension.since, suspension.reference) == (datetime(2026, 3, 1, tzinfo=JST), "R-1")
    assert index.suspensions == (suspension,)
    assert index.suspensions_of(parse("0312345678")) == ()
    assert index.tones == {"sample": None}
    named = index_of(GOOD.replace("title: Sample sound", f"title: Sample sound, sha256: {'AB' * 32}"))
    assert named.tones == {"sample": "ab" * 32}
    assert repr(index) == "<RegistryIndex version 42>"
    assert "12345" not in repr(list(index.suspended_spans()))


SUSPENSIONS = """suspensions:
  - {number: "0312345677", since: 2026-03-01T00:00:00+09:00, reference: one}
  - {numbers: "0312345670-0312345679", since: 2026-03-01T00:00:00+09:00, reference: range}
  - {numbers: "0399999990-0400000009", since: 2026-03-01T00:00:00+09:00, reference: blocks}
  - {member: m-0002, since: 2026-03-01T00:00:00+09:00, reference: stock}
  - {member: m-0001, kind: no-new-numbers, since: 2026-03-01T00:00:00+09:00, reference: new}
"""


REFERENCES = {
    "0312345677": "one range", "0312345670": "range", "0312345678": "range", "0312345680": "", "0312345699": "",
    "0312340001": "stock", "0399999990": "blocks", "0400000009": "blocks", "0400000010": "",
}  # fmt: skip


@pytest.mark.parametrize(("number", "references"), REFERENCES.items())
def test_which_suspensions_a_number_has(number, references):
    index = index_of(GOOD.partition("suspensions:")[0] + SUSPENSIONS)
    assert sorted(each.reference for each in index.suspensions_of(parse(number))) == references.split()
    covering = [each.reference for span, each in index.suspended_spans() if int(parse(number).e164) in span]
    assert sorted(covering) == references.split(), "Asterisk gets the same"


spans = st.tuples(st.integers(9_990, 10_040), st.integers(0, 15)).map(
    lambda pair: f"031230{pair[0] % 10_000:04}" if not pair[1] else f"03123{pair[0]:05}-03123{pair[0] + pair[1]:05}"
)


@given(st.lists(st.lists(spans, max_size=5), min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_it_holds_exactly_the_numbers_of_the_file(members):
    text = with_numbers(*members)
    if faults_of(text):
        return
    index = index_of(text)
    held = {number for entries in members for entry in entries for number in _numbers(entry)}
    for number in range(81312309980, 81312310070):
        assert (index.holding(parse(f"+{number}"), NOW) is not None) == (number in held)


def _numbers(entry: str) -> range:
    span = read_span(entry)
    return range(span.first, span.last + 1)


def _median_ns(index: RegistryIndex, numbers: list[Number]) -> float:
    times = []
    for number in numbers:
        started = time.perf_counter_ns()
        index.holding(number, NOW)
        times.append(time.perf_counter_ns() - started)
    return statistics.median(times)


def test_a_look_up_takes_as_long_in_a_large_registry_as_in_a_small_one():
    small = index_of(with_numbers([f"03{10_000_000 + n}" for n in range(10)]))
    large = index_of(with_numbers([f"03{10_000_000 + 7 * n}" for n in range(20_000)]))
    few = [parse(f"03{10_000_000 + n % 10}") for n in range(1_000)]
    many = [parse(f"03{10_000_000 + 7 * 19 * n}") for n in range(1_000)]
    assert all(large.holding(number, NOW) is not None for number in many)
    ratio = min(_median_ns(large, many) for _ in range(5)) / min(_median_ns(small, few) for _ in range(5))
    assert ratio < 3  # 1.0 to 1.3 on an idle machine; a search through the list would give thousands
