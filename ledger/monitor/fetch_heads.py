"""Fetches a log's heads from its witnesses and copies."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import NOTE_LIMIT, Note, VerifierKey, cosigned_at
from idtone.core.translation import Message

from ..tiles.tile_source import TileSite, TileSource, tile_source
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..tree.tiles import CHECKPOINT
from ..witness.add_checkpoint import log_digest
from .monitored_logs import MonitoredLog


@dataclass(frozen=True, slots=True)
class FetchedHead:
    """A signed log head as shown by a witness or a copy.

    `trouble` describes what is wrong with the head, if anything. Otherwise, `witness` names the witness that cosigned
    it.
    """

    place: str
    note: Note | None = None
    trouble: str = ""
    witness: str | None = None

    @property
    def checkpoint(self) -> Checkpoint | None:
        return Checkpoint.parse(self.note.text) if self.note else None


def fetch_heads(log: MonitoredLog) -> Iterator[FetchedHead]:
    """Fetch a log's current head from each witness and each copy.

    A witness without such a page (HTTP 404) shows nothing.
    """
    for url, key in log.witness_keys():
        yield _shown(TileSite(url), f"checkpoint/{log_digest(log.origin)}", url, log.log_key, key)
    for place in log.copies:
        yield _shown(tile_source(place), CHECKPOINT, place, log.log_key, None)


def _shown(source: TileSource, path: str, place: str, log: VerifierKey, witness: VerifierKey | None) -> FetchedHead:
    name = witness.name if witness else None
    trouble = ""
    try:
        octets = source.read(path, NOTE_LIMIT)
        note = Note.parse(octets) if octets is not None else None
        if note:
            verified_checkpoint(note, log)
    except ProofError as error:
        return FetchedHead(place, trouble=Message("{place}: {error}", place=place, error=error), witness=name)
    except LedgerError as error:
        return FetchedHead(place, trouble=str(error), witness=name)
    if note is None and not witness:
        trouble = Message("{place}: there is no file {name}", place=place, name=CHECKPOINT)
    elif note and witness and not _is_cosigned(note, witness):
        trouble = Message("{place}: {witness} has not cosigned what it shows", place=place, witness=witness.name)
    return FetchedHead(place, note, trouble, name)


def _is_cosigned(note: Note, witness: VerifierKey) -> bool:
    try:
        return bool(note.signed_by([witness]))
    except ProofError:
        return False


def cosigners(note: Note, witness: VerifierKey) -> dict[str, datetime]:
    """Time of a witness's latest cosignature on a head, by witness name; empty if there is none.

    Raises ProofError if a line names the witness but is not its cosignature, or has no usable time.
    """
    if not note.signed_by([witness]):
        return {}
    lines = [line for line in note.signatures if (line.name, line.key_id) == (witness.name, witness.key_id)]
    try:
        return {witness.name: datetime.fromtimestamp(max(map(cosigned_at, lines)), UTC)}
    except (OverflowError, ValueError, OSError) as error:
        raise ProofError("the line of {name} is no cosignature", name=witness.name) from error
