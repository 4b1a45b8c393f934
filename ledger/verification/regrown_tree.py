"""The tree grown again from the steps, page by page, as long as all is as it was written.

A page that is proven to be so costs less than half of one that is looked at step by step (`verifying`), and the least
difference, or anything out of the ordinary, leaves it to that. Texts of steps come from the database ready made, so
what must not happen is that other rows give the same text. The quotes around a node and a kind are those of values that
are known, `at` and `id` are whole numbers; and that no step's details hold the text of another step is counted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..evidence.leaves import leaf, search_digits
from ..tree.merkle import Frontier, leaf_hash, stored
from .ledger_rows import OPENS, LedgerRows, Text
from .search_entries import EntrySum

BEGINS: Final = b'{"at":'
"""Begins the text of each step, and stands in no details: they hold no objects."""
_DAY: Final = re.compile(r'"day":"([^"\\]*)"')


def _holds(leaf: bytes, steps: int) -> bool:
    """The leaf is of so many steps, each of which begins in it: nearly always by its brackets, which is faster."""
    return leaf.count(b"{") == 1 + 2 * steps or leaf.count(BEGINS) == steps


class _Closed(NamedTuple):
    """A call that a step closes, and its texts; `digits` where it begins with one of `leaves.OPENING`."""

    number: int
    leaf: int
    call_id: str
    texts: list[str]
    digits: set[str] | None


@dataclass
class RegrownTree:
    """What has grown so far."""

    entries: EntrySum
    """What `sought` should hold."""
    roots: dict[int, bytes]
    """The sizes at which the root is wanted, and it, once it is reached."""
    frontier: Frontier = field(default_factory=Frontier)
    calls: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The texts of the steps of calls that are in no leaf yet."""
    digits: dict[str, set[str]] = field(default_factory=dict)
    """By what those of them are found that begin with one of `leaves.OPENING`."""
    more_digits: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By what others are found."""
    days: set[str] = field(default_factory=set)
    node: str = ""
    """Where the latest steps were written."""
    _day: str = "?"

    def grow(self, frontier: Frontier, leaves: Sequence[bytes]) -> list[bytes]:
        """Let the frontier grow by leaves with these hashes, and note roots; what the list of hashes grows by."""
        made: list[bytes] = []
        begin = frontier.size
        end = begin + len(leaves)
        for size in sorted({end, *(size for size in self.roots if begin < size < end)}):
            made += frontier.extend(leaves[frontier.size - begin : size - begin])
            if size in self.roots:
                self.roots[size] = frontier.root()
        return made

    def match(self, rows: LedgerRows, after: int, until: int) -> bool:
        """Go on with the steps after `after` up to `until`; False where that needs a closer look: all is as before."""
        steps = rows.texts(after, until, self.node)
        closed: list[_Closed] = []
        ordinary = self._group(after, steps, closed)
        if ordinary and len(steps) == until - after and self._hashed(rows, closed, rows.led_to(after, until)):
            return True
        self._ungroup(steps, closed)
        return False

    def _group(self, after: int, steps: Sequence[Text], closed: list[_Closed]) -> bool:
        """Add steps to their calls, and move those that are over to `closed`; False for what is out of the ordinary."""
        calls, digits = self.calls, self.digits
        ordinary = not self.more_digits
        for number, (index, call_id, text) in enumerate(steps, after + 1):
            texts = calls[call_id]
            texts.append(text)  # type: ignore[arg-type]  # is taken away again where it is none
            if text is None:
                ordinary = False
            elif index is None:
                continue
            elif index == OPENS:
                if len(texts) == 1:
                    digits[call_id] = search_digits(text)
                    self.note_day(text)
                else:
                    ordinary = False
                continue
            if index is not None and index != OPENS:
                closed.append(_Closed(number, index, call_id, calls.pop(call_id), digits.pop(call_id, None)))
        return ordinary

    def _ungroup(self, steps: Sequence[Text], closed: list[_Closed]) -> None:
        """Undo `_group`."""
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
        """Let the tree grow by these leaves, where the hashes are those that are held, and indexes lead to them."""
        leaves: list[bytes] = []
        steps: list[tuple[int]] = []
        entries: list[str] = []
        for size, (number, index, call_id, texts, digits) in enumerate(closed, self.frontier.size):
            before = 0
            if digits is None or len(texts) == 1:
                before = rows.counted(call_id, number) - len(texts)
            data = leaf(call_id, texts, before)
            if index != size or not _holds(data, len(texts)):
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
        if rows.hashes(stored(self.frontier.size), len(made)) != list(zip(made)):
            return False
        self.frontier = frontier
        self.entries.add(bytes.fromhex("".join(entries)))
        return True

    def note_day(self, text: str) -> None:
        """Under the key of which day the numbers in a step's text are sealed."""
        if self._day not in text:
            for day in _DAY.findall(text):
                self.days.add(day)
                self._day = f'"day":"{day}"'
