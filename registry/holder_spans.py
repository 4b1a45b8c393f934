"""Number intervals with their holders, for look-ups that touch as little memory as possible.

Most numbers were not looked up recently, so each memory access misses the processor's cache and takes as long as a
function call. A look-up reads one entry in a table of blocks and one in a page with the holder of each number in the
block.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from idtone.core.calls import Period
from idtone.core.number_spans import NumberSpan

BLOCK: Final = 1_000
"""Numbers per block: a tenth of the unit in which Japanese numbers are allotted. `AREA` and `HolderSpans.find` depend
on it.
"""
AREA: Final = 1_000
"""Blocks per area. All Japanese numbers are in some 1,500 areas."""
FEW: Final = 64
"""Maximum number of intervals in a block without a page. With this limit, a page takes at most three times the memory
of its intervals.
"""


@dataclass(frozen=True, slots=True)
class HolderSpans:
    """Ascending number intervals, disjoint or equal, with their holders. Of equal intervals, the last one counts.

    `areas` maps each area to the start of its blocks in `blocks`. A block is 0 if no interval touches it. It is `-n` if
    the first interval that touches it has the number `n`, counted from 1. Otherwise, it is an index into `pages`, which
    has 0 or the holder + 1 for each number in the block.
    """

    firsts: array[int]
    lasts: array[int]
    holders: array[int]
    areas: Mapping[int, int]
    blocks: array[int]
    pages: array[int]

    def find(self, number: int) -> int:
        """The number's holder plus 1, or 0 if it has no holder."""
        area = self.areas.get(number // 1_000_000)
        if area is None:
            return 0
        place = self.blocks[area + number // 1_000 % 1_000]
        if place > 0:
            return self.pages[place + number % 1_000]
        return self._search(number, -1 - place) if place else 0

    def _search(self, number: int, start: int) -> int:
        # Few intervals touch the block, and those after it are larger: to look at them too changes nothing.
        at = bisect_right(self.firsts, number, start, min(start + FEW, len(self.firsts))) - 1
        return self.holders[at] + 1 if at >= start and number <= self.lasts[at] else 0

    def holder(self, number: int) -> int | None:
        """The number's holder, or None."""
        found = self.find(number)
        return found - 1 if found else None

    def touched_blocks(self) -> set[int]:
        """Blocks touched by intervals, as numbers without their last three digits."""
        ends = zip(self.firsts, self.lasts, strict=True)
        return {block for first, last in ends for block in range(first // BLOCK, last // BLOCK + 1)}

    def held(self, periods: Mapping[int, Collection[Period]]) -> Iterator[tuple[NumberSpan, Period]]:
        """Intervals of the given holders, in ascending order, with each of the holder's periods."""
        for first, last, each in zip(self.firsts, self.lasts, self.holders, strict=True):
            for period in periods.get(each, ()):
                yield NumberSpan(first, last), period

    def arrays(self) -> list[array[int]]:
        """Arrays of the intervals, for `read_arrays`."""
        areas = array("q", (value for pair in self.areas.items() for value in pair))
        return [self.firsts, self.lasts, self.holders, areas, self.blocks, self.pages]


def read_arrays(arrays: Iterator[array[int]]) -> HolderSpans:
    """Rebuild the intervals from `HolderSpans.arrays`. Raises ValueError if arrays are missing."""
    try:
        firsts, lasts, holders, areas, blocks, pages = (next(arrays) for _ in range(6))
    except RuntimeError as error:
        raise ValueError("arrays are missing") from error
    return HolderSpans(firsts, lasts, holders, dict(zip(areas[::2], areas[1::2], strict=True)), blocks, pages)


def spans_of(firsts: array[int], lasts: array[int], holders: Sequence[int]) -> HolderSpans:
    """Build a look-up table from intervals, which must be ascending and either disjoint or equal."""
    touching: dict[int, tuple[int, int]] = {}
    for at, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        for block in range(first // BLOCK, last // BLOCK + 1):
            touching[block] = (touching.get(block, (at, at))[0], at + 1)
    areas: dict[int, int] = {}
    blocks, pages = array("i"), array("H" if max(holders, default=0) < 0xFFFF else "i", [0])
    for block, (start, end) in touching.items():
        area, at = divmod(block, AREA)
        if area not in areas:
            areas[area] = len(blocks)
            blocks.extend(array("i", [0]) * AREA)
        blocks[areas[area] + at] = -1 - start if end - start <= FEW else len(pages)
        if end - start > FEW:
            page = array(pages.typecode, [0]) * BLOCK
            for place in range(start, end):
                begin, stop = max(firsts[place] - block * BLOCK, 0), min(lasts[place] + 1 - block * BLOCK, BLOCK)
                page[begin:stop] = array(pages.typecode, [holders[place] + 1]) * (stop - begin)
            pages.extend(page)
    return HolderSpans(firsts, lasts, array("i", holders), areas, blocks, pages)
