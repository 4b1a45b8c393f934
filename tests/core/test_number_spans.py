"""Overlapping spans cut into disjoint ones, and the patterns that cover them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.number_spans import NumberSpan, disjoint, patterns, patterns_of

spans = st.tuples(st.integers(81312344900, 81312346100), st.integers(0, 1500)).map(
    lambda pair: NumberSpan(pair[0], pair[0] + pair[1])
)


@pytest.mark.parametrize(
    ("first", "last", "written"),
    [
        (81312345678, 81312345678, ["81312345678"]),
        (81312345600, 81312345699, ["813123456xx"]),
        (81312345600, 81312345710, ["813123456xx", "8131234570x", "81312345710"]),
        (81300000000, 81300999999, ["81300xxxxxx"]),
        (81300000000, 81301999999, ["81300xxxxxx", "81301xxxxxx"]),
        (815012340000, 815012349999, ["81501234xxxx"]),
    ],
)
def test_patterns(first, last, written):
    assert list(patterns(NumberSpan(first, last))) == written


@settings(deadline=None)
@given(spans, st.integers(81312344900, 81312347600))
def test_a_number_has_a_pattern_exactly_if_the_span_has_the_number(span, number):
    assert bool(set(patterns(span)) & set(patterns_of(str(number)))) == (number in span)


@settings(deadline=None)
@given(st.lists(spans, max_size=8))
def test_disjoint_spans_have_the_items_of_the_spans_over_them(given):
    placed = [(span, place) for place, span in enumerate(sorted(given, key=lambda span: span.first))]
    cut = list(disjoint(placed))
    ends = [end for span, _ in cut for end in (span.first, span.last + 1)]
    assert ends == sorted(ends)
    for number in {end + near for span in given for end in (span.first, span.last) for near in (-1, 0, 1)}:
        found = [items for span, items in cut if number in span]
        assert found == ([over] if (over := tuple(place for span, place in placed if number in span)) else [])
