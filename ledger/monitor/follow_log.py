"""One round of monitoring a log, which checks its head and its new leaves.

The monitor compares the head with heads that it saw earlier or elsewhere.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError, ProofError
from idtone.core.files import writing_into
from idtone.core.signed_notes import NOTE_LIMIT, Note, SignatureLine
from idtone.core.translation import Message

from ..evidence.format_rules import SKEW, RuleError
from ..evidence.leaf_rules import LeafRules
from ..keys.private_files import replace_private
from ..store.step_rows import moment
from ..tiles.tile_source import TileSource, tile_source
from ..tiles.tiles_verification import entries_as_signed, not_as_signed, signed_tree
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..tree.merkle import consistency_proof
from ..tree.tiles import CHECKPOINT, WIDTH, Tile, TiledTree, tiles
from .alarms import Alarm, AlarmKind, Coverage, cosignature_alarm, silence_alarm, to_second, withheld_alarm
from .fetch_heads import FetchedHead, cosigners, fetch_heads
from .log_state import ALARMS_LIMIT, LogState, PendingHead
from .monitored_logs import MonitoredLog
from .split_view import SplitView

TILES_A_STEP: Final = 32
"""Number of tiles that are checked between two commits. They contain 8,192 leaves."""


def follow(
    log: MonitoredLog, state: LogState, proofs: Path, now: datetime, is_over: Callable[[], bool] = lambda: False
) -> None:
    """Check once that a log's head continues the known head, and check its new leaves.

    `state` stores the findings, and the folder `proofs` receives proofs of split views. The round ends as soon as
    `is_over` returns True, and everything verified until then is kept. Raises LedgerError if nothing can be stored.
    """
    with writing_into(proofs, LedgerError):
        _Look(log, state, proofs, now, is_over).run()


class _Look:
    def __init__(
        self, log: MonitoredLog, state: LogState, proofs: Path, now: datetime, is_over: Callable[[], bool]
    ) -> None:
        self._log = log
        self._state = state
        self._proofs = proofs
        self._now = now
        self._is_over = is_over
        self._known = state.known()
        self._is_new = self._known.head is None
        self._source: TileSource = tile_source(log.place)
        self._tree: TiledTree | None = None
        """The tree of the known head."""
        self._is_followed = False
        """True if the log shows the known head."""
        self._split_at: set[str] = set()
        """Places where another history was seen."""
        self._alarms: list[Alarm] = []
        self._seen: set[AlarmKind] = set()
        """Kinds of alarms that end unless this round raises them again."""

    def run(self) -> None:
        note = self._read_head()
        if note:
            self._take(note)
        cosigned = self._cosigned()
        shown = list(fetch_heads(self._log))
        self._compare(shown)
        if self._is_followed:
            self._judge_leaves(cosigned)
            self._read_again()
            # Leaves are read again from the first wrong one on. Without the tree, none was read.
            if self._tree and all(each.kind is not AlarmKind.UNREACHABLE for each in self._alarms):
                self._seen.add(AlarmKind.TILE)
        self._look_at_times(cosigned, shown)
        self._known.looked = self._now
        with self._state.transaction(self._known):
            self._state.raise_alarms(self._alarms, self._seen)

    def _alarm(self, kind: AlarmKind, text: str, proof: str | None = None) -> None:
        if sum(each.kind is kind for each in self._alarms) < ALARMS_LIMIT:
            self._alarms.append(Alarm(kind, text, self._now, proof))

    def _alarm_of(self, error: LedgerError) -> None:
        """Note an alarm for files that are missing, unreadable, or different from the signed content."""
        self._alarm(AlarmKind.TILE if isinstance(error, ProofError) else AlarmKind.UNREACHABLE, str(error))

    # -- the head -----------------------------------------------------------------------------------------------------

    def _read_head(self) -> Note | None:
        """The head that the log shows, if the log's key has signed it."""
        try:
            octets = self._source.read(CHECKPOINT, NOTE_LIMIT)
            if octets is None:
                missing = Message("{place}: there is no file {name}", place=self._log.place, name=CHECKPOINT)
                self._alarm(AlarmKind.UNREACHABLE, missing)
                return None
            note = Note.parse(octets)
            verified_checkpoint(note, self._log.log_key)
        except ProofError as error:
            self._alarm(AlarmKind.KEY, str(error))
            self._seen.add(AlarmKind.KEY)
            return None
        except LedgerError as error:
            self._alarm(AlarmKind.UNREACHABLE, str(error))
            return None
        self._seen |= {AlarmKind.KEY, AlarmKind.SHRUNK}
        return note

    def _take(self, note: Note) -> None:
        """Follow the head if it continues the known one."""
        head, held, known = Checkpoint.parse(note.text), self._known.head, self._known.checkpoint
        if held and known and head.size < known.size:
            text = Message("it shows {size:,} leaves; it has shown {known:,}", size=head.size, known=known.size)
            self._alarm(AlarmKind.SHRUNK, text)
            with suppress(LedgerError):  # the files of the larger tree may be gone
                self._check_continued(note, self._log.place)
        elif held and known and head.size == known.size:
            if self._check_continued(note, self._log.place):
                self._known.head = self._verified(note).with_lines(held.signatures)
                self._is_followed = True
        else:
            try:
                self._grow(note, head)
            except LedgerError as error:
                self._alarm_of(error)

    def _grow(self, note: Note, head: Checkpoint) -> None:
        """Follow the grown tree.

        Raises ProofError if the files do not belong to this head, and LedgerError if they cannot be read.
        """
        held, known = self._known.head, self._known.checkpoint
        tree = signed_tree(self._source, head)
        if held and known and (root := tree.root_at(known.size)) != known.root:
            self._split(held, note, root, tree, self._log.place)
            return
        self._tree, self._known.head, self._known.grown = tree, self._verified(note), self._now
        self._is_followed = True

    def _check_continued(self, note: Note, place: str) -> bool:
        """True if the known head continues `note`, which has at most as many leaves. Otherwise, raises the alarm.

        If this cannot be determined, raises the same errors as `_grow`.
        """
        head, held, known = Checkpoint.parse(note.text), self._known.head, self._known.checkpoint
        assert held
        assert known
        tree = self._known_tree() if head.size < known.size else None
        root = tree.root_at(head.size) if tree else known.root
        if root != head.root:
            self._split(note, held, root, tree, place)
        return root == head.root

    def _known_tree(self) -> TiledTree:
        """The known head's tree. Raises the same errors as `_grow`."""
        if self._tree is None:
            known = self._known.checkpoint
            assert known
            self._tree = signed_tree(self._source, known)
        return self._tree

    def _split(self, first: Note, second_head: Note, root: bytes, tree: TiledTree | None, place: str) -> None:
        """Store the proof of a split view. `root` is the root of the second head's tree at the first head's size."""
        old, new = Checkpoint.parse(first.text), Checkpoint.parse(second_head.text)
        proof = tuple(consistency_proof(old.size, new.size, tree.read)) if tree else ()
        view = SplitView(first, second_head, root, proof, (self._log.place, place))
        view.check(self._log.log_key)
        digest = sha256(old.root + root).hexdigest()[:16]
        path = self._proofs / f"split-view-{old.size}-{digest}.json"
        if not path.exists():
            replace_private(path, bytes(view))
        text = Message(
            "its key has signed two histories: the one that the monitor follows, and what {place} shows; they differ "
            "within {size:,} leaves",
            place=place,
            size=old.size,
        )
        self._split_at.add(place)
        self._alarm(AlarmKind.SPLIT_VIEW, text, str(path))

    # -- witnesses and copies -----------------------------------------------------------------------------------------

    def _verified(self, note: Note) -> Note:
        """The note with only the verified signatures by the log and its witnesses."""
        lines: list[SignatureLine] = []
        for key in (self._log.log_key, *(key for _, key in self._log.witness_keys())):
            try:
                if note.signed_by([key]):
                    lines += (line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id))
            except ProofError as error:
                self._alarm(AlarmKind.RULE, Message("the checkpoint: {error}", error=error))
        return Note(note.text, tuple(dict.fromkeys(lines)))

    def _cosigned(self) -> dict[str, datetime]:
        """Witness → the time stated in its cosignature on the known head."""
        found: dict[str, datetime] = {}
        for _, key in self._log.witness_keys() if self._known.head else ():
            assert self._known.head
            with suppress(ProofError):  # the alarm was raised when the head came
                found |= cosigners(self._known.head, key)
        for name, at in found.items():
            if at > self._now + SKEW:
                text = Message("{witness} has cosigned at {at}, which is in the future", witness=name, at=to_second(at))
                self._alarm(AlarmKind.RULE, text)
        return found

    def _compare(self, shown: Sequence[FetchedHead]) -> None:
        places = {each.place for each in shown}
        self._known.pending = {place: each for place, each in self._known.pending.items() if place in places}
        later: dict[int, Note] = {}
        for each in shown:
            if each.trouble:
                self._alarm(AlarmKind.WITNESS, each.trouble)
            pending = self._known.pending.pop(each.place, None)
            if pending and not self._is_compared(pending.note, each.place):
                self._known.pending[each.place] = pending
                self._compare_later(later, pending.note, each.place)
            if each.note and not self._is_compared(each.note, each.place):
                self._known.pending.setdefault(each.place, PendingHead(each.note, self._now))
                self._compare_later(later, each.note, each.place)

    def _is_compared(self, note: Note, place: str) -> bool:
        """True if the head was compared with the known head; False if that is not possible yet."""
        known = self._known.checkpoint
        if known is None or Checkpoint.parse(note.text).size > known.size:
            return False
        try:
            self._check_continued(note, place)
        except LedgerError as error:
            if self._is_followed:
                self._alarm_of(error)
            return False
        return True

    def _compare_later(self, later: dict[int, Note], note: Note, place: str) -> None:
        head = Checkpoint.parse(note.text)
        other = later.setdefault(head.size, note)
        if (root := Checkpoint.parse(other.text).root) != head.root:
            self._split(note, other, root, None, place)

    # -- the leaves ---------------------------------------------------------------------------------------------------

    def _judge_leaves(self, cosigned: dict[str, datetime]) -> None:
        """Check the new leaves, up to any file that differs from the signed content.

        Later rounds stop there until the file is repaired.
        """
        known = self._known.checkpoint
        if known is None or self._known.checked >= known.size:
            return
        limit, by = min(((at, name) for name, at in cosigned.items()), default=(self._now, ""))
        newest = datetime.fromtimestamp(0, UTC)
        try:
            tree = self._known_tree()
        except LedgerError as error:
            self._alarm_of(error)
            return
        waiting = tiles(0, known.size, self._known.checked)
        while some := list(islice(waiting, TILES_A_STEP)):
            with self._state.transaction(self._known):
                rules = LeafRules(
                    self._state.counts, True, self._state.requests, self._known.order, self._known.has_ended
                )
                for tile in some:
                    times = self._judge_tile(tree, tile, rules)
                    if times is None:
                        return
                    for number, at in times:
                        newest = max(newest, at)
                        if at > min(limit, self._now) + SKEW:
                            self._look_at_time(number, at, limit, by)
            if self._is_over():
                return
        if self._is_new:
            self._known.grown = min(self._now, newest)

    def _judge_tile(self, tree: TiledTree, tile: Tile, rules: LeafRules) -> list[tuple[int, datetime]] | None:
        """Numbers and times of the tile's new leaves; None if a file differs from the signed content."""
        times = []
        entries = self._entries(tree, tile)
        for number, entry in enumerate(entries or (), tile.number * WIDTH):
            if number < self._known.checked:
                continue
            try:
                read = rules.add(entry)
            except RuleError as error:
                self._alarm(AlarmKind.RULE, Message("leaf {index}: {error}", index=number, error=error))
            else:
                times.append((number, moment(max(read.times))))
                self._known.note_given_up(read)
        if entries is None:
            return None
        self._known.checked, self._known.has_ended = tile.number * WIDTH + tile.width, rules.has_ended
        return times

    def _entries(self, tree: TiledTree, tile: Tile) -> list[bytes] | None:
        """All entries of a tile, as signed. If one differs, raises the alarm and returns None."""
        try:
            found = entries_as_signed(self._source, tree, tile)
        except LedgerError as error:
            self._alarm_of(error)
            return None
        entries = [entry for entry in found if entry is not None]
        if len(entries) < len(found):
            self._alarm(AlarmKind.TILE, not_as_signed(tile, tile.number * WIDTH + found.index(None)))
            return None
        return entries

    def _look_at_time(self, number: int, at: datetime, limit: datetime, by: str) -> None:
        if by and limit < self._now:
            text = Message(
                "leaf {number}: it is of {at}, and {witness} has cosigned it at {cosigned}",
                number=number,
                at=at,
                witness=by,
                cosigned=limit,
            )
        else:
            text = Message("leaf {number}: it is of {at}, which is in the future", number=number, at=at)
        self._alarm(AlarmKind.RULE, text)

    def _read_again(self) -> None:
        """Reread a full tile that was verified earlier, because files may change later."""
        known, count = self._known.checkpoint, self._known.checked // WIDTH
        if known is None or not count:
            return
        self._known.audited = number = self._known.audited % count
        try:
            if self._entries(self._known_tree(), Tile(0, number)):
                self._known.audited = number + 1
        except LedgerError as error:
            self._alarm_of(error)

    # -- times --------------------------------------------------------------------------------------------------------

    def _look_at_times(self, cosigned: dict[str, datetime], shown: Sequence[FetchedHead]) -> None:
        known, now = self._known, self._now
        size = known.checkpoint.size if known.checkpoint else 0
        covered = dict.fromkeys(cosigned, size)
        for each in shown:
            if each.witness and each.checkpoint and not each.trouble and each.place not in self._split_at:
                covered[each.witness] = max(covered.get(each.witness, 0), min(each.checkpoint.size, size))
        coverage = {
            key.name: known.coverage.get(key.name, Coverage()).updated(size, covered.get(key.name, 0), now)
            for _, key in self._log.witness_keys()
        }
        known.coverage = coverage
        late = [cosignature_alarm(name, each, self._log.cosigned_within, now) for name, each in coverage.items()]
        late.append(silence_alarm(known.grown, self._log.silent_for, now))
        late += [
            withheld_alarm(place, each.checkpoint.size, size, each.since, self._log.silent_for, now)
            for place, each in known.pending.items()
        ]
        self._alarms += filter(None, late)
