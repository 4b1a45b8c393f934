"""The look-up of intervals, compared with a list of all their numbers."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.registry.holder_spans import BLOCK, FEW, HolderSpans, read_arrays, spans_of

BEGIN = 81312344900
intervals = st.lists(
    st.tuples(
        st.integers(1, 3) | st.integers(1, 2 * BLOCK), st.integers(1, 2) | st.integers(1, 1_500), st.integers(0, 3)
    ),
    max_size=12,
)
crowds = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(0, 70_000)), max_size=3 * FEW)
"""Strategy of intervals that are so many, and so close together, that blocks need pages."""


def looked_up(parts: list[tuple[int, int, int]]) -> tuple[HolderSpans, dict[int, int], int]:
    """The look-up of these intervals; number → holder; and the last number. An interval is given by its distance from
    the one before, its length and its holder.
    """
    firsts, lasts, holders, at = array("q"), array("q"), array("i"), BEGIN
    held: dict[int, int] = {}
    for gap, length, holder in parts:
        firsts.append(at + gap - 1)
        lasts.append(at + gap + length - 2)
        holders.append(holder)
        held |= dict.fromkeys(range(firsts[-1], lasts[-1] + 1), holder)
        at = lasts[-1] + 1
    return spans_of(firsts, lasts, holders), held, at


@given(intervals | crowds)
@settings(max_examples=40, deadline=None)
def test_each_number_has_the_holder_of_its_interval(parts):
    spans, held, last = looked_up(parts)
    again = read_arrays(iter(spans.arrays()))
    assert again == spans
    for number in (*range(BEGIN - 3, last + 3), BEGIN - 1_000_000, last + 1_000_000, 110, 815012345678):
        assert again.holder(number) == held.get(number), number
    assert spans.touched_blocks() == {number // BLOCK for number in held}


@pytest.mark.parametrize(("count", "pages"), [(FEW, 0), (FEW + 1, 1)])
def test_a_block_with_many_intervals_has_a_page(count, pages):
    spans, held, _ = looked_up([(101, 1, 0), *[(2, 1, 7)] * (count - 1)])
    assert len(spans.pages) == 1 + pages * BLOCK
    assert [spans.holder(number) for number in held] == list(held.values())


def test_of_equal_intervals_the_last_counts():
    for count in (2, FEW + 1):
        numbers = array("q", [BEGIN] * count)
        assert spans_of(numbers, numbers, range(count)).holder(BEGIN) == count - 1


def test_arrays_are_missing():
    with pytest.raises(ValueError, match="arrays are missing"):
        read_arrays(iter([array("q")]))
