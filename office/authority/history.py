"""History of the registry or of the suspensions: one JSON line for each change, with its author, time and reason.

Each of the two files has a history of its own, because each has its own signers. A signature over a file also covers
its history: the signed metadata name the number of lines and their SHA-256 (`anchor`), so signed lines cannot be
rewritten later. The lines stay with the association; members see only the digest.
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
from idtone.core.files import writing
from idtone.core.translation import template
from idtone.core.yaml_documents import Model
from idtone.registry.model import Moment, Sha256, Text

from . import shared_folder
from .history_messages import Words, message_to_json


class Action(StrEnum):
    """Kinds of changes by the authority."""

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
    """Take back the last change, which was not published."""
    EDIT = "edit"
    """Record a change by hand, made without a command."""


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
    """One line of a history. `by` is the account that ran the command; `what` lists the differences.

    `subject` is the id of the application, licence or member, or the reference. `before` and `after` are the file's
    digests.
    """

    at: Moment
    action: Action
    by: Text
    subject: Text
    why: Text
    requested: Moment | None = None
    """Time of the request by the police, or by the holder of numbers that never originate."""
    entered_by: Text | None = None
    """The person who entered it first, if `by` is the person who approved it."""
    undone: Action | None = None
    """The action that was taken back."""
    result: ReviewResult | None = None
    application: Sha256 | None = None
    what: tuple[Words, ...] = ()
    before: Sha256 | None = None
    after: Sha256 | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry in the file's form; `what` can be shown in each language."""
        return self.model_dump(mode="json", exclude_none=True) | {"what": [message_to_json(each) for each in self.what]}


@dataclass(frozen=True, slots=True)
class History:
    """The entries of one history file and its octets, as read at one moment."""

    path: Path
    octets: bytes
    entries: tuple[HistoryEntry, ...]

    def count_and_sha256(self, entries: int | None = None) -> dict[str, Any]:
        """The record of a history, or of its first `entries` lines, in the signed metadata: count and SHA-256."""
        lines = self.octets.splitlines(keepends=True)[:entries]
        return {"entries": len(lines), "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}

    @property
    def last_sha256(self) -> str | None:
        """The SHA-256 of the file after the last change; None if nothing has changed."""
        return next((entry.after for entry in reversed(self.entries) if entry.after), None)

    def broken_lines(self) -> Iterator[int]:
        """The numbers (from 1) of lines whose `before` differs from the `after` of the change before them."""
        left: str | None = None
        for number, entry in enumerate(self.entries, 1):
            if entry.after is None:
                continue
            if left is not None and entry.before != left:
                yield number
            left = entry.after

    def with_entry_in_memory(self, entry: HistoryEntry) -> History:
        """The history with this entry, in memory only."""
        line = json.dumps(entry.to_json(), ensure_ascii=False).encode() + b"\n"
        return History(self.path, self.octets + line, (*self.entries, entry))

    def append_entry(self, entry: HistoryEntry) -> History:
        """The history with this entry, written to the disk. Raises TrustError."""
        later = self.with_entry_in_memory(entry)
        with writing(self.path, TrustError):
            shared_folder.write(self.path, later.octets)
        return later

    def entries_of(self, subject: str) -> tuple[HistoryEntry, ...]:
        return tuple(entry for entry in self.entries if entry.subject == subject)


def read_history(path: Path) -> History:
    """The history in a file; empty if there is no file. Raises TrustError for a line that is not an entry."""
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        octets = b""
    except OSError as error:
        raise TrustError("{path}: cannot be read: {reason}", path=path, reason=error.strerror) from error
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
    """The status of an application, by its entries; `sha256` is the application's present digest."""
    found, is_granted = ApplicationStatus.RECEIVED, False
    for entry in entries:
        if Action.GRANT in (entry.action, entry.undone):
            is_granted = entry.action is Action.GRANT
        if entry.action is Action.REVIEW:
            passed = ApplicationStatus.PASSED if entry.result is ReviewResult.PASSED else ApplicationStatus.REFUSED
            found = passed if entry.application == sha256 else ApplicationStatus.CHANGED
    return ApplicationStatus.GRANTED if is_granted else found
