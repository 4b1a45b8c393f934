"""History of a registry file, with one JSON line per change that states its author, time and reason.

Each file has its own history because each has its own signers. The signed metadata contains the number of lines and
their SHA-256, so signed lines cannot be rewritten later. Members receive only the digest, not the lines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from idtone.core.errors import TrustError
from idtone.core.files import read_if_there, writing
from idtone.core.translation import template
from idtone.core.yaml_documents import Model
from idtone.registry.model import Moment, Sha256, Text

from . import group_shared_files
from .history_messages import Words, message_to_json


class Action(StrEnum):
    """Kinds of changes to the association's files."""

    APPLY = "apply"
    REVIEW = "review"
    GRANT = "grant"
    RENEW = "renew"
    SUSPEND_LICENCE = "suspend-licence"
    RESUME_LICENCE = "resume-licence"
    REVOKE = "revoke"
    ASSIGN_NUMBER = "assign-number"
    RELEASE_NUMBER = "release-number"
    PLEDGE = "pledge"
    CERTIFY = "certify"
    ADD_LINK = "add-link"
    CHECK_LINK = "check-link"
    CERTIFY_LINK = "certify-link"
    REMOVE_LINK = "remove-link"
    PORT_NUMBER = "port-number"
    REMOVE_PORTING = "remove-porting"
    ADD_NODE_KEY = "add-node-key"
    REMOVE_NODE_KEY = "remove-node-key"
    ADD_LOG_KEY = "add-log-key"
    END_LOG_KEY = "end-log-key"
    ADD_WITNESS = "add-witness"
    END_WITNESS = "end-witness"
    DEMAND_COSIGNATURES = "demand-cosignatures"
    DESCRIBE = "describe"
    TONE = "tone"
    STOPPING_CONDITIONS = "stopping-conditions"
    PROLONG = "prolong"
    EVALUATE = "evaluate"
    SUSPEND_NUMBER = "suspend-number"
    SUSPEND_RANGE = "suspend-range"
    SUSPEND_MEMBER = "suspend-member"
    LIFT = "lift"
    NO_NEW_NUMBERS = "no-new-numbers"
    ALLOW_NEW_NUMBERS = "allow-new-numbers"
    ADD_NEVER_ORIGINATING = "add-never-originating"
    REMOVE_NEVER_ORIGINATING = "remove-never-originating"
    ROTATE = "rotate"
    UNDO = "undo"
    """The last unpublished change was undone."""
    EDIT = "edit"
    """An edit by hand was recorded."""


class ReviewResult(StrEnum):
    PASSED = "passed"
    REFUSED = "refused"


class ApplicationStatus(StrEnum):
    RECEIVED = template("to be reviewed")
    CHANGED = template("changed after its review, to be reviewed again")
    PASSED = template("to be granted")
    REFUSED = template("refused")
    GRANTED = template("granted")


class HistoryEntry(Model):
    """One line of a file's history.

    `by` is the account that made the change, and `what` lists the differences. `subject` is the id of the application,
    licence or member, or the reference of a request. `before` and `after` are the SHA-256 of the edited file.
    """

    at: Moment
    action: Action
    by: Text
    subject: Text
    why: Text
    requested: Moment | None = None
    """When the police or the numbers' holder made the request."""
    entered_by: Text | None = None
    """Person who requested the change, if `by` is the account of the person who approved it."""
    undone: Action | None = None
    """Action that this line undoes."""
    result: ReviewResult | None = None
    application: Sha256 | None = None
    what: tuple[Words, ...] = ()
    before: Sha256 | None = None
    after: Sha256 | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form of the entry for the history file.

        Templates in `what` are kept so that they can be displayed in each language.
        """
        return self.model_dump(mode="json", exclude_none=True) | {"what": [message_to_json(each) for each in self.what]}


@dataclass(frozen=True, slots=True)
class History:
    """Entries of a history file, and the bytes they were read from."""

    path: Path
    octets: bytes
    entries: tuple[HistoryEntry, ...]

    def count_and_sha256(self, entries: int | None = None) -> dict[str, Any]:
        """Count and SHA-256 of all lines or the first `entries` lines, in the form used in signed metadata."""
        lines = self.octets.splitlines(keepends=True)[:entries]
        return {"entries": len(lines), "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}

    @property
    def last_sha256(self) -> str | None:
        """SHA-256 of the edited file after the latest change; None if the history is empty."""
        return next((entry.after for entry in reversed(self.entries) if entry.after), None)

    def broken_lines(self) -> Iterator[int]:
        """Line numbers, from 1, of changes that do not follow on from the previous one.

        In such a line, `before` differs from the previous change's `after`.
        """
        left: str | None = None
        for number, entry in enumerate(self.entries, 1):
            if entry.after is None:
                continue
            if left is not None and entry.before != left:
                yield number
            left = entry.after

    def with_entry_in_memory(self, entry: HistoryEntry) -> History:
        """Copy of the history with one more entry; the file is not changed."""
        line = json.dumps(entry.to_json(), ensure_ascii=False).encode() + b"\n"
        return History(self.path, self.octets + line, (*self.entries, entry))

    def append_entry(self, entry: HistoryEntry) -> History:
        """Append an entry to the history file and return the new history. Raises TrustError."""
        later = self.with_entry_in_memory(entry)
        with writing(self.path, TrustError):
            group_shared_files.write(self.path, later.octets)
        return later

    def entries_of(self, subject: str) -> tuple[HistoryEntry, ...]:
        return tuple(entry for entry in self.entries if entry.subject == subject)


def read_history(path: Path) -> History:
    """Read a history file, or return an empty history if it is missing. Raises TrustError for an invalid line."""
    octets = read_if_there(path, TrustError) or b""
    if octets and not octets.endswith(b"\n"):
        raise TrustError("{path}: its last line is incomplete; restore the file", path=path)
    entries = []
    for number, line in enumerate(octets.splitlines(), 1):
        try:
            entries.append(HistoryEntry.model_validate_json(line))
        except ValidationError as error:
            raise TrustError(
                "{path}:{number}: is not an entry of a history; restore the file", path=path, number=number
            ) from error
    return History(path, octets, tuple(entries))


def application_status(entries: Iterable[HistoryEntry], sha256: str | None) -> ApplicationStatus:
    """Status of an application, based on its history entries and the SHA-256 of its current content."""
    found, is_granted = ApplicationStatus.RECEIVED, False
    for entry in entries:
        if Action.GRANT in (entry.action, entry.undone):
            is_granted = entry.action is Action.GRANT
        if entry.action is Action.REVIEW:
            passed = ApplicationStatus.PASSED if entry.result is ReviewResult.PASSED else ApplicationStatus.REFUSED
            found = passed if entry.application == sha256 else ApplicationStatus.CHANGED
    return ApplicationStatus.GRANTED if is_granted else found
