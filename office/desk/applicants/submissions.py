"""Stores applicants' submissions in the office's folder and records all actions on them in the office's ledger.

The file `submissions/W-….json` holds the applicant's entries, the state, and the SHA-256 of the secret. The file
`submissions/W-….pdf` is the signed pledge.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import reading, writing
from idtone.core.terminal.prompts import checked_line
from idtone.member.reports.report_documents import new_receipt, receipt_digest

from ...authority import group_shared_files
from ...authority.folder_lock import lock_folder
from ...authority.typed_dates import in_japan
from ..office_ledger import TURN_WITHIN_S, OfficeLedger
from .submission import Submission, SubmissionState, SubmittedForm

FOLDER: Final = "submissions"
LOCK: Final = ".submissions.lock"
_ID: Final = re.compile(r"W-[0-9a-f]{8}")


class TooManyWaitError(UsageError):
    """Too many submissions are already open."""


class Submissions:
    """Store of applicants' submissions. All threads may use the same object.

    If a method raises IdtoneError, nothing has changed.
    """

    def __init__(self, folder: Path, ledger: OfficeLedger | None = None) -> None:
        self._office, self._folder = folder, folder / FOLDER
        self._ledger = ledger or OfficeLedger(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the submissions lock in a `with` block. Raises TrustError.

        If the office folder's lock is also needed, take it first. The office's ledger stays unlocked because the desk
        needs it in the meantime.
        """
        lock = self._office / LOCK
        with ExitStack() as stack:
            with writing(lock, TrustError):
                try:
                    stack.enter_context(lock_folder(lock, TURN_WITHIN_S))
                except TimeoutError as error:
                    raise TrustError(
                        "{folder}: the acts before this one take too long; try again", folder=self._folder
                    ) from error
            yield

    def all(self) -> list[Submission]:
        """Read all submissions, oldest first. Raises TrustError if a file is damaged."""
        found = [self._read(path) for path in sorted(self._folder.glob("W-*.json"))]
        return sorted(found, key=lambda each: (each.received, each.id))

    def named(self, id_: str) -> Submission:
        """Read the submission with this id. Raises UsageError if it does not exist."""
        path = self._path(id_)
        if not path.exists():
            raise UsageError("there is no application {id!r} of an applicant", id=id_)
        return self._read(path)

    def by_secret(self, id_: str, secret: str) -> Submission | None:
        """Find the submission with this receipt number and secret, or return None if there is none."""
        id_ = id_.strip()
        if not _ID.fullmatch(id_) or not self._path(id_).exists():
            return None
        found = self._read(self._path(id_))
        return found if hmac.compare_digest(found.secret, receipt_digest(secret)) else None

    def pdf(self, submission: Submission) -> bytes:
        """Read a submission's pledge as a PDF.

        Raises TrustError if the file is damaged or was replaced after `submission` was read.
        """
        path = self._path(submission.id).with_suffix(".pdf")
        with reading(path, TrustError):
            octets = path.read_bytes()
        if hashlib.sha256(octets).hexdigest() != submission.pledge:
            raise TrustError("{path}: is damaged; restore it from a backup", path=path)
        return octets

    def enter(self, handed: SubmittedForm, pdf: bytes, sha256: str, most: int, now: datetime) -> tuple[Submission, str]:
        """Store a new submission and return it with its secret, which is not stored.

        Raises TooManyWaitError if `most` submissions are already open, including those sent back for correction.
        """
        secret = new_receipt()
        with self.locked():
            if sum(each.is_open for each in self.all()) >= most:
                raise TooManyWaitError("too many applications wait")
            id_ = next(name for name in iter(_new_id, "") if not self._path(name).exists())
            at = in_japan(now)
            made = Submission(
                id=id_, secret=receipt_digest(secret), received=at, changed=at, handed=handed, pledge=sha256
            )
            self._change(made, "application-handed-in", pdf, sha256=sha256)
        return made, secret

    def correct(
        self, before: Submission, handed: SubmittedForm, pdf: bytes | None, sha256: str, now: datetime
    ) -> Submission:
        """Replace a submission's content with the applicant's correction, which the office then has to read.

        Raises UsageError if the submission has changed since `before` or is no longer open.
        """
        with self.locked():
            held = self._open(before)
            made = held.model_copy(
                update={"handed": handed, "pledge": sha256, "changed": in_japan(now), "state": SubmissionState.WAITING}
            )
            self._change(made, "application-corrected", pdf, sha256=sha256)
        return made

    def answer(self, before: Submission, state: SubmissionState, note: str, label: str) -> Submission:
        """Send a submission back for correction or decline it, with a message to the applicant.

        `before` is the submission that the officer has read. `label` is the name of the message in errors.
        """
        words = checked_line(note, label)
        with self.locked():
            update = {"state": state, "note": words, "changed": in_japan(datetime.now(UTC))}
            made = self._open(before).model_copy(update=update)
            self._change(made, f"application-{state.value}", None)  # the ledger cannot forget what the note may name
        return made

    def receive(self, before: Submission, application: str) -> Submission:
        """Record the application that resulted from a submission."""
        with self.locked():
            update = {
                "state": SubmissionState.RECEIVED, "application": application, "note": None,
                "changed": in_japan(datetime.now(UTC)),
            }  # fmt: skip
            made = self._open(before).model_copy(update=update)
            self._change(made, "application-taken", None, application=application)
        return made

    def forget(self, before: datetime) -> int:
        """Erase submissions that need no more work from the office and last changed before a time.

        Also erases files that a crash left behind.

        Returns the number of erased submissions.
        """
        with self.locked(), writing(self._folder, TrustError):
            over = [each for each in self.all() if each.is_over(before)]
            for each in over:
                self._ledger.record("application-forgotten", each.id)
                self._path(each.id).with_suffix(".pdf").unlink(missing_ok=True)
                self._path(each.id).unlink(missing_ok=True)
            for path in (*self._folder.glob("W-*.new"), *self._folder.glob("W-*.pdf")):
                if path.suffix == ".new" or not path.with_suffix(".json").exists():
                    path.unlink(missing_ok=True)
        return len(over)

    def refuse_changed(self, before: Submission) -> None:
        """Raise UsageError if the submission has changed since `before` or is no longer open."""
        with self.locked():
            self._open(before)

    def _open(self, before: Submission) -> Submission:
        held = self.named(before.id)
        if not held.is_open:
            raise UsageError("this application was received or declined already")
        if held != before:
            raise UsageError("the applicant has changed this application since you read it; read it again")
        return held

    def _change(self, made: Submission, act: str, pdf: bytes | None, **details: Any) -> None:
        path = self._path(made.id)
        new = path.with_suffix(".new")
        with writing(path, TrustError):
            if pdf is not None:
                group_shared_files.write(new, pdf)
            try:
                self._ledger.record(act, made.id, **details)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
            if pdf is not None:
                new.replace(path.with_suffix(".pdf"))
            group_shared_files.write(path, made.model_dump_json(indent=1).encode() + b"\n")

    def _path(self, id_: str) -> Path:
        if not _ID.fullmatch(id_):
            raise UsageError("there is no application {id!r} of an applicant", id=id_)
        return self._folder / f"{id_}.json"

    def _read(self, path: Path) -> Submission:
        with reading(path, TrustError):
            octets = path.read_bytes()
        try:
            return Submission.model_validate_json(octets)
        except ValidationError as error:
            raise TrustError("{path}: is damaged; restore it from a backup", path=path) from error


def _new_id() -> str:
    return f"W-{secrets.token_hex(4)}"
