"""The lines of the journal, in which the hook writes what it did. Pure.

    decided,CALL,NONCE,AT,NUMBER,DIRECTION,CALLED,DIALSTRING,CALLER,OUTCOME,REASON,HEARS
    sounded,CALL,NONCE,AT,PLAYED,CALLED-FILE,CALLER-FILE,SENT,SINCE,STATUS
    ended,CALL,NONCE,AT,STATUS,CAUSE,REASON,DIALSTATUS,TALKED-MS

Texts from outside are URI-encoded; times are seconds since 1970 with six decimals. The hook writes `decided` only for a
call that it decides itself; OUTCOME and REASON are empty for a call that ended before a decision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.calls import Direction, ForwardedCall, Outcome, Party, Reason
from idtone.dialplan import Played
from idtone.errors import JournalError
from idtone.ledger.evidence.steps import CallStatus, cause
from idtone.numbers import parse, perhaps

LONGEST_LINE: Final = 4096
"""Octets; the hook's lines are at most half as long and go into the file in one write."""

_FIELD: Final = re.compile(r"[!-+\--~]*")
_CALL_ID: Final = re.compile(r"[!-+\--~]{1,200}-[0-9]{1,9}")
_NONCE: Final = re.compile(r"[0-9]{12}")
_FILE: Final = re.compile(r"[A-Za-z0-9_.-]*")
_TIME: Final = re.compile(r"([0-9]{10})\.([0-9]{6})")
_NOT_PLAIN: Final = re.compile("[^ -~]")
_DIGIT: Final = re.compile("[0-9]")
_UNIQUE_ID: Final = re.compile(r"(?:^|-)([0-9]{10})\.[0-9]{1,9}-[0-9]{1,9}$")
_DOES: Final[Mapping[str, Set[str]]] = {
    "": {""},
    Outcome.NOTICE: {Reason.SERVICE_UNAVAILABLE},
    Outcome.REFUSE: {Reason.SERVICE_UNAVAILABLE, Reason.NUMBER_SUSPENDED, Reason.NUMBER_MALFORMED},
    Outcome.BYPASS: {Reason.EMERGENCY},
    Outcome.SHED: {Reason.OVERLOAD},
}
"""What the hook decides by itself → on which grounds."""
_PLAYED: Final[Set[str]] = frozenset(Played)
_STATUS: Final[Set[str]] = frozenset(CallStatus)
_REASONS: Final[Set[str]] = frozenset({"", *Reason})
_HEARS: Final = {
    "": frozenset[Party](),
    "none": frozenset[Party](),
    "called": frozenset({Party.CALLED}),
    "caller": frozenset({Party.CALLER}),
    "both": frozenset(Party),
}


@dataclass(frozen=True, slots=True)
class Decided:
    """The hook decided a call, or the call ended before a decision: then `outcome` is None."""

    call: ForwardedCall
    nonce: str
    at: datetime
    outcome: Outcome | None
    reason: Reason | None
    parties: frozenset[Party]

    @property
    def call_id(self) -> str:
        return self.call.id


@dataclass(frozen=True, slots=True)
class Sounded:
    """The hook played something, and `at` is when it was over.

    `files` are the names of the sounds, by party. `sent` is how many RTP packets Asterisk has sent to the called party,
    by Dial() in all, otherwise meanwhile; None if its channel has no RTP of its own. `since` is when the playback
    began, or for Dial() when the call was answered, None if that is not known. `status` is PLAYBACKSTATUS, `1` for a
    phone on hold, `moved` if another phone took the call.
    """

    call_id: str
    nonce: str
    at: datetime
    played: Played
    files: Mapping[Party, str]
    sent: int | None
    since: datetime | None
    status: str

    @property
    def elapsed_ms(self) -> float | None:
        """From `since`; None if that is not known."""
        return None if self.since is None else (self.at - self.since) / timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over. `talked_ms` is how long the parties were connected, if they were and if that is known."""

    call_id: str
    nonce: str
    at: datetime
    status: CallStatus
    hangup_cause: int | None
    reason: Reason | None
    answered: bool
    talked_ms: int | None


Line = Decided | Sounded | Ended


def read(line: str) -> Line:
    """Read one line, without its end. Raises JournalError, which holds nothing of the line."""
    fields = line.split(",")
    reader = _READERS.get((fields[0], len(fields)))
    if reader is None or len(line) > LONGEST_LINE or not all(map(_FIELD.fullmatch, fields)):
        raise JournalError("it is not one of the hook's lines, or was cut off")
    _, call_id, nonce, at, *rest = fields
    if not _CALL_ID.fullmatch(call_id) or not _NONCE.fullmatch(nonce):
        raise JournalError("its call id or its nonce is not one of the hook's")
    return reader(call_id, nonce, _moment(at), *rest)


def split(line: str) -> tuple[str, str] | None:
    """A line that was cut off, by a disk without room, and the one behind it; None if there is none."""
    start = max(line.rfind(f"{word},") for word, _ in _READERS)
    return (line[:start], line[start:]) if start > 0 else None


def _decided(
    call_id: str, nonce: str, at: datetime, number: str, direction: str, called: str, dial_string: str, caller: str,
    outcome: str, reason: str, hears: str,
) -> Decided:  # fmt: skip
    if reason not in _DOES.get(outcome, ()) or hears not in _HEARS or (_HEARS[hears] and outcome != Outcome.NOTICE):
        raise JournalError("its decision is not one of the hook's")
    number, dialled = unquote(number), unquote(called) or dialplan.dialled_user(unquote(dial_string))
    call = ForwardedCall(
        id=call_id,
        direction=Direction.OUTGOING if unquote(direction) == Direction.OUTGOING else Direction.INCOMING,
        forwarding_number=parse(number),
        caller=parse(unquote(caller)),
        called=parse(dialled),
        dialled=dialled,
        perhaps=perhaps(number),
    )
    return Decided(
        call, nonce, at, Outcome(outcome) if outcome else None, Reason(reason) if reason else None, _HEARS[hears]
    )


def _sounded(
    call_id: str, nonce: str, at: datetime, played: str, called: str, caller: str, sent: str, since: str, status: str
) -> Sounded:
    if played not in _PLAYED or not (_FILE.fullmatch(called) and _FILE.fullmatch(caller)):
        raise JournalError("what it says was played is not one of the hook's words")
    files = {party: name for party, name in ((Party.CALLED, called), (Party.CALLER, caller)) if name}
    packets = int(sent) if sent.isdecimal() and len(sent) < 10 else None
    if not files or (sent and packets is None):
        raise JournalError("it names no sound, or its number of packets is no number")
    if played != Played.DIAL and (caller or not since):
        raise JournalError("it says of a playback what only Dial() can have done")
    return Sounded(call_id, nonce, at, Played(played), files, packets, _moment(since) if since else None, status)


def _ended(
    call_id: str, nonce: str, at: datetime, status: str, hangup_cause: str, reason: str, dial_status: str, talked: str
) -> Ended:
    if status not in _STATUS or reason not in _REASONS:
        raise JournalError("the end that it tells is not one of the hook's words")
    milliseconds = int(talked) if talked.isdecimal() and len(talked) < 12 else None
    connected = CallStatus(status) is CallStatus.CONNECTED
    return Ended(
        call_id, nonce, at, CallStatus(status), cause(hangup_cause), Reason(reason) if reason else None,
        dial_status == "ANSWER", milliseconds if connected else None,
    )  # fmt: skip


_READERS: Final[Mapping[tuple[str, int], Callable[..., Line]]] = {
    ("decided", 12): _decided,
    ("sounded", 10): _sounded,
    ("ended", 9): _ended,
}
"""By the first field and the number of fields."""


def _moment(text: str) -> datetime:
    found = _TIME.fullmatch(text)
    if not found:
        raise JournalError("a time in it is not one of Asterisk's")
    return datetime.fromtimestamp(int(found[1]), UTC).replace(microsecond=int(found[2]))


EARLIEST: Final = timedelta(hours=1)
LATEST: Final = timedelta(days=7)
"""How far a call's times may lie from the time in its id: the clock can be stepped meanwhile, and calls last."""


def fits_its_id(call_id: str, at: datetime) -> bool:
    """Whether a call of this id can have been decided then. An id holds the second in which its channel was made."""
    found = _UNIQUE_ID.search(call_id)
    if not found:
        return False
    made = datetime.fromtimestamp(int(found[1]), UTC)
    return made - EARLIEST <= at <= made + LATEST


def blotted(line: str) -> str:
    """What may be kept of a line that cannot be read: every digit is 0."""
    return _DIGIT.sub("0", _NOT_PLAIN.sub("?", line))
