"""Whether the ledger is what was signed: every step read again, every leaf made again, every hash compared.

What is found wrong is told with the call that it concerns. The ledger may be written meanwhile: what is verified is
what stood in it at the beginning, and it is read in short transactions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from json.encoder import encode_basestring as quoted
from typing import Any, Final

from sqlalchemy import Engine

from idtone.errors import ProofError

from .leaves import CLOSING, leaf, must_be_counted, search_keys
from .steps import StepKind
from .tables import CHECKPOINT, TREE_FROM
from .tree.checkpoints import Checkpoint, believed
from .tree.merkle import Frontier, leaf_hash, stored
from .tree.notes import Note, VerifierKey

PAGE_ROWS: Final = 2000
"""A few milliseconds for which a reader can hold up the writer's commit."""
FAULTS_LIMIT: Final = 100
_DAY: Final = re.compile(r'"day":"([^"\\]*)"')
_TOKENS_FROM: Final = -(2**63)
_ROWS_OF_A_RANGE: Final = 5000


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that was signed, and where it was found."""

    source: str
    checkpoint: Checkpoint


@dataclass
class Verdict:
    """`leaves` and `steps` are how many there are; `open_calls` are not over, and nothing vouches for their steps yet.

    `older` are steps from before there was a tree.
    """

    steps: int = 0
    leaves: int = 0
    root: bytes = b""
    open_calls: int = 0
    older: int = 0
    signed: list[Signed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < FAULTS_LIMIT and text not in self.faults:
            self.faults.append(text)


@dataclass(slots=True)
class _Call:
    """The steps of a call that are in no leaf yet."""

    first_id: int
    kinds: list[str]
    texts: list[str]
    tokens: set[int]


def verify(
    engine: Engine,
    log: VerifierKey,
    notes: Iterable[tuple[str, Note]] = (),
    has_day: Callable[[str], bool] = lambda day: True,
) -> Verdict:
    """`notes` are signed checkpoints and where they come from; the ledger's own is looked at in any case.

    `has_day` tells whether a day's key is there, or was destroyed as it should be.
    Raises LedgerError where a database cannot be read at all.
    """
    return _Verification(engine, log, notes, has_day).run()


class _Verification:
    def __init__(
        self,
        engine: Engine,
        log: VerifierKey,
        notes: Iterable[tuple[str, Note]],
        has_day: Callable[[str], bool],
    ) -> None:
        self._engine = engine
        self._log = log
        self._notes = list(notes)
        self._has_day = has_day
        self._days: set[str] = set()
        self._calls: dict[str, _Call] = {}
        self._frontier = Frontier()
        self._names: dict[str, str] = {}
        self._found_by = 0
        self._verdict = Verdict()

    def run(self) -> Verdict:
        verdict = self._verdict
        with self._reading() as execute:
            held = dict(execute("SELECT key, value FROM meta"))
            ((last,),) = execute("SELECT coalesce(max(id), 0) FROM steps")
            ((count,),) = execute("SELECT coalesce(max(place) + 1, 0) FROM hashes")
        tree_from = int(held.get(TREE_FROM, "0"))
        verdict.older = min(tree_from, last)
        roots = self._signed(held.get(CHECKPOINT))
        self._roots_at = {signed.checkpoint.size: b"" for signed in roots}
        self._note_root()
        reached = tree_from
        while reached < last:
            reached = self._page(reached, last)
        verdict.steps, verdict.leaves, verdict.root = last, self._frontier.size, self._frontier.root()
        verdict.open_calls = len(self._calls)
        if count != stored(self._frontier.size):
            verdict.fault(f"the tree has {count} hashes instead of {stored(self._frontier.size)}")
        self._compare_sought(last)
        for day in sorted(self._days):
            if not self._has_day(day):
                verdict.fault(f"the key of {day} is missing: the numbers of that day cannot be opened")
        for signed in roots:
            self._compare(signed)
        if self._frontier.size and not any(signed.source == _OWN for signed in roots):
            verdict.fault("the ledger holds no signed checkpoint of its tree")
        return verdict

    @contextmanager
    def _reading(self) -> Iterator[Callable[..., list[Any]]]:
        with self._engine.begin() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            yield lambda query, values=(): driver.execute(query, values).fetchall()

    def _signed(self, own: str | None) -> list[Signed]:
        try:
            notes = [*([(_OWN, Note.parse(own.encode()))] if own else []), *self._notes]
        except ProofError as error:
            self._verdict.fault(f"{_OWN}: {error}")
            notes = self._notes
        for source, note in notes:
            try:
                self._verdict.signed.append(Signed(source, believed(note, self._log)))
            except ProofError as error:
                self._verdict.fault(f"{source}: {error}")
        return self._verdict.signed

    def _compare(self, signed: Signed) -> None:
        checkpoint = signed.checkpoint
        if checkpoint.size > self._frontier.size:
            self._verdict.fault(
                f"{signed.source}: {checkpoint.size} leaves were signed, and the ledger has {self._frontier.size}: "
                "it is an older copy, or was cut off"
            )
        elif self._roots_at[checkpoint.size] != checkpoint.root:
            self._verdict.fault(f"{signed.source}: the first {checkpoint.size} leaves are not those that were signed")

    def _note_root(self) -> None:
        if self._frontier.size in self._roots_at:
            self._roots_at[self._frontier.size] = self._frontier.root()

    def _page(self, after: int, last: int) -> int:
        """Read the steps that follow `after`; the last one of them."""
        grown: list[bytes] = []
        closed: list[str] = []
        tokens: list[tuple[int, int]] = []
        first_place = stored(self._frontier.size)
        with self._reading() as execute:
            rows = execute(_STEPS, (after, last, PAGE_ROWS))
            for number, node, call_id, kind, at, details, index in rows:
                after += 1
                if number != after:
                    self._verdict.fault(f"the steps {after} to {number - 1} are missing")
                    after = number
                call = self._step(number, node, call_id, kind, at, details)
                if index is None:
                    if kind in CLOSING:
                        self._verdict.fault(f"call {call_id}: it is over, and no leaf holds it")
                    continue
                if index != self._frontier.size:
                    self._verdict.fault(
                        f"call {call_id}: it is leaf {index}, where leaf {self._frontier.size} should be"
                    )
                del self._calls[call_id]
                before = 0
                if must_be_counted(call.kinds):
                    ((before,),) = execute(_BEFORE, (call_id, call.first_id))
                grown += self._frontier.append(leaf_hash(leaf(call_id, call.texts, before)))
                closed.append(call_id)
                tokens += ((token, number) for token in call.tokens)
                self._note_root()
            held = [row[0] for row in execute(_HASHES, (first_place, first_place + len(grown)))]
            self._find(execute, tokens)
        if held != grown:
            self._tell_changed(first_place, grown, held, closed)
        if not rows:
            self._verdict.fault(f"the steps {after + 1} to {last} are missing")
            return last
        return after

    def _step(self, number: int, node: str, call_id: str, kind: str, at: int, details: str) -> _Call:
        names = self._names
        if kind not in names:
            names[kind] = quoted(kind)
        if node not in names:
            names[node] = quoted(node)
        text = f'{{"at":{at},"details":{details},"id":{number},"kind":{names[kind]},"node":{names[node]}}}'
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = _Call(number, [kind], [text], set())
        else:
            call.kinds.append(kind)
            call.texts.append(text)
        if kind == StepKind.DECIDED:
            call.tokens.update(search_keys(kind, details))
            self._days.update(_DAY.findall(details))
        return call

    def _find(self, execute: Callable[..., list[Any]], tokens: Sequence[tuple[int, int]]) -> None:
        """That what is searched by leads to these records."""
        found = 0
        for start in range(0, len(tokens), _PAIRS):
            pairs = tokens[start : start + _PAIRS]
            values = ",".join(["(?,?)"] * len(pairs))
            # Only question marks are put into the text; the values go beside it.
            query = f"SELECT count(*) FROM (VALUES {values}) AS v JOIN sought ON token = v.column1 AND step = v.column2"  # noqa: S608
            ((count,),) = execute(query, [value for pair in pairs for value in pair])
            found += count
        self._found_by += len(tokens)
        if found != len(tokens):
            self._verdict.fault("records cannot be found by their numbers: entries of the table `sought` are missing")

    def _compare_sought(self, last: int) -> None:
        """That nothing else is found by it."""
        ranges = max(1, self._found_by // _ROWS_OF_A_RANGE)
        width = 2**64 // ranges + 1
        count = 0
        for number in range(ranges):
            start = _TOKENS_FROM + number * width
            with self._reading() as execute:
                ((held,),) = execute(_SOUGHT, (start, min(start + width - 1, 2**63 - 1), last))
            count += held
        if count > self._found_by:
            self._verdict.fault("the table `sought` has entries that belong to no record")

    def _tell_changed(self, place: int, grown: list[bytes], held: list[bytes], closed: list[str]) -> None:
        """Which calls' leaves have another hash than was written; where none has, hashes were changed."""
        leaves = iter(closed)
        size = self._frontier.size - len(closed)
        changed = False
        for offset, made in enumerate(grown):
            is_leaf = place + offset == stored(size)
            call_id = next(leaves) if is_leaf else ""
            size += is_leaf
            if is_leaf and (offset >= len(held) or held[offset] != made):
                changed = True
                self._verdict.fault(f"call {call_id}: leaf {size - 1} is not what was written")
        if not changed:
            self._verdict.fault(f"the tree's hashes from place {place} on are not those of its leaves")


_OWN: Final = "the ledger's own checkpoint"
_PAIRS: Final = 5000
_STEPS: Final = (
    "SELECT id, node, call_id, kind, at, details, leaf FROM steps WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
)
_BEFORE: Final = "SELECT count(*) FROM steps WHERE call_id = ? AND id < ?"
_HASHES: Final = "SELECT hash FROM hashes WHERE place >= ? AND place < ? ORDER BY place"
_SOUGHT: Final = "SELECT count(*) FROM sought WHERE token BETWEEN ? AND ? AND step <= ?"
