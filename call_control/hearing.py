"""Whether a party heard a sound, by what the hook wrote of it. Pure: the only place that says so.

| played | what is known | heard |
|---|---|---|
| by Dial(), called party | fewer packets were sent than the sound has | no |
|  | the called party held the call, or another phone took it | no |
|  | exactly the packets of the sound were sent | yes, by packets |
|  | more packets (the caller's voice came before the answer), and Dial() played long enough | yes, by time |
|  | no packets are counted on its channel, and Dial() played long enough | yes, by time |
|  | as in these two, but nothing tells when it was answered | yes, by Dial() alone |
|  | as in these three, but Dial() was too short | no |
| by Dial(), caller | it hung up, or another phone took its place | no |
|  | exactly the called party's packets were sent, and its sound is not shorter | yes, by time |
|  | otherwise, Dial() played long enough | yes, by time |
|  | nothing tells how long it played | yes, by Dial() alone |
|  | Dial() was too short | no |
| by Playback() | it ended as SUCCESS, lasted as long as the sound, and sent its packets | yes, by packets |
|  | the same on a channel without packets | yes, by playback |
|  | otherwise | no |
| by Playtones() | it lasted as long as the notice, and sent its packets, perhaps without the last | yes, by time |
|  | otherwise | no |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idtone.calls import Party
from idtone.dialplan import PACKET_MS, Played, packets

from .journal_lines import Sounded

TOLERANCE_MS: Final = PACKET_MS
"""Asterisk goes on when it has sent the last packet, not when that was played out."""
SUCCESS: Final = "SUCCESS"
_AGAINST: Final[Mapping[str, str]] = {
    "moved": "another phone took the call meanwhile",
    "1": "the called party held the call",
}
"""Status of a line → why the called party did not hear the sound, whatever the packets and the time say."""
LEFT: Final = "left"
"""Status of a line: the caller hung up, or another phone took its place."""


class KnownBy(StrEnum):
    """By what it is known that a party heard a sound, the strongest first."""

    PACKETS = "packets"
    """Asterisk sent all packets of the sound, and by Dial() no others."""
    TIME = "time"
    """The sound lasted as long as it had to, by Asterisk's clock."""
    PLAYBACK = "playback"
    """Asterisk reported the playback as complete, and it lasted as long as it had to."""
    DIAL = "dial"
    """Dial() went on after the sound. How long it lasted was not measured."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """`known_by` is None if the sound was not heard; then `why` says why. `lasted_ms` is how long it was played."""

    lasted_ms: int
    known_by: KnownBy | None = None
    why: str = ""

    @property
    def heard(self) -> bool:
        return self.known_by is not None


def hearing(line: Sounded, party: Party, duration_ms: float, called_ms: float | None = None) -> Hearing:
    """Whether the party heard its sound of `duration_ms`.

    `called_ms` is the length of the called party's sound, None if that party heard none.
    """
    match line.played:
        case Played.DIAL if party is Party.CALLED:
            known = _dialled_called(line, duration_ms)
        case Played.DIAL:
            known = _dialled_caller(line, duration_ms, called_ms)
        case Played.TONES:
            known = _toned(line, duration_ms)
        case _:
            known = _played_back(line, duration_ms)
    if isinstance(known, KnownBy):
        return Hearing(round(duration_ms), known)
    elapsed_ms = line.elapsed_ms
    lasted_ms = line.sent * PACKET_MS if line.sent is not None and party is Party.CALLED else elapsed_ms or 0.0
    return Hearing(max(0, round(min(lasted_ms, duration_ms))), None, known)


# Each of these gives by what it is known that the sound was heard, or why it was not.


def _dialled_called(line: Sounded, duration_ms: float) -> KnownBy | str:
    wanted = packets(duration_ms)
    if line.sent is not None and line.sent < wanted:
        return _too_few(line, wanted)
    against = _against(line)
    if against:
        return against
    return KnownBy.PACKETS if line.sent == wanted else _timed(line, duration_ms)


def _dialled_caller(line: Sounded, duration_ms: float, called_ms: float | None) -> KnownBy | str:
    if line.status == LEFT:
        return "the caller hung up, or another phone took its place"
    if called_ms is not None and line.sent == packets(called_ms) and duration_ms <= called_ms + TOLERANCE_MS:
        return KnownBy.TIME
    return _timed(line, duration_ms)


def _played_back(line: Sounded, duration_ms: float) -> KnownBy | str:
    if line.status != SUCCESS:
        return f"the playback ended as {line.status!r}"
    timed = _timed(line, duration_ms)
    if timed is not KnownBy.TIME:
        return timed
    if line.sent is None:
        return KnownBy.PLAYBACK
    wanted = packets(duration_ms)
    return KnownBy.PACKETS if line.sent >= wanted else _too_few(line, wanted)


def _toned(line: Sounded, duration_ms: float) -> KnownBy | str:
    """Wait() ends the tones, and not the last of their packets."""
    known = _played_back(line, duration_ms - PACKET_MS)
    return KnownBy.TIME if isinstance(known, KnownBy) else known


def _timed(line: Sounded, duration_ms: float) -> KnownBy | str:
    elapsed_ms = line.elapsed_ms
    if elapsed_ms is None:
        return KnownBy.DIAL if line.played is Played.DIAL else "nothing tells how long it lasted"
    if elapsed_ms < duration_ms - TOLERANCE_MS:
        return f"it lasted {max(0, round(elapsed_ms))} ms by Asterisk's clock"
    return KnownBy.TIME


def _against(line: Sounded) -> str:
    """Why it was not heard, whatever the packets and the time say; empty if nothing speaks against it."""
    return _AGAINST.get(line.status, "")


def _too_few(line: Sounded, wanted: int) -> str:
    return f"{line.sent} of {wanted} packets were sent"
