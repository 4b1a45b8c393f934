"""Whether a party heard a sound, judged by the hook's journal line. Pure; no other module judges this.

| played | what is known | heard |
|---|---|---|
| by Dial(), called party | fewer packets were sent than the sound has | no |
|  | the called party held the call, or another phone took it | no |
|  | exactly the packets of the sound were sent | yes, by packets |
|  | more packets (the caller's voice came before the answer), and Dial() played long enough | yes, by time |
|  | its channel does not count packets, and Dial() played long enough | yes, by time |
|  | more packets, or its channel does not count them, and the time of the answer is unknown | yes, by Dial() alone |
|  | more packets, or its channel does not count them, and Dial() did not play long enough | no |
| by Dial(), caller | it hung up, or another phone took its place | no |
|  | a Local channel is between it and the call, and may not have passed the sound on | no |
|  | exactly the called party's packets were sent, and its sound is not shorter | yes, by time |
|  | otherwise, Dial() played long enough | yes, by time |
|  | it is unknown how long it played | yes, by Dial() alone |
|  | Dial() did not play long enough | no |
| by Playback() | it ended as SUCCESS, lasted as long as the sound, and sent its packets | yes, by packets |
|  | the same on a channel without packets | yes, by playback |
|  | otherwise | no |
| by Playtones() | it lasted as long as the notice, and sent its packets; the last may be missing | yes, by time |
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
"""Asterisk continues when it has sent the last packet, before the phone has played it."""
SUCCESS: Final = "SUCCESS"
_NOT_HEARD: Final[Mapping[str, str]] = {
    "moved": "another phone took the call meanwhile",
    "1": "the called party held the call",
}
"""Status of a line → why the called party did not hear the sound, regardless of packets and time."""
LEFT: Final = "left"
"""Status of a line: the caller hung up, or another phone took the caller's place."""


class KnownBy(StrEnum):
    """The proof that a party heard a sound; the strongest comes first."""

    PACKETS = "packets"
    """Asterisk sent all packets of the sound. During Dial() it sent no other packets."""
    TIME = "time"
    """The sound lasted long enough by Asterisk's clock."""
    PLAYBACK = "playback"
    """Asterisk reported the playback as complete, and it lasted long enough."""
    DIAL = "dial"
    """Dial() continued after the sound. The duration is unknown."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """`known_by` is None if the sound was not heard; `why` then gives the reason. `lasted_ms`: how long it played."""

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
            known = _called_by_dial(line, duration_ms)
        case Played.DIAL:
            known = _caller_by_dial(line, duration_ms, called_ms)
        case Played.TONES:
            known = _by_tones(line, duration_ms)
        case _:
            known = _by_playback(line, duration_ms)
    if isinstance(known, KnownBy):
        return Hearing(round(duration_ms), known)
    elapsed_ms = line.elapsed_ms
    lasted_ms = line.sent * PACKET_MS if line.sent is not None and party is Party.CALLED else elapsed_ms or 0.0
    return Hearing(max(0, round(min(lasted_ms, duration_ms))), None, known)


# Each of these functions returns the proof that the sound was heard, or the reason why it was not.


def _called_by_dial(line: Sounded, duration_ms: float) -> KnownBy | str:
    wanted = packets(duration_ms)
    if line.sent is not None and line.sent < wanted:
        return _too_few(line, wanted)
    if line.status in _NOT_HEARD:
        return _NOT_HEARD[line.status]
    return KnownBy.PACKETS if line.sent == wanted else _by_time(line, duration_ms)


def _caller_by_dial(line: Sounded, duration_ms: float, called_ms: float | None) -> KnownBy | str:
    if line.status == LEFT:
        return "the caller hung up, or another phone took the caller's place"
    if line.through_local:
        return "the caller is behind a Local channel, which may not have passed the sound on"
    if called_ms is not None and line.sent == packets(called_ms) and duration_ms <= called_ms + TOLERANCE_MS:
        return KnownBy.TIME
    return _by_time(line, duration_ms)


def _by_playback(line: Sounded, duration_ms: float) -> KnownBy | str:
    if line.status != SUCCESS:
        return f"the playback ended as {line.status!r}"
    timed = _by_time(line, duration_ms)
    if timed is not KnownBy.TIME:
        return timed
    if line.sent is None:
        return KnownBy.PLAYBACK
    wanted = packets(duration_ms)
    return KnownBy.PACKETS if line.sent >= wanted else _too_few(line, wanted)


def _by_tones(line: Sounded, duration_ms: float) -> KnownBy | str:
    """The tones end when Wait() ends, so the last packet may be missing."""
    known = _by_playback(line, duration_ms - PACKET_MS)
    return KnownBy.TIME if isinstance(known, KnownBy) else known


def _by_time(line: Sounded, duration_ms: float) -> KnownBy | str:
    elapsed_ms = line.elapsed_ms
    if elapsed_ms is None:
        return KnownBy.DIAL if line.played is Played.DIAL else "it is unknown how long it lasted"
    if elapsed_ms < duration_ms - TOLERANCE_MS:
        return f"it lasted {max(0, round(elapsed_ms))} ms by Asterisk's clock"
    return KnownBy.TIME


def _too_few(line: Sounded, wanted: int) -> str:
    return f"{line.sent} of {wanted} packets were sent"
