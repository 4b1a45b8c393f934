"""Adds, lifts and ends customer refusals.

Each change is recorded in the office's ledger and produces a new `refusals.list` for the office to publish.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import replace_durably, writing
from idtone.core.japan_time import JAPAN
from idtone.core.yaml_documents import read_text
from idtone.ledger.evidence.steps import Scalar
from idtone.member.customers.refused.customer_identity import CustomerIdentity
from idtone.member.customers.refused.identity_keys import FILE as TABLE_FILE
from idtone.member.customers.refused.identity_keys import IdentityTable, default_table, parse_table
from idtone.member.customers.refused.refusal_list import RefusalList, pack_list
from idtone.registry.trust import tuf_roles

from ..authority.workspace import Workspace
from ..desk.office_ledger import OfficeLedger
from .refusal_basis import check_basis_decided
from .refusal_key import RefusalKey
from .refusal_store import Epoch, Refusal, RefusalStore, Sealed

REFUSED: Final = "customer-refused"
LIFTED: Final = "refusal-lifted"
ENDED: Final = "refusal-ended"
NEW_EPOCH: Final = "refusals-new-epoch"


class Refusals:
    """Customer refusals in an authority's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = RefusalStore(folder)
        self._workspace = Workspace(folder)
        self._ledger = OfficeLedger(folder)

    def epoch(self) -> Epoch:
        """Current public key and identity table. Raises UsageError if there is no key yet."""
        found = self.store.epoch()
        if found is None:
            raise UsageError(
                "{folder}: there is no key of refusals; `idtone-office refusal new-key` makes it", folder=self.folder
            )
        return found

    def check_key(self, key: RefusalKey) -> Epoch:
        """Check that `key` is the refusals' current key, and return its epoch.

        Raises TrustError for another key. Raises UsageError if no legal basis has been decided, because the key is used
        to add persons and to answer members.
        """
        check_basis_decided(self.folder)
        epoch = self.epoch()
        if key.key_pair(epoch.number).public != epoch.public:
            raise TrustError("this is not the key of the refusals")
        return epoch

    def enter(
        self,
        key: RefusalKey,
        identity: CustomerIdentity,
        reference: str,
        since: date,
        until: date,
        why: str,
        now: datetime,
    ) -> Refusal:
        """Add a customer refusal.

        Raises UsageError if the period is over, empty or too long, or if the identity table has changed. Raises
        TrustError if the key is not the current one.
        """
        longest = self._workspace.terms().refusals.longest
        if not (since < until and _today(now) < until and until - since <= longest):
            raise UsageError(
                "a refusal lasts from --since to --until, ends after today, and has at most {days} days",
                days=longest.days,
            )
        with self._workspace.locked():
            epoch = self.check_key(key)
            if read_identity_table(self.folder) != epoch.table:
                raise UsageError("{file} has changed; run `idtone-office refusal new-key` first", file=TABLE_FILE)
            details = {"request": reference, "since": since.isoformat(), "until": until.isoformat(), "why": why}
            refusal = self.store.add(
                reference,
                since,
                until,
                _sealed(key, epoch, identity),
                lambda made, tokens: self._record(REFUSED, made.id, {**details, "tokens": tokens}),
            )
            self._write(now)
        return refusal

    def lift(self, number: int, why: str, now: datetime) -> Refusal:
        """End a refusal early. Raises UsageError if the refusal does not exist."""
        with self._workspace.locked():
            found = [refusal for refusal in self.store.refusals() if refusal.number == number]
            if not found:
                raise UsageError(
                    "there is no refusal X-{number}; `idtone-office refusal list` lists all", number=number
                )
            self.store.remove(found, lambda refusal: self._record(LIFTED, refusal.id, {"why": why}))
            self._write(now)
        return found[0]

    def begin_epoch(
        self,
        old: RefusalKey | None,
        new: RefusalKey,
        why: str,
        now: datetime,
        progress: Callable[[int, int], object] = lambda done, of: None,
    ) -> Epoch:
        """Begin a new epoch by regenerating all refusals' tokens with the current identity table and a new key pair.

        `old` is the current key, or None before the first epoch. The key pair is derived from `new`, which may be the
        current key. `progress` receives the number of finished refusals and the total. Raises IdtoneError.
        """
        with self._workspace.locked():
            before = self.store.epoch()
            if before is not None and old is None:
                raise UsageError("name the present key with --key: it opens the identities")
            if before is not None and old is not None:
                self.check_key(old)
            check_basis_decided(self.folder)
            number = before.number + 1 if before else 1
            epoch = Epoch(number, new.key_pair(number).public, read_identity_table(self.folder))
            opener = old or new
            self.store.begin_epoch(
                epoch,
                lambda refusal: _sealed(new, epoch, opener.open(refusal.number, refusal.sealed)),
                lambda count: self._record(NEW_EPOCH, f"epoch-{number}", {"refusals": count, "why": why}),
                progress,
            )
            self._write(now)
        return epoch

    def drop_ended(self, now: datetime) -> list[Refusal]:
        """Delete and return refusals whose period is over. Call this method before publishing."""
        if self.store.epoch() is None:
            return []
        with self._workspace.locked():
            ended = [refusal for refusal in self.store.refusals() if refusal.until <= _today(now)]
            self.store.remove(ended, lambda refusal: self._record(ENDED, refusal.id, {}))
            self._write(now)
        return ended

    def _write(self, now: datetime) -> None:
        epoch, path = self.epoch(), self.folder / tuf_roles.REFUSALS_FILE
        made = pack_list(self.store.tokens(), epoch.number, epoch.public, epoch.table, _today(now))
        with writing(path, UsageError):
            if not path.exists() or _content(path.read_bytes()) != _content(made):
                replace_durably(path, made)

    def _record(self, act: str, subject: str, details: Mapping[str, Scalar]) -> None:
        self._ledger.record(act, subject, **details)


def read_identity_table(folder: Path) -> IdentityTable:
    """Read the identity table in the association's folder, or idtone's own if the folder has none.

    Raises DocumentError.
    """
    path = folder / TABLE_FILE
    return parse_table(read_text(path), str(path)) if path.exists() else default_table()


def _sealed(key: RefusalKey, epoch: Epoch, identity: CustomerIdentity) -> Sealed:
    tokens = key.tokens(epoch.number, epoch.table.keys_of(identity))
    return lambda number: (key.seal(number, identity), tokens)


def _content(octets: bytes) -> tuple[object, ...]:
    """Content of a list without its date, for comparing two lists. Empty if the list is damaged."""
    try:
        found = RefusalList(octets)
    except TrustError:
        return ()
    return found.epoch, found.public, found.table, found.rows


def _today(now: datetime) -> date:
    return now.astimezone(JAPAN).date()
