"""The steps of a large ledger in parts, each read by a process of its own, and joined to what one would have found.

A part begins with what the database says of the steps before it: the hashes of the tree, and the steps of the calls in
progress. Nothing of that is trusted: a part counts only if the part before it, read from its own beginning, ends with
exactly that. If one does not, or finds anything wrong, the whole is read again by one process, which names it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from typing import Final, NamedTuple

from ..tree.merkle import Frontier
from .day_key_check import Sealed
from .regrown_tree import RegrownTree
from .search_entries import EntrySum

LEAST_STEPS: Final = 300_000
"""Of a part: some seconds of reading. To start a process takes up to one."""
NICENESS: Final = 10
"""Of the further processes: calls on the same machine go first."""
TOLD_EVERY: Final = 60_000
"""Steps after which a process says how far it is."""


class Cut(NamedTuple):
    """A part: the steps after `after` up to `until`, and the entries of `sought` whose tokens are more than `above` and
    not more than `up_to`; None is no limit.
    """

    after: int
    until: int
    above: int | None
    up_to: int | None


class Asked(NamedTuple):
    """What a process needs in order to read a part. `key` is that of the sums, `last` the last step of the whole."""

    path: str
    log: str
    key: bytes
    last: int
    cut: Cut
    roots: Mapping[int, bytes]


class OpenCalls(NamedTuple):
    """The steps that are in no leaf at a place, as `RegrownTree` has them."""

    calls: dict[str, list[str]]
    digits: dict[str, set[str]]
    more_digits: dict[str, set[str]]


class Part(NamedTuple):
    """A part in which nothing is wrong, if it begins as the part before it ends."""

    begin: tuple[int, Sequence[bytes]]
    end: tuple[int, Sequence[bytes]]
    carried: dict[str, list[str]]
    """The texts that it took from before its beginning."""
    open: OpenCalls
    roots: dict[int, bytes]
    days: dict[str, Sealed]
    node: str
    entries: tuple[int, int]
    held: tuple[int, int]

    @classmethod
    def of(cls, begin: Frontier, grown: RegrownTree, held: EntrySum) -> Part:
        """What `grown` is after the last step of the part."""
        calls = OpenCalls(dict(grown.calls), grown.digits, dict(grown.more_digits))
        first, last = begin.size, grown.frontier.size
        roots = {size: root for size, root in grown.roots.items() if first < size <= last}
        return cls(
            begin.edge, grown.frontier.edge, grown.carried, calls, roots, grown.days, grown.node, grown.entries.value,
            held.value,
        )  # fmt: skip


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def cuts(last: int, processes: int) -> list[Cut]:
    """The parts of so many steps for so many processes at most; empty if it is not worth while."""
    count = min(processes, last // LEAST_STEPS)
    return evenly(last, count) if count > 1 else []


def evenly(last: int, count: int) -> list[Cut]:
    """So many parts of the steps up to `last`."""
    steps = [last * number // count for number in range(count + 1)]
    tokens = [None, *(2**64 * number // count - 2**63 for number in range(1, count)), None]
    return [Cut(*between, *tokens[place : place + 2]) for place, between in enumerate(pairwise(steps))]


def join(found: Sequence[Part], grown: RegrownTree, held: EntrySum) -> bool:
    """Whether each part begins as the one before it ends; then `grown`, which is empty, and `held` become the whole."""
    calls = OpenCalls({}, {}, {})
    edge = Frontier().edge
    for part in found:
        if part.begin != edge:
            return False
        for call_id, texts in part.carried.items():
            if calls.calls.pop(call_id, None) != texts:
                return False
            calls.digits.pop(call_id, None)
            calls.more_digits.pop(call_id, None)
        if not calls.calls.keys().isdisjoint(part.open.calls):
            return False
        calls = OpenCalls(
            calls.calls | part.open.calls, calls.digits | part.open.digits, calls.more_digits | part.open.more_digits
        )
        edge = part.end
    for part in found:
        grown.roots |= part.roots
        grown.days = part.days | grown.days
        grown.entries.add_value(part.entries)
        held.add_value(part.held)
    grown.frontier, grown.node = Frontier(*edge), found[-1].node
    grown.calls.update(calls.calls)
    grown.digits.update(calls.digits)
    grown.more_digits.update(calls.more_digits)
    return True


Reader = Callable[[Asked, Callable[[int], None]], Part | None]
"""Reads a part, and tells of how many of its steps it has read. None: it needs a closer look."""


def read(asked: Sequence[Asked], reader: Reader, progress: Callable[[int], None]) -> list[Part] | None:
    """The parts; None if one of them needs a closer look, or its process died. This process reads the first one.

    `reader` is a function of a module. `progress` gets how many steps of all have been read.
    """
    spawning = multiprocessing.get_context("spawn")  # a fork would have copies of the threads' locks
    others: dict[Connection, int] = {}
    processes = []
    found: list[Part | None] = [None] * len(asked)
    steps = [0] * len(asked)

    def hear(within_s: float | None) -> bool:
        """Hear what others say; False if one needs a closer look."""
        ready = wait(list(others), within_s)
        for each in [each for each in others if each in ready]:
            place = others[each]
            try:
                said: Part | int | None = each.recv()
            except EOFError:
                return False
            if isinstance(said, int):
                steps[place] = said
                progress(sum(steps))
                continue
            del others[each]
            if said is None:
                return False
            found[place] = said
            steps[place] = asked[place].cut.until - asked[place].cut.after
            progress(sum(steps))
        return True

    def note(count: int) -> None:
        steps[0] = count
        progress(sum(steps))
        if not hear(0):
            raise _ClosedLookError

    try:
        for place, part in enumerate(asked[1:], 1):
            ours, theirs = spawning.Pipe(duplex=False)
            process = spawning.Process(target=_read, args=(part, reader, theirs), daemon=True)
            process.start()
            processes.append(process)
            theirs.close()
            others[ours] = place
        found[0] = reader(asked[0], note)
        while found[0] and others and hear(None):
            pass
    except _ClosedLookError:
        return None
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for each in list(others):
            each.close()
    return [part for part in found if part] if all(found) else None


class _ClosedLookError(Exception):
    """Another process has found what needs a closer look."""


def _read(asked: Asked, reader: Reader, said: Connection) -> None:
    """In a process of its own. Its end is the caller's business, also when a person interrupts both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    told = 0

    def progress(steps: int) -> None:
        nonlocal told
        if steps >= told + TOLD_EVERY:
            told = steps
            said.send(steps)

    with suppress(BrokenPipeError), closing(said):  # the caller has ended
        said.send(reader(asked, progress))
