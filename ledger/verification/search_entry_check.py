"""Checks that searches by number find all matching calls and no others.

The check compares the database table `sought` with the leaves. The steps yield the expected entries in order of time,
whereas the existing entries are in order of their tokens, which is unrelated to time. Looking up each entry would take
longer than the rest of the verification, so sums are compared.

Each entry is encrypted with a key created for the run. Different sets of entries have the same sum with a probability
of 2^-64, which no choice of entries can increase. See Clarke and others, Incremental Multiset Hash Functions, Asiacrypt
2003. If the sums differ, sums over smaller parts locate the difference.
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from idtone.core.translation import Message

from ..evidence.leaves import search_keys
from .verification_queries import LedgerRows

PAGE_STEPS: Final = 2000
BUCKETS: Final = 2**16
DIFFERING_LIMIT: Final = 100
"""Maximum number of differing buckets to examine. If more differ, enough faults have already been reported."""


class EntrySum:
    """An order-independent sum of search entries (multiset hash).

    An entry consists of 16 bytes, its token and its step, both big-endian. `key` must be 16 random bytes. Only sums
    with the same key can be compared.
    """

    def __init__(self, key: bytes) -> None:
        """`key` has 16 random bytes."""
        self._cipher = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - as a function of one block, not to hide it
        self._count = 0  # two equal entries cancel each other out in the sum
        self._sum = 0

    def add(self, entries: bytes) -> None:
        self._count += len(entries) // 16
        self._sum ^= _folded(self._cipher.update(entries))

    def same_as(self, other: EntrySum) -> bool:
        return (self._count, self._sum) == (other._count, other._sum)


def _folded(blocks: bytes) -> int:
    count = len(blocks) // 16
    value = int.from_bytes(blocks, "big")
    while count > 1:
        low = count // 2
        value = (value >> 128 * low) ^ (value & ((1 << 128 * low) - 1))
        count -= low
    return value


def add_existing_entries(held: EntrySum, rows: LedgerRows, last: int) -> None:
    """Add the existing search entries up to the step `last` to a sum.

    Raises struct.error if an entry is not a pair of integers.
    """
    for part in rows.entries(last):
        held.add(struct.pack(f">{2 * len(part)}q", *chain.from_iterable(part)))


class _Buckets:
    """Sums over entries in many buckets.

    Each run uses a new key to select an entry's bucket, so an attacker cannot choose the bucket.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - as above
        self._sums = [0] * BUCKETS

    def of(self, entries: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """For each entry, its bucket and its contribution to the bucket's sum."""
        octets = self._cipher.update(struct.pack(f">{2 * len(entries)}q", *chain.from_iterable(entries)))
        blocks = [int.from_bytes(octets[begin : begin + 16], "big") for begin in range(0, len(octets), 16)]
        return [(block % BUCKETS, block) for block in blocks]

    def add(self, entries: Sequence[tuple[int, int]]) -> None:
        """Add entries to their buckets.

        An entry that is added twice cancels out, so only differences between two sets remain.
        """
        for bucket, block in self.of(entries):
            self._sums[bucket] ^= block

    def differing(self) -> frozenset[int]:
        """The first buckets whose entries differ."""
        return frozenset(islice((bucket for bucket, entries in enumerate(self._sums) if entries), DIFFERING_LIMIT))


def search_entry_faults(rows: LedgerRows, last: int) -> Iterator[Message]:
    """Find missing and foreign search entries for steps up to `last`.

    Steps and entries are read twice, and only a few entries are held in memory at once.
    """
    buckets = _Buckets(os.urandom(16))
    for wanted in _wanted(rows, last):
        buckets.add([entry for entry, _ in wanted])
    for held in rows.entries(last):
        whole = [entry for entry in held if _is_whole(entry)]
        buckets.add(whole)
        for _, step in set(held).difference(whole):
            yield _foreign(rows, step)
    differing = buckets.differing()
    missing: dict[tuple[int, int], str] = {}
    for wanted in _wanted(rows, last):
        places = buckets.of([entry for entry, _ in wanted])
        missing |= {
            entry: call for (entry, call), (bucket, _) in zip(wanted, places, strict=True) if bucket in differing
        }
    foreign: list[int] = []
    for held in rows.entries(last):
        whole = [entry for entry in held if _is_whole(entry)]
        for entry, (bucket, _) in zip(whole, buckets.of(whole), strict=True):
            if bucket in differing and missing.pop(entry, None) is None:
                foreign.append(entry[1])
    for call_id in missing.values():
        yield Message(
            "call {call_id}: it is not found by its numbers: an entry of the table `sought` is missing", call_id=call_id
        )
    yield from (_foreign(rows, step) for step in foreign)


def _wanted(rows: LedgerRows, last: int) -> Iterator[list[tuple[tuple[int, int], str]]]:
    """Yield the expected entries for steps up to `last`, page by page, each with its call."""
    waiting: defaultdict[str, set[int]] = defaultdict(set)
    after = 0
    while part := rows.openings_and_ends(after, last, PAGE_STEPS):
        found = []
        for step, call_id, kind, details, leaf in part:
            if isinstance(details, str) and (keys := set(search_keys(kind, details))):
                waiting[call_id] |= keys
            if leaf is not None:
                found += [((token, step), call_id) for token in waiting.pop(call_id, ())]
        yield found
        after = part[-1][0]


def _is_whole(entry: tuple[object, object]) -> bool:
    return all(isinstance(each, int) for each in entry)


def _foreign(rows: LedgerRows, step: int) -> Message:
    return Message(
        "call {call_id}: it is found by a number that is not its own (table `sought`)", call_id=rows.call_of(step)
    )


def later_entry_faults(rows: LedgerRows, last: int, limit: int) -> list[Message]:
    """Up to `limit` faults for search entries of steps after `last`.

    Such entries would lead searches to later calls.
    """
    return [
        Message("step {step}: the table `sought` has an entry for it, and it is not written or ends no call", step=step)
        for step in rows.entries_of_later_steps(last, limit)
    ]
