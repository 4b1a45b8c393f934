"""Recomputes the Merkle tree from the ledger's steps, page by page.

Checking a matching page takes less than half the time of checking its steps one by one. If a page differs or is
unusual, `verify_ledger` checks its steps one by one.

The database builds the steps' texts, and different rows must not produce the same text. Therefore, node and kind must
be known values, and `at` and `id` must be integers. A count shows that no step's details contain another step's text.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..evidence.leaf_rules import LeafShapes
from ..evidence.leaves import leaf, search_digits
from ..tree.merkle import Frontier, leaf_hash, stored_hashes
from .day_key_check import SealedNumbers
from .search_entry_check import EntrySum
from .verification_queries import LED_TO_LIMIT, OPENS, LedgerRows, Text

BEGINS: Final = b'{"at":'
"""The start of every step's text. Details cannot contain it, because they contain no objects."""
_DAY: Final = re.compile(r'"day":"([^"\\]*)"')


def _holds(leaf: bytes, steps: int) -> bool:
    """True if the leaf contains exactly `steps` steps.

    Counting brackets is fast and nearly always suffices.
    """
    return leaf.count(b"{") == 1 + 2 * steps or leaf.count(BEGINS) == steps


class _Closed(NamedTuple):
    """A call that was closed by a step, with its steps' texts.

    `digits` is set if the call begins with an opening step.
    """

    number: int
    leaf: int
    call_id: str
    texts: list[str]
    digits: set[str] | None


@dataclass
class RecomputedTree:
    """The Merkle tree over the steps read so far."""

    entries: EntrySum
    """Entries that the table `sought` should contain."""
    roots: dict[int, bytes]
    """Wanted size → the tree's root at that size, once the tree has reached it."""
    frontier: Frontier = field(default_factory=Frontier)
    calls: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Step texts for calls that are in no leaf yet."""
    digits: dict[str, set[str]] = field(default_factory=dict)
    """Search keys of calls that begin with one of `leaves.OPENING`."""
    more_digits: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Search keys of calls that begin with any other step."""
    days: dict[str, SealedNumbers] = field(default_factory=dict)
    """Day whose key seals numbers → the first numbers sealed with it."""
    node: str = ""
    """Node that wrote the latest steps."""
    shapes: LeafShapes = field(default_factory=LeafShapes)
    _day: str = "?"

    def grow(self, frontier: Frontier, leaves: Sequence[bytes]) -> list[bytes]:
        """Append leaf hashes to `frontier`, note any wanted roots, and return the new hashes."""
        made: list[bytes] = []
        begin = frontier.size
        end = begin + len(leaves)
        for size in sorted({end, *(size for size in self.roots if begin < size < end)}):
            made += frontier.extend(leaves[frontier.size - begin : size - begin])
            if size in self.roots:
                self.roots[size] = frontier.root()
        return made

    def match(self, rows: LedgerRows, after: int, until: int) -> bool:
        """Add the steps after `after` up to `until` if they match the stored tree.

        Returns False, without changing anything, if the steps must be checked one by one.
        """
        steps = rows.texts(after, until, self.node)
        closed: list[_Closed] = []
        ordinary = self._group(after, steps, closed) and not rows.missing_from_indexes(after, until)
        if ordinary and len(steps) == until - after and self._hashed(rows, closed, rows.index_counts(after, until)):
            return True
        self._ungroup(steps, closed)
        return False

    def _group(self, after: int, steps: Sequence[Text], closed: list[_Closed]) -> bool:
        """Add steps to their calls, and move finished calls to `closed`.

        Returns False if anything is unusual.
        """
        calls, digits = self.calls, self.digits
        ordinary = not self.more_digits
        for number, (index, call_id, text) in enumerate(steps, after + 1):
            texts = calls[call_id]
            texts.append(text)  # type: ignore[arg-type]  # is removed again if it is None
            if text is None:
                ordinary = False
            elif index is None:
                continue
            elif index == OPENS:
                if len(texts) == 1:
                    digits[call_id] = search_digits(text)
                    self.note_day(call_id, text)
                else:
                    ordinary = False
                continue
            if index is not None and index != OPENS:
                closed.append(_Closed(number, index, call_id, calls.pop(call_id), digits.pop(call_id, None)))
        return ordinary

    def _ungroup(self, steps: Sequence[Text], closed: list[_Closed]) -> None:
        for index, call_id, _ in reversed(steps):
            if index is not None and index != OPENS:
                was = closed.pop()
                self.calls[call_id] = was.texts
                if was.digits is not None:
                    self.digits[call_id] = was.digits
            self.calls[call_id].pop()
            if not self.calls[call_id]:
                del self.calls[call_id]
                self.digits.pop(call_id, None)

    def _hashed(self, rows: LedgerRows, closed: Sequence[_Closed], led_to: Sequence[tuple[int]] | None) -> bool:
        """Append the leaves of closed calls.

        Returns False if the stored hashes differ or if an index does not lead to the steps.
        """
        leaves: list[bytes] = []
        steps: list[tuple[int]] = []
        entries: list[str] = []
        for size, (number, index, call_id, texts, digits) in enumerate(closed, self.frontier.size):
            before = 0
            if digits is None or len(texts) == 1:
                before = rows.count_steps(call_id, number) - len(texts)
            if before + len(texts) >= LED_TO_LIMIT:
                return False
            data = leaf(call_id, texts, before)
            if index != size or not _holds(data, len(texts)) or not self.shapes.accept(data, call_id, before):
                return False
            leaves.append(leaf_hash(data))
            steps.append((before + len(texts),))
            if digits:
                closing = f"{number:016x}"
                entries += [each + closing for each in digits]
        if led_to not in (None, steps):
            return False
        frontier = self.frontier.copy()
        made = self.grow(frontier, leaves)
        if rows.hashes(stored_hashes(self.frontier.size), len(made)) != list(zip(made)):
            return False
        self.frontier = frontier
        self.entries.add(bytes.fromhex("".join(entries)))
        return True

    def note_day(self, call_id: str, text: str) -> None:
        """Note the days whose keys seal the numbers in a step's text."""
        if self._day not in text:
            for day in _DAY.findall(text):
                self.days.setdefault(day, SealedNumbers(call_id, text))
                self._day = f'"day":"{day}"'
