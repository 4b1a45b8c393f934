"""Everything idtone raises on purpose.

    IdtoneError
    ├── UsageError          the command line was used wrongly, or a named thing does not exist
    ├── DocumentError       a YAML file cannot be used; carries every fault found in it
    ├── NumberError         a telephone number where only a full one will do
    ├── ToneError           a tone profile or a sound file cannot be made
    ├── RecordingError      an audio file or a capture cannot be read
    ├── TrustError          a registry is not what the association signed, or cannot be signed
    ├── LedgerError         evidence cannot be written or read
    │   ├── LedgerInUseError  another process writes to it
    │   ├── LedgerBehindError  not yet: it is kept, and written as soon as that can be
    │   ├── LedgerClosedError  not by this process any more
    │   └── ProofError      a checkpoint or a proof of it is not what it claims to be
    ├── FallbackError       what Asterisk is to know while the service is down cannot be left with it
    ├── JournalError        a line of the journal is not one of the hook's, or cannot be believed
    ├── AgiError            a conversation over AGI went as Asterisk does not lead one
    └── AriError            Asterisk's REST interface
        ├── AriRefused      it answered with an error status
        └── AriUnavailable  it cannot be reached, or did not answer in time

An ordinary hangup, a busy phone and an unlicensed number are outcomes, not errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class IdtoneError(Exception):
    """Base of every error that idtone raises on purpose; its text is meant for the user."""


class UsageError(IdtoneError):
    """The command line was used wrongly, or names something that does not exist."""


class NumberError(IdtoneError):
    """A telephone number was needed and the text is not one. Never carries the text itself."""


class ToneError(IdtoneError):
    """A tone profile or a sound file cannot be made."""


class RecordingError(IdtoneError):
    """An audio file or a capture cannot be read."""


class TrustError(IdtoneError):
    """A registry is not what the association signed, or what it published cannot be reached or signed."""


class LedgerError(IdtoneError):
    """Evidence cannot be written or read."""


class FallbackError(IdtoneError):
    """What Asterisk is to know while the service is down cannot be left with it."""


class JournalError(IdtoneError):
    """A line of the journal is not one of the hook's, or cannot be believed. Never carries the line."""


class LedgerInUseError(LedgerError):
    """Another process writes to the ledger."""


class LedgerBehindError(LedgerError):
    """Evidence is not on the disk yet; it is kept, and written as soon as that can be."""


class LedgerClosedError(LedgerError):
    """This process writes no evidence any more."""


class ProofError(LedgerError):
    """A signed note, a checkpoint or a proof is malformed, or does not prove what it claims to."""


class AgiError(IdtoneError):
    """A conversation over AGI went as Asterisk does not lead one. Names the field, never its value."""


class AriError(IdtoneError):
    """Asterisk's REST interface could not do what was asked."""


class AriRefused(AriError):
    """Asterisk answered a request with an error status (`status`, `reason`)."""

    def __init__(self, status: int, reason: str, request: str) -> None:
        super().__init__(f"Asterisk answered {status} {reason!r} to {request}")
        self.status = status
        self.reason = reason


class AriUnavailable(AriError):
    """Asterisk cannot be reached, or did not answer in time."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a file: where it stands, what it is and what to do about it.

    `line` and `column` count from 1; 0 means the fault concerns the whole file.
    """

    file: str
    line: int
    column: int
    field: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {field}{self.problem}. {self.remedy}"


class DocumentError(IdtoneError):
    """A file cannot be used; `faults` holds every fault found in it, in order of place."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))
