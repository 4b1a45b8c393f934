"""A ledger with millions of records, filled within minutes, for benches of reading.

Every step, leaf, hash, entry and signature has the form that the ledger's writer gives it, and `idtone ledger verify`
finds no fault. But nearly all sealed numbers are fake: their tokens are random, and their ciphertext is from another
call.
"""

import random
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from idtone.core.numbers import parse
from idtone.core.signed_notes import Note
from idtone.ledger.evidence.leaves import StoredStep, leaf, search_keys
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.sealing import day_of
from idtone.ledger.store.meta import CHECKPOINT
from idtone.ledger.store.step_macs import INSERT_MACS
from idtone.ledger.store.step_rows import microseconds, row_of
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.tree.merkle import Frontier, leaf_hash
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import NOW, heard_call

NODE: Final = "pbx-1"
ROWS_AT_ONCE: Final = 60_000
CACHE_KIB: Final = 2_000_000
"""SQLite's cache in KiB. It holds the index entries by token, because they come in random order."""

_OTHERS: Final = tuple(map(parse, ("0398765432", "0398765433", "0398765434")))
_DAY_US: Final = timedelta(days=1) // timedelta(microseconds=1)
_TOKEN: Final = re.compile(r'(?<=_token":")[0-9a-f]{32}')


def fill(
    path: Path, key_ring: KeyRing, count: int, period: timedelta, known: Callable[[int], bool], seed: int = 1
) -> None:
    """Create a ledger of `count` calls with six steps each, spread evenly over `period` from `NOW` on.

    Only the calls that `known` selects, and the first call of each day, have really sealed numbers.
    """
    with LedgerWriter.open(f"sqlite:///{path}", NODE, key_ring):
        pass
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL").fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    filling = _Filling(key_ring, count, period, known, seed)
    for rows in filling.pages():
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute(INSERT_MACS, (rows[-1][0], b"".join(filling.macs)))
        connection.executemany("INSERT INTO hashes VALUES (?, ?)", enumerate(filling.hashes, filling.stored))
        connection.executemany("INSERT INTO sought VALUES (?, ?)", filling.sought)
        connection.execute("COMMIT")
        filling.forget()
    for _, statement in indexes:
        connection.execute(statement)
    text = Checkpoint(key_ring.signer.key.name, count, filling.frontier.root()).text
    connection.execute("INSERT INTO meta VALUES (?, ?)", (CHECKPOINT, str(Note(text, (key_ring.signer.sign(text),)))))
    connection.close()


class _Filling:
    def __init__(
        self, key_ring: KeyRing, count: int, period: timedelta, known: Callable[[int], bool], seed: int
    ) -> None:
        self.frontier = Frontier()
        self.stored = 0
        self.hashes: list[bytes] = []
        self.sought: list[tuple[int, int]] = []
        self.macs: list[bytes] = []
        self._key_ring = key_ring
        self._step_key = key_ring.step_key
        self._count = count
        self._known = known
        self._apart_us = period // timedelta(microseconds=1) / count
        self._dice = random.Random(seed)
        told = heard_call("sample")
        self._kinds = [step.kind.value for step in told]
        self._details = [str(row_of(NODE, step, key_ring.days.writing)["details"]) for step in told]
        self._offsets = [microseconds(step.at) - microseconds(told[0].at) for step in told]
        self._texts: dict[int, list[str]] = {}
        self._begin_us = microseconds(NOW)
        self._days: dict[str, list[str]] = {}
        self._newest_day = -1, ""
        self._newest_mac = b""

    def pages(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        rows: list[tuple[Any, ...]] = []
        number = 0
        later = [int(offset / self._apart_us) for offset in self._offsets]
        for turn in range(self._count + later[-1] + 1):
            for place, after in enumerate(later):
                call = turn - after
                if 0 <= call < self._count:
                    number += 1
                    rows.append(self._row(number, call, place))
            if len(rows) >= ROWS_AT_ONCE:
                yield rows
                rows = []
        if rows:
            yield rows

    def forget(self) -> None:
        self.stored += len(self.hashes)
        self.hashes.clear()
        self.sought.clear()
        self.macs.clear()

    def _row(self, number: int, call: int, place: int) -> tuple[Any, ...]:
        call_id, kind = f"pbx-1-1793491200.{call}", self._kinds[place]
        at = self._begin_us + int(call * self._apart_us) + self._offsets[place]
        details = self._details[place] if place else self._decided(call, call_id)
        step = StoredStep(number, NODE, call_id, kind, at, details)
        index = None
        if place == 0:
            self._texts[call] = [details, step.text]
        elif place < len(self._kinds) - 1:
            self._texts[call].append(step.text)
        else:
            decided, *texts = self._texts.pop(call)
            index = self.frontier.size
            self.hashes += self.frontier.append(leaf_hash(leaf(call_id, [*texts, step.text], 0)))
            self.sought += ((key, number) for key in search_keys(self._kinds[0], decided))
        self._newest_mac = self._step_key.mac(self._newest_mac, step, index)
        self.macs.append(self._newest_mac)
        return (*step, index)

    def _decided(self, call: int, call_id: str) -> str:
        day = self._day(self._begin_us + int(call * self._apart_us))
        is_first = day not in self._days
        if is_first:
            self._days[day] = _TOKEN.split(self._details[0].replace('"day":"2026-11-01"', f'"day":"{day}"'))
        if is_first or self._known(call):
            step = heard_call(call_id, call * self._apart_us / 1000)[0]
            if not self._known(call):  # `verify` opens the first call of each day
                step = replace(step, numbers=dict(zip(step.numbers, _OTHERS, strict=True)))
            return str(row_of(NODE, step, self._key_ring.days.writing)["details"])
        noise = self._dice.randbytes(48).hex()
        first, second, third, rest = self._days[day]
        return "".join((first, noise[:32], second, noise[32:64], third, noise[64:], rest))

    def _day(self, at_us: int) -> str:
        number = at_us // _DAY_US
        if number != self._newest_day[0]:
            self._newest_day = number, day_of(datetime.fromtimestamp(at_us // 1_000_000, UTC))
        return self._newest_day[1]
