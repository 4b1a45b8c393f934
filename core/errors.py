"""The errors that idtone raises on purpose.

    IdtoneError
    ├── UsageError          wrong use of the command line, or a named thing does not exist
    ├── DocumentError       a YAML file cannot be used; has all faults of the file
    ├── NumberError         a text is not the telephone number that is needed
    ├── ToneError           a tone profile or a sound file cannot be made
    ├── RecordingError      an audio file or a capture cannot be read
    ├── TrustError          the registry's signatures do not hold, or it cannot be fetched or signed
    ├── LedgerError         evidence cannot be written or read
    │   ├── LedgerInUseError  another process writes to the ledger
    │   ├── LedgerBehindError  evidence is kept, but not on the disk yet
    │   ├── LedgerClosedError  this process writes no evidence any more
    │   ├── TokenAwayError  the token that signs cannot be used now
    │   └── ProofError      a signed note, a checkpoint or a proof is malformed or wrong
    ├── TokenError          a hardware token has no such key, or does not sign
    ├── BackupError         a backup cannot be made, or an archive cannot be used
    ├── FallbackError       fallback.conf cannot be written
    ├── JournalError        a line of the journal is malformed, or contradicts its call
    ├── AgiError            the peer does not follow the AGI protocol
    └── AriError            Asterisk's REST interface cannot do what was asked
        ├── AriRefused      Asterisk answered with an error status
        └── AriUnavailable  Asterisk cannot be reached, or did not answer in time

An ordinary hangup, a busy phone and an unlicensed number are outcomes, not errors.
"""

from collections.abc import Iterable
from copyreg import __newobj__  # type: ignore[attr-defined]  # of `pickle`, and not in the stubs
from dataclasses import dataclass
from typing import Any, Final

from .translation import Message, as_message, joined


class IdtoneError(Exception):
    """Base class of all errors that idtone raises on purpose. The text is meant for the user.

    The text is a `Message`. If `fields` are given, they fill in the text as a template.
    """

    def __init__(self, text: str, /, **fields: Any) -> None:
        super().__init__(Message(text, **fields) if fields else as_message(text))

    def __reduce__(self) -> tuple[Any, ...]:
        return __newobj__, (type(self), *self.args), self.__dict__


class UsageError(IdtoneError):
    """The command line is wrong or names something that does not exist."""


class ChangeError(IdtoneError):
    """A change to the PBX failed and was rolled back."""


class NumberError(IdtoneError):
    """A text is not a telephone number of the required kind. The error has the problem and possibly a remedy.

    The error never contains the text.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(joined("; ", (problem, remedy)) if remedy else problem)
        self.problem, self.remedy = problem, remedy


class ToneError(IdtoneError):
    """A tone profile or a sound file cannot be made."""


class RecordingError(IdtoneError):
    """An audio file or a capture cannot be read."""


class TrustError(IdtoneError):
    """The registry cannot be fetched, verified or signed."""


class TokenError(IdtoneError):
    """A hardware token lacks the requested key or does not sign.

    `is_final` forbids an automatic retry. `is_absent` means that the token's library reported the key as missing.
    """

    def __init__(self, text: str, is_final: bool = False, is_absent: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final
        self.is_absent = is_absent


class LedgerError(IdtoneError):
    """Evidence cannot be written or read."""


class TokenAwayError(LedgerError):
    """The hardware token with the log's key is unavailable. Evidence is written but not signed.

    `is_absent` means that the token's library reported the key as missing.
    """

    def __init__(self, text: str, is_absent: bool = False) -> None:
        super().__init__(text)
        self.is_absent = is_absent


class CustomerError(IdtoneError):
    """A customer's form cannot be stored, opened or erased."""


class BackupError(IdtoneError):
    """A backup cannot be made or an archive cannot be used."""


class FallbackError(IdtoneError):
    """The file `fallback.conf`, which the hook uses while the service is down, cannot be written."""


class JournalError(IdtoneError):
    """A journal line is malformed or contradicts its call. The error never contains the line."""


class LedgerInUseError(LedgerError):
    """Another process has opened the ledger for writing."""


class LedgerBehindError(LedgerError):
    """Evidence has not reached the disk yet. It is queued and will be written as soon as possible."""


class LedgerClosedError(LedgerError):
    """This process has closed the ledger and writes no more evidence."""


class ProofError(LedgerError):
    """A signed note, checkpoint or proof is malformed or does not prove its claim."""


class AgiError(IdtoneError):
    """The peer violates the AGI protocol. The error names the field but never contains its value."""


class AriError(IdtoneError):
    """A request to Asterisk's REST interface (ARI) failed."""


class AriRefused(AriError):
    """Asterisk answered an ARI request with an error status."""

    def __init__(self, status: int, reason: str, request: str) -> None:
        super().__init__(
            Message("Asterisk answered {status} {reason!r} to {request}", status=status, reason=reason, request=request)
        )
        self.status = status
        self.reason = reason


class AriUnavailable(AriError):
    """Asterisk cannot be reached over ARI or did not answer in time."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A fault in a file, with its location, the problem and a remedy.

    `line` and `column` start at 1. A value of 0 means the whole file.
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
        return Message(
            "{place}: {field}{problem}. {remedy}", place=place, field=field, problem=self.problem, remedy=self.remedy
        )


_IN_SUMMARY: Final = 5


class DocumentError(IdtoneError):
    """A file cannot be used. `faults` lists all of its faults in file order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__(joined("\n", map(str, self.faults)))

    def summary(self) -> str:
        """The first faults on one line, for a log."""
        shown = "; ".join(map(str, self.faults[:_IN_SUMMARY]))
        more = len(self.faults) - _IN_SUMMARY
        return f"{shown}; and {more} more faults" if more > 0 else shown
