"""Verifies a ledger against its signed checkpoints.

Every step is read, every leaf is rebuilt, and every hash is compared. Faults name the calls that they concern. The
service may continue to write meanwhile, because the state at the start is verified in short transactions.
"""

import gc
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Note, VerifierKey
from idtone.core.translation import Message

from ..evidence.leaf_rules import (
    AFTER_END,
    check_call,
    check_request,
    check_times,
    early_selection_error,
    read_leaf,
    request_name,
    selected_calls,
)
from ..evidence.leaves import CLOSING, OPENING, StoredStep, leaf, search_digits, step_text
from ..evidence.steps import StepKind
from ..keys.step_key import StepKey
from ..store.ledger_reader import LedgerReader
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..tree.merkle import EMPTY_ROOT, leaf_hash, stored_hashes
from . import day_key_check
from .day_key_check import SealedNumbers
from .recomputed_tree import BEGINS, RecomputedTree
from .search_entry_check import EntrySum, add_existing_entries, later_entry_faults, search_entry_faults
from .verification_queries import LedgerRows

PAGE_ROWS: Final = 600
"""Number of rows in a page. Reading a page can delay the writer's commit by a millisecond or two."""
FAULTS_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A signed checkpoint, and where it was found."""

    source: str
    checkpoint: Checkpoint


@dataclass
class LedgerVerdict:
    """The result of verifying a ledger.

    `steps` and `leaves` are counts. `open_calls` is the number of calls in progress, whose steps are in no leaf yet.
    """

    steps: int = 0
    leaves: int = 0
    root: bytes = b""
    open_calls: int = 0
    signed: list[SignedCheckpoint] = field(default_factory=list)
    faults: list[Message] = field(default_factory=list)

    def fault(self, text: Message) -> None:
        if len(self.faults) < FAULTS_LIMIT and text not in self.faults:
            self.faults.append(text)


class StoredRow(NamedTuple):
    """A row in the table `steps`, whose values may have any type."""

    id: int
    node: str
    call_id: str
    kind: str
    at: int
    details: str
    leaf: int | None

    @property
    def is_one_typed_step(self) -> bool:
        """True if the row is exactly one step and its values have the right types.

        SQLite accepts values of any type.
        """
        return (
            all(isinstance(value, str) for value in (self.node, self.call_id, self.kind, self.details))
            and isinstance(self.at, int)
            and BEGINS.decode() not in self.details
        )


def verify_ledger(
    reader: LedgerReader,
    log: VerifierKey,
    notes: Iterable[tuple[str, Note]] = (),
    with_days: bool = True,
    is_latest: bool = True,
    progress: Callable[[int, int], None] = lambda steps, all_of_them: None,
) -> LedgerVerdict:
    """Verify that `log` has signed everything in a ledger.

    `notes` are signed checkpoints with their sources. The ledger's own checkpoint is always checked. `with_days` also
    checks that the day keys open what they sealed, if the reader has keys. `is_latest` means that no other ledger of
    the node follows, so this ledger contains all acts that destroyed keys. `progress` receives the number of steps read
    and their total. Raises LedgerError if the database cannot be read at all.
    """

    def day_key_faults(sealed: Mapping[str, SealedNumbers]) -> Iterator[Message]:
        if reader.days and with_days:
            acts = reader.acts(frozenset({StepKind.FORGOTTEN})) if is_latest else []
            told = max((str(act.details.get("before")) for act in acts), default="") if is_latest else None
            yield from day_key_check.day_key_faults(reader.days, sealed, told)

    with LedgerRows.reading(reader.database) as rows, _uncollected():
        return _Verification(rows, log, notes, day_key_faults, reader.step_key(log.name), progress).run()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Suspend garbage collection during the block.

    It would search millions of texts for cycles in vain.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Verification:
    def __init__(
        self,
        rows: LedgerRows,
        log: VerifierKey,
        notes: Iterable[tuple[str, Note]],
        day_key_faults: Callable[[Mapping[str, SealedNumbers]], Iterable[Message]],
        step_key: StepKey | None,
        progress: Callable[[int, int], None],
    ) -> None:
        self._rows = rows
        self._log = log
        self._notes = list(notes)
        self._day_key_faults = day_key_faults
        self._key = step_key
        self._progress = progress
        self._verdict = LedgerVerdict()
        self._named: set[str] = set()
        """Calls in progress whose faults have already been reported."""
        key = os.urandom(16)
        self._held = EntrySum(key)
        self._grown = RecomputedTree(EntrySum(key), {})

    def run(self) -> LedgerVerdict:
        verdict, grown = self._verdict, self._grown
        for odd in self._rows.unexpected_entries():
            verdict.fault(Message("{odd}: calls can be missing in what readers show", odd=odd))
        extent = self._rows.extent()
        last, count = extent.last, extent.hashes
        roots = self._signed(extent.checkpoint)
        grown.roots |= {signed.checkpoint.size: EMPTY_ROOT for signed in roots}
        for number, call_id in self._rows.ids_below_one(FAULTS_LIMIT):
            verdict.fault(_strange_step(call_id, number))
        self._read(last)
        self._look_at_open_calls(last)
        for call_id in self._rows.wrongly_in_progress(FAULTS_LIMIT):
            if call_id not in self._named:
                verdict.fault(_not_open(call_id))
        self._look_at_acts(last)
        for call_id, index in self._rows.after_end(last):
            verdict.fault(_against_rules(call_id, index, AFTER_END))
        if extent.last_mac > last:
            verdict.fault(_missing(last + 1, extent.last_mac))
        size = grown.frontier.size
        verdict.steps, verdict.leaves, verdict.root = last, size, grown.frontier.root()
        verdict.open_calls = len(grown.calls)
        if count != stored_hashes(size):
            verdict.fault(
                Message("the tree has {count} hashes instead of {expected}", count=count, expected=stored_hashes(size))
            )
        signed_size = max((signed.checkpoint.size for signed in roots), default=0)
        self._look_at_unsigned(last, signed_size, extent.is_under_way)
        self._compare_sought(last)
        for fault in self._day_key_faults(grown.days):
            verdict.fault(fault)
        for signed in roots:
            self._compare(signed)
        if size and not any(signed.source == _OWN for signed in roots):
            verdict.fault(Message("the ledger holds no signed checkpoint of its tree"))
        return verdict

    def _signed(self, own: object) -> list[SignedCheckpoint]:
        try:
            # In SQLite it may be of any type; then it is not a note.
            octets = own.encode() if isinstance(own, str) else b""
            notes = [*([(_OWN, Note.parse(octets))] if own is not None else []), *self._notes]
        except ProofError as error:
            self._verdict.fault(_of(_OWN, error))
            notes = self._notes
        for source, note in notes:
            try:
                self._verdict.signed.append(SignedCheckpoint(source, verified_checkpoint(note, self._log)))
            except ProofError as error:
                self._verdict.fault(_of(source, error))
        return self._verdict.signed

    def _compare(self, signed: SignedCheckpoint) -> None:
        checkpoint, size = signed.checkpoint, self._grown.frontier.size
        if checkpoint.size > size:
            fewer = Message(
                "{signed} leaves were signed, and the ledger has {size}: it is an older copy, or was cut off",
                signed=checkpoint.size,
                size=size,
            )
            self._verdict.fault(_of(signed.source, fewer))
        elif self._grown.roots[checkpoint.size] != checkpoint.root:
            others = Message("the first {signed} leaves are not those that were signed", signed=checkpoint.size)
            self._verdict.fault(_of(signed.source, others))

    def _read(self, last: int) -> None:
        reached = 0
        while reached < last:
            until = min(reached + PAGE_ROWS, last)
            matched = self._grown.match(self._rows, reached, until)
            reached = until if matched else self._page(reached, last)
            self._progress(reached, last)

    def _page(self, after: int, last: int) -> int:
        grown = self._grown
        made: list[bytes] = []
        closed: list[str] = []
        first_place = stored_hashes(grown.frontier.size)
        rows = self._rows.steps(after, last, PAGE_ROWS)
        for step in map(StoredRow._make, rows):
            after += 1
            if step.id != after:
                self._verdict.fault(_missing(after, step.id - 1))
                after = step.id
            if not step.is_one_typed_step:
                self._verdict.fault(_strange_step(step.call_id, step.id))
                continue
            texts = self._step(step)
            if step.leaf is None:
                if step.kind in CLOSING:
                    self._verdict.fault(
                        Message("call {call_id}: it is over, and no leaf holds it", call_id=step.call_id)
                    )
                continue
            if step.leaf != grown.frontier.size:
                self._verdict.fault(
                    Message(
                        "call {call_id}: it is leaf {leaf}, where leaf {expected} should be",
                        call_id=step.call_id,
                        leaf=step.leaf,
                        expected=grown.frontier.size,
                    )
                )
            digits = grown.digits.pop(step.call_id, None)
            before = 0
            if digits is None or len(texts) == 1:
                before = self._rows.count_steps(step.call_id, step.id) - len(texts)
            content = leaf(step.call_id, texts, before)
            self._apply_rules(content, step, before)
            made += grown.grow(grown.frontier, [leaf_hash(content)])
            closed.append(step.call_id)
            found_by = grown.more_digits.pop(step.call_id, set()) | (digits or set())
            grown.entries.add(bytes.fromhex("".join(f"{each}{step.id:016x}" for each in found_by)))
            del grown.calls[step.call_id]
        for number, call_id in self._rows.missing_from_indexes(after - len(rows), after):
            self._verdict.fault(
                Message(
                    "call {call_id}: an index of the ledger does not lead to its step {number}",
                    call_id=call_id,
                    number=number,
                )
            )
        held = [row[0] for row in self._rows.hashes(first_place, len(made))]
        if held != made:
            self._tell_changed(first_place, made, held, closed)
        if not rows:
            self._verdict.fault(_missing(after + 1, last))
            return last
        return after

    def _apply_rules(self, content: bytes, closing: StoredRow, before: int) -> None:
        try:
            check_call(read_leaf(content), before)
        except ProofError as error:
            self._verdict.fault(_against_rules(closing.call_id, closing.leaf, error))

    def _look_at_acts(self, last: int) -> None:
        known: set[str] = set()
        selected: dict[str, int] = {}
        for call_id, kind, at, details, index in self._rows.judged_acts(last):
            if (request := request_name(kind, call_id, details)) is not None:
                known.add(request)
            try:
                for each in selected_calls(kind, details):
                    selected.setdefault(each, index)
                check_times(kind, at, details)
                check_request(kind, details, known)
            except ProofError as error:
                self._verdict.fault(Message("call {call_id}: {error}", call_id=call_id, error=error))
        for call_id, index in selected.items():
            first = self._rows.first_leaf(call_id, last)
            if isinstance(first, int) and first > index:
                self._verdict.fault(_against_rules(call_id, first, early_selection_error()))

    def _step(self, step: StoredRow) -> list[str]:
        grown = self._grown
        grown.node = step.node
        texts = grown.calls[step.call_id]
        texts.append(step_text(step.id, step.node, step.kind, step.at, step.details))
        if step.kind in OPENING:
            if len(texts) == 1:
                grown.digits[step.call_id] = search_digits(step.details)
            else:
                grown.more_digits[step.call_id] |= search_digits(step.details)
            grown.note_day(step.call_id, step.details)
        return texts

    def _look_at_open_calls(self, last: int) -> None:
        """Check calls in progress.

        A call that has a leaf is over, and each later step must be a leaf. The only exception is the service's late
        decision on a call that the hook decided alone.
        """
        for call_id, texts in self._grown.calls.items():
            if len(self._verdict.faults) >= FAULTS_LIMIT:
                return
            found = self._rows.indexed_steps(call_id, last)
            known = len(self._verdict.faults)
            over = max((number for number, (_, index, _) in enumerate(found, 1) if index is not None), default=0)
            before, after = ([kind for kind, *_ in part] for part in (found[:over], found[over:]))
            if over and not (after[:1] == [StepKind.DECIDED] and StepKind.DECIDED not in before):
                self._verdict.fault(
                    Message("call {call_id}: it is over, and steps follow that no leaf holds", call_id=call_id)
                )
            elif len(after) < len(texts) or not all(by_time for *_, by_time in found):
                self._verdict.fault(
                    Message("call {call_id}: an index of the ledger does not lead to all of its steps", call_id=call_id)
                )
            elif not over and not OPENING.isdisjoint(after) and not self._rows.was_in_progress(call_id, last):
                self._verdict.fault(
                    Message(
                        "call {call_id}: it is in progress, and the table `in_progress` does not hold it",
                        call_id=call_id,
                    )
                )

            if len(self._verdict.faults) > known:
                self._named.add(call_id)

    def _look_at_unsigned(self, last: int, signed: int, is_under_way: bool) -> None:
        """Use MACs to check that the service wrote the unsigned steps.

        A leaf is signed in the transaction that writes it. Only an incomplete replica may have leaves before their
        checkpoint arrives.
        """
        for number, call_id in self._rows.quarantined(FAULTS_LIMIT):
            self._verdict.fault(_set_aside(call_id, number))
        macs = self._rows.macs(self._key) if self._key else None
        unsigned = self._grown.frontier.size - signed
        if is_under_way and not macs and unsigned > 0:
            self._verdict.fault(
                Message(
                    "leaves that are not signed: {count}; the node has more steps than this replica: verify it "
                    "again when it has them all, or where the node's key is",
                    count=unsigned,
                )
            )
        for number, call_id, index in self._closing(signed, last, unsigned):
            if not is_under_way:
                unsigned_leaf = Message("call {call_id}: its leaf {leaf} is not signed", call_id=call_id, leaf=index)
                self._verdict.fault(unsigned_leaf)
            for step in self._rows.leaf_steps(call_id, number, index) if macs else ():
                if macs and not macs.confirms(step, index if step.id == number else None):
                    self._verdict.fault(_not_ours(call_id, step.id))
        if macs is None:
            return
        for call_id in self._grown.calls.keys() - self._named:
            if len(self._verdict.faults) >= FAULTS_LIMIT:
                break
            for step in self._rows.open_steps(call_id, last):
                if not macs.confirms(step, None):
                    self._verdict.fault(_not_ours(call_id, step.id))
        for *columns, index in self._rows.steps(last - 1, last, 1):
            if columns[2] not in self._named and not macs.confirms(StoredStep._make(columns), index):
                self._verdict.fault(_not_ours(columns[2], last))

    def _closing(self, signed: int, last: int, count: int) -> Iterator[tuple[int, str, int]]:
        """Yield (id, call_id, leaf) for the `count` unsigned leaves, until enough faults have been reported."""
        while count > 0 and len(self._verdict.faults) < FAULTS_LIMIT:
            rows = self._rows.closing(signed, last, min(count, FAULTS_LIMIT))
            if not rows:
                return
            yield from rows
            count, last = count - len(rows), rows[0][0] - 1

    def _compare_sought(self, last: int) -> None:
        for fault in later_entry_faults(self._rows, last, FAULTS_LIMIT):
            self._verdict.fault(fault)
        try:
            add_existing_entries(self._held, self._rows, last)
        except struct.error:
            same = False
        else:
            same = self._held.same_as(self._grown.entries)
        if same or len(self._verdict.faults) >= FAULTS_LIMIT:
            return
        told = False
        for fault in search_entry_faults(self._rows, last):
            told = True
            self._verdict.fault(fault)
            if len(self._verdict.faults) == FAULTS_LIMIT:
                break
        if not told:
            self._verdict.fault(Message("the table `sought` does not lead to the records that were signed"))

    def _tell_changed(self, place: int, grown: list[bytes], held: list[bytes], closed: list[str]) -> None:
        """Report the calls whose leaf hashes differ from the stored hashes.

        If no leaf hash differs, inner hashes must have been changed.
        """
        leaves = iter(closed)
        size = self._grown.frontier.size - len(closed)
        changed = False
        for offset, made in enumerate(grown):
            is_leaf = place + offset == stored_hashes(size)
            call_id = next(leaves) if is_leaf else ""
            size += is_leaf
            if is_leaf and (offset >= len(held) or held[offset] != made):
                changed = True
                self._verdict.fault(
                    Message("call {call_id}: leaf {leaf} is not what was written", call_id=call_id, leaf=size - 1)
                )
        if not changed:
            self._verdict.fault(
                Message("the tree's hashes from place {place} on are not those of its leaves", place=place)
            )


_OWN: Final = Message("the ledger's own checkpoint")


def _of(source: str, what: str | ProofError) -> Message:
    return Message("{source}: {what}", source=source, what=what)


def _against_rules(call_id: str, index: int | None, error: ProofError | Message) -> Message:
    return Message("call {call_id}: leaf {leaf}: {error}", call_id=call_id, leaf=index, error=error)


def _not_open(call_id: str) -> Message:
    return Message("call {call_id}: the table `in_progress` holds it, and it is not in progress", call_id=call_id)


def _strange_step(call_id: str, number: int) -> Message:
    return Message("call {call_id}: its step {number} is none that idtone has written", call_id=call_id, number=number)


def _set_aside(call_id: str, number: int) -> Message:
    return Message(
        "call {call_id}: its step {number} was not written by this ledger's service, or was changed: it is in "
        "quarantine",
        call_id=call_id,
        number=number,
    )


def _not_ours(call_id: str, number: int) -> Message:
    return Message(
        "call {call_id}: its step {number} was not written by this ledger's service with its key, or was changed",
        call_id=call_id,
        number=number,
    )


def _missing(first: int, last: int) -> Message:
    return Message("the steps {first} to {last} are missing", first=first, last=last)
