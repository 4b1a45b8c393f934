"""A log monitor's alarms, and the rules for when a log or witness is late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from idtone.core.translation import Message


class AlarmKind(StrEnum):
    """Kinds of faults that a monitor detects in a log or a witness, worst first."""

    SPLIT_VIEW = "split-view"
    """The log's key signed two histories."""
    RULE = "rule"
    """A signed leaf violates a rule for leaves, or a cosignature is malformed."""
    SHRUNK = "shrunk"
    """The log shows fewer leaves than before."""
    KEY = "key"
    """The log's key did not sign the head that the log shows."""
    TILE = "tile"
    """A file differs from the signed content, or is missing."""
    UNREACHABLE = "unreachable"
    """The log's files cannot be read."""
    SILENCE = "silence"
    """The log has not grown for too long, or it withholds leaves that a witness has cosigned."""
    LATE_COSIGNATURE = "late-cosignature"
    """A witness has not cosigned the log's head for too long."""
    WITNESS = "witness"
    """A witness or a copy of the log does not answer, or shows something other than one of the log's heads."""


LASTING: Final = frozenset({AlarmKind.SPLIT_VIEW, AlarmKind.RULE})
"""Alarms that never end, because a signature cannot be undone. Other alarms end with their cause."""
IN_FILES: Final = frozenset({AlarmKind.SHRUNK, AlarmKind.KEY, AlarmKind.TILE})
"""Alarms about files.

They end only after these files have been read again, because until then it is unknown whether the cause lasts.
"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm raised by a log monitor.

    `since` is when the monitor first saw the cause. `proof` is the file that proves the fault to others.
    """

    kind: AlarmKind
    text: str
    since: datetime
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Number of a log's leaves that a witness has cosigned, as far as a monitor knows.

    `size` leaves are cosigned. If the log has shown more, `waiting` is their number and `since` is when they were first
    seen.
    """

    size: int = 0
    waiting: int | None = None
    since: datetime | None = None

    def updated(self, head: int, cosigned: int, now: datetime) -> Coverage:
        """The coverage after the log has shown `head` leaves and the witness has cosigned `cosigned` of them."""
        size = max(self.size, cosigned)
        if size >= head:
            return Coverage(size)
        if self.waiting is None or size >= self.waiting:
            return Coverage(size, head, now)
        return replace(self, size=size)


def cosignature_alarm(witness: str, coverage: Coverage, within: timedelta, now: datetime) -> Alarm | None:
    if coverage.since is None or now - coverage.since <= within:
        return None
    text = Message(
        "{witness} has cosigned {size:,} leaves; the log has shown {waiting:,} since {since}",
        witness=witness,
        size=coverage.size,
        waiting=coverage.waiting,
        since=to_second(coverage.since),
    )
    return Alarm(AlarmKind.LATE_COSIGNATURE, text, now)


def silence_alarm(grown: datetime | None, silent_for: timedelta, now: datetime) -> Alarm | None:
    """An alarm if a log has not grown for longer than `silent_for`; otherwise None.

    `grown` is when the log last grew. If it is None, the log was never read, and there is no alarm.
    """
    if grown is None or now - grown <= silent_for:
        return None
    return Alarm(AlarmKind.SILENCE, Message("no new leaf since {since}", since=to_second(grown)), now)


def withheld_alarm(
    place: str, shown: int, head: int, since: datetime, within: timedelta, now: datetime
) -> Alarm | None:
    """An alarm if a log withholds leaves that a witness or a copy has shown; None within the tolerance.

    `place` has shown `shown` leaves since `since`, and the log shows `head`. The tolerance is `within`.
    """
    if now - since <= within:
        return None
    text = Message(
        "{place} has a head of {shown:,} leaves since {since}; the log shows {head:,}",
        place=place,
        shown=shown,
        since=to_second(since),
        head=head,
    )
    return Alarm(AlarmKind.SILENCE, text, now)


def to_second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
