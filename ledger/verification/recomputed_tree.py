"""The Merkle tree, recomputed from the ledger's steps page by page.

A page that matches takes less than half the time of a check step by step. If a page differs or is unusual,
`verify_ledger` checks its steps one by one.

The database makes the texts of the steps, and different rows must not give the same text. Therefore node and kind are
known values, and `at` and `id` are integers. A count shows that no step's details contain the text of another step.
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
"""The start of each step's text. Details cannot contain it, because they contain no objects."""
_DAY: Final = re.compile(r'"day":"([^"\\]*)"')


def _holds(leaf: bytes, steps: int) -> bool:
    """True if the leaf has exactly `steps` steps.

    Counting brackets is fast and nearly always suffices.
    """
    return leaf.count(b"{") == 1 + 2 * steps or leaf.count(BEGINS) == steps


class _Closed(NamedTuple):
    """A call that a step closes, with the texts of its steps.

    `digits` is set if the call begins with an opening step.
    """

    number: int
    leaf: int
    call_id: str
    texts: list[str]
    digits: set[str] | None


@dataclass
class RecomputedTree:
    """The Merkle tree of the steps that were read so far."""

    entries: EntrySum
    """The entries that the table `sought` should have."""
    roots: dict[int, bytes]
    """Wanted size → the root of the tree at that size, as soon as the tree has reached it."""
    frontier: Frontier = field(default_factory=Frontier)
    calls: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The texts of the steps of calls that are in no leaf yet."""
    digits: dict[str, set[str]] = field(default_factory=dict)
    """The search keys of calls that begin with one of `leaves.OPENING`."""
    more_digits: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The search keys of calls that begin with another step."""
    days: dict[str, SealedNumbers] = field(default_factory=dict)
    """Day whose key seals numbers → the first of these numbers."""
    node: str = ""
    """The node that wrote the latest steps."""
    shapes: LeafShapes = field(default_factory=LeafShapes)
    _day: str = "?"

    def grow(self, frontier: Frontier, leaves: Sequence[bytes]) -> list[bytes]:
        """Append leaf hashes to `frontier`, note the wanted roots, and return the new hashes."""
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

        Returns False, without any change, if the steps need a check one by one.
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

        False for anything unusual.
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

        False if the stored hashes differ, or if an index does not lead to the steps.
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
