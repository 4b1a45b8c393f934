"""Who changed what in the registry or the suspensions, when and why: one JSON line for each change.

Each of the two files has a history of its own, since each is signed by its own holders: what they sign of a file names
how many lines its history had and their SHA-256 (`anchor`). So nobody can write it anew afterwards. It stays with the
association; members see the digest alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from idtone.documents import Model
from idtone.errors import TrustError
from idtone.files import replace_durably

from ..model import Moment, Sha256, Text

PRIVATE: Final = 0o600


class Verb(StrEnum):
    """What the desk does."""

    APPLY = "apply"
    REVIEW = "review"
    GRANT = "grant"
    RENEW = "renew"
    SUSPEND_LICENCE = "suspend-licence"
    RESUME_LICENCE = "resume-licence"
    REVOKE = "revoke"
    ASSIGN_NUMBER = "assign-number"
    RELEASE_NUMBER = "release-number"
    PROLONG = "prolong"
    SUSPEND_NUMBER = "suspend-number"
    LIFT = "lift"
    ROTATE = "rotate"
    EDIT = "edit"
    """By hand, outside of these."""


class Result(StrEnum):
    """Of a review."""

    PASSED = "passed"
    REFUSED = "refused"


class Standing(StrEnum):
    """Of an application."""

    RECEIVED = "to be reviewed"
    CHANGED = "changed after its review, to be reviewed again"
    PASSED = "to be granted"
    REFUSED = "refused"
    GRANTED = "granted"


class Entry(Model):
    """One line. `what` is what changed, in words; `before` and `after` are the file's digests. `by` is what was typed,
    and `account` is that of the machine.

    `subject` is the application, the licence, the member or the reference that it is about.
    """

    at: Moment
    verb: Verb
    by: Text
    account: Text | None = None
    confirmed_by: Text | None = None
    subject: Text
    why: Text
    requested: Moment | None = None
    """When the police asked for it."""
    result: Result | None = None
    application: Sha256 | None = None
    what: tuple[str, ...] = ()
    before: Sha256 | None = None
    after: Sha256 | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The lines of one file as they stood when it was read."""

    path: Path
    octets: bytes
    entries: tuple[Entry, ...]

    def anchor(self, entries: int | None = None) -> dict[str, Any]:
        """What a signature over a file says of its history, or of its first lines: `entries` and their `sha256`."""
        lines = self.octets.splitlines(keepends=True)[:entries]
        return {"entries": len(lines), "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}

    @property
    def left(self) -> str | None:
        """The SHA-256 of the file as the last change left it; None where there was none."""
        return next((entry.after for entry in reversed(self.entries) if entry.after), None)

    def gaps(self) -> Iterator[int]:
        """The lines, from 1, that do not begin where the change before them ended."""
        left: str | None = None
        for number, entry in enumerate(self.entries, 1):
            if entry.after is None:
                continue
            if left is not None and entry.before != left:
                yield number
            left = entry.after

    def with_entry(self, entry: Entry) -> History:
        """And on the disk. Raises TrustError."""
        line = json.dumps(entry.model_dump(mode="json", exclude_none=True), ensure_ascii=False).encode() + b"\n"
        later = History(self.path, self.octets + line, (*self.entries, entry))
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_durably(self.path, later.octets, PRIVATE)
        except OSError as error:
            raise TrustError(f"{self.path}: cannot be written: {error.strerror}") from error
        return later

    def of(self, subject: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.subject == subject)


def read_history(path: Path) -> History:
    """An empty one where there is no file. Raises TrustError for a line that is none of ours."""
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        octets = b""
    except OSError as error:
        raise TrustError(f"{path}: cannot be read: {error.strerror}") from error
    if octets and not octets.endswith(b"\n"):
        raise TrustError(f"{path}: its last line is not whole; bring the file back as it was")
    entries = []
    for number, line in enumerate(octets.splitlines(), 1):
        try:
            entries.append(Entry.model_validate_json(line))
        except ValidationError as error:
            raise TrustError(f"{path}:{number}: is no entry of a history; bring the file back as it was") from error
    return History(path, octets, tuple(entries))


def standing(entries: Iterable[Entry], sha256: str | None) -> Standing:
    """How an application stands by the lines that are about it; `sha256` is of the application as it is now."""
    found = Standing.RECEIVED
    for entry in entries:
        if entry.verb is Verb.GRANT:
            return Standing.GRANTED
        if entry.verb is Verb.REVIEW:
            passed = Standing.PASSED if entry.result is Result.PASSED else Standing.REFUSED
            found = passed if entry.application == sha256 else Standing.CHANGED
    return found
