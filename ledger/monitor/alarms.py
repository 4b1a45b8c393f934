"""The alarms of a log monitor, and the rules for a late log or witness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from idtone.core.translation import Message


class AlarmKind(StrEnum):
    """The kind of a fault that a monitor finds in a log or a witness, the worst first."""

    SPLIT_VIEW = "split-view"
    """The log's key has signed two histories."""
    RULE = "rule"
    """A signed leaf breaks a rule for leaves, or a cosignature is malformed."""
    SHRUNK = "shrunk"
    """The log shows fewer leaves than before."""
    KEY = "key"
    """The head that the log shows is not signed by its key."""
    TILE = "tile"
    """A file differs from the signed content, or is missing."""
    UNREACHABLE = "unreachable"
    """The log's files cannot be read."""
    SILENCE = "silence"
    """The log has not grown for too long, or withholds leaves that a witness has cosigned."""
    LATE_COSIGNATURE = "late-cosignature"
    """A witness has not cosigned the log's head for too long."""
    WITNESS = "witness"
    """A witness, or a copy of the log, does not answer, or shows anything but a head of the log."""


LASTING: Final = frozenset({AlarmKind.SPLIT_VIEW, AlarmKind.RULE})
"""Alarms that never end, because a signature cannot be undone. Other alarms end with their cause."""
IN_FILES: Final = frozenset({AlarmKind.SHRUNK, AlarmKind.KEY, AlarmKind.TILE})
"""Alarms about files. They end only after a look at these files, because until then it is unknown whether the cause
lasts.
"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of a log monitor.

    `since` is the time when the monitor first saw the cause. `proof` is the file that proves the fault to others.
    """

    kind: AlarmKind
    text: str
    since: datetime
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The leaves of a log that a witness has cosigned, as far as a monitor knows.

    `size` leaves are cosigned. If the log has shown more, `waiting` is their number, and `since` the time when they
    were first seen.
    """

    size: int = 0
    waiting: int | None = None
    since: datetime | None = None

    def updated(self, head: int, cosigned: int, now: datetime) -> Coverage:
        """Coverage after the log has shown `head` leaves and the witness has cosigned `cosigned` of them."""
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
    """Alarm for a log that has not grown for longer than `silent_for`; None if the log is in time.

    `grown` is the time of the last growth. None means that the log was never read, and gives no alarm.
    """
    if grown is None or now - grown <= silent_for:
        return None
    return Alarm(AlarmKind.SILENCE, Message("no new leaf since {since}", since=to_second(grown)), now)


def withheld_alarm(
    place: str, shown: int, head: int, since: datetime, within: timedelta, now: datetime
) -> Alarm | None:
    """Alarm for a log that withholds leaves that a witness or a copy has shown; None within the tolerance.

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
