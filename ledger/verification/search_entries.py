"""Whether a search finds all calls by their numbers, and no others: the table `sought` is compared with the leaves.

The entries that should exist come in the order of the steps; those that exist come in the order of tokens, which has
nothing to do with time. To look up each entry would take longer than all the rest. So sums are compared: each entry
is encrypted with a key made for this run, and different sets have the same sum with a probability of 2^-64, at which no
one can aim (Clarke and others, Incremental Multiset Hash Functions, Asiacrypt 2003). Only if they differ, entries are
looked up.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from idtone.core.translation import Message

from ..evidence.leaves import search_keys
from .verification_queries import LedgerRows

PAGE_STEPS: Final = 2000


class EntrySum:
    """A sum of entries of 16 bytes: token and step, big-endian. Sums with the same key can be compared."""

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
    """The exclusive or of blocks of 16 bytes; 0 without any."""
    count = len(blocks) // 16
    value = int.from_bytes(blocks, "big")
    while count > 1:
        low = count // 2
        value = (value >> 128 * low) ^ (value & ((1 << 128 * low) - 1))
        count -= low
    return value


def add_held(held: EntrySum, rows: LedgerRows, last: int) -> None:
    """Add the existing entries, up to the step `last`. Raises struct.error if one is not a pair of whole numbers."""
    for part in rows.entries(last):
        held.add(struct.pack(f">{2 * len(part)}q", *chain.from_iterable(part)))


def differences(rows: LedgerRows, last: int) -> Iterator[Message]:
    """What is wrong with `sought`, call by call, among the steps up to `last`; takes its time."""
    after = 0
    while part := rows.openings(after, last, PAGE_STEPS):
        for _, call_id, kind, details, closing in part:
            if closing is None:
                continue
            for token in _keys(kind, details):
                if not rows.has_entry(token, closing):
                    yield Message(
                        "call {call_id}: it is not found by its numbers: an entry of the table `sought` is missing",
                        call_id=call_id,
                    )
        after = part[-1][0]
    for entries in rows.entries(last):
        for token, step in entries:
            openings = rows.openings_of(step, last) if isinstance(step, int) and step > 0 else []
            if not any(closing == step and token in _keys(kind, details) for _, _, kind, details, closing in openings):
                yield Message(
                    "call {call_id}: it is found by a number that is not its own (table `sought`)",
                    call_id=rows.call_of(step),
                )


def planted(rows: LedgerRows, last: int, limit: int) -> list[Message]:
    """Entries for steps after `last` that nobody has written: they would lead a search to a call that comes then."""
    return [
        Message("step {step}: the table `sought` has an entry for it, and it is not written or ends no call", step=step)
        for step in rows.planted(last, limit)
    ]


def _keys(kind: str, details: Any) -> set[int]:
    return set(search_keys(kind, details)) if isinstance(details, str) else set()
