"""Judges whether a sound was delivered to a party, based on the hook's journal lines.

A sound was either played or not, and its delivery is rated on one scale:

| delivery | what is known |
|---|---|
| confirmed | it was sent, and the phone's own reports (RTCP) say that no packet was lost on the way to it |
| sent | Asterisk counted all packets of the sound on their way to the network |
| not known | neither: its packets are missing, or were not counted |

| played | what is known | was it played | known by |
|---|---|---|---|
| by Playback(), called party | it ended as SUCCESS, lasted long enough, and sent all its packets | yes | packets |
|  | the same on a channel without packets | yes | playback |
|  | the phone hung up when all packets had been sent | yes | packets |
|  | otherwise | no | – |
| by Playtones() | it lasted as long as the notice, and its packets were sent; the last may be missing | yes | packets |
|  | the same on a channel without packets | yes | time |
|  | otherwise | no | – |
| by Dial(), called party | packets are missing; the phone held the call, came late, or another took it | no | – |
|  | exactly the packets of the sound were sent | yes | packets |
|  | more packets, early media (the caller's voice counts too), or uncounted; Dial() played long enough | yes | time |
|  | the same, and the time of the answer is unknown | yes | dial |
|  | the same, and Dial() did not play long enough | no | – |
| by Dial(), caller | it hung up, or another phone took its place; or it is behind a Local channel | no | – |
|  | the called party's packets are exactly those of a sound that is not shorter | yes | time |
|  | otherwise as for the called party without packets | | |

Only `packets` means `sent`. With the other signs, Asterisk played the sound but may not have sent any of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idtone.core.calls import Party
from idtone.dialplan import PACKET_MS, Played, packets

from .journal_lines import Reported, Sounded

TOLERANCE_MS: Final = PACKET_MS
"""Tolerance in milliseconds. Asterisk continues after sending the last packet, before the phone has played it."""
SUCCESS: Final = "SUCCESS"
HANGUP: Final = "HANGUP"
"""A line's status if the call ended during the sound."""
_NOT_PLAYED: Final[Mapping[str, str]] = {
    "moved": "another phone took the call meanwhile",
    "late": "the phone's first packets came late, and behind NAT the sound goes astray until then",
    "1": "the called party held the call",
}
"""Status of a Dial() line → why the sound was not sent to the called party, regardless of packets and time."""
LEFT: Final = "left"
"""A line's status if the caller hung up or another phone took the caller's place."""
EARLY: Final = "early"
"""Status of a Dial() line if media could flow before the answer. The counted packets may be the whole sound, or part of
it and the caller's voice.
"""


class KnownBy(StrEnum):
    """Sign that a sound was played to its end, strongest first."""

    PACKETS = "packets"
    """Asterisk sent all packets of the sound: its delivery is `sent`."""
    TIME = "time"
    """The sound lasted long enough by Asterisk's clock."""
    PLAYBACK = "playback"
    """Asterisk reported the playback as complete, and it lasted long enough."""
    DIAL = "dial"
    """Dial() continued after the sound. The duration is unknown."""


@dataclass(frozen=True, slots=True)
class PlayedSound:
    """Judgement on a sound's playback.

    `lasted_ms` is the duration of the playback. If the sound was not played to its end, `known_by` is None and `why`
    gives the reason.
    """

    lasted_ms: int
    known_by: KnownBy | None = None
    why: str = ""

    @property
    def played(self) -> bool:
        return self.known_by is not None


def played_sound(line: Sounded, party: Party, duration_ms: float, called_ms: float | None = None) -> PlayedSound:
    """Judge the playback of one party's sound, whose length is `duration_ms`.

    `called_ms` is the length of the called party's sound; None if that party should not have heard one.
    """
    match line.played:
        case Played.DIAL if party is Party.CALLED:
            known = _called_by_dial(line, duration_ms)
        case Played.DIAL:
            known = _caller_by_dial(line, duration_ms, called_ms)
        case Played.TONES:
            known = _by_playback(line, duration_ms - line.packet_ms)  # Wait() may cut off the last packet
            known = KnownBy.TIME if known is KnownBy.PLAYBACK else known
        case _:
            known = _by_playback(line, duration_ms)
    if isinstance(known, KnownBy):
        return PlayedSound(round(duration_ms), known)
    elapsed_ms = line.elapsed_ms
    lasted_ms = line.sent * line.packet_ms if line.sent is not None and party is Party.CALLED else elapsed_ms or 0.0
    return PlayedSound(max(0, round(min(lasted_ms, duration_ms))), None, known)


def reports_confirm(line: Reported) -> bool:
    """True if the phone's RTCP reports confirm a sound that was sent.

    The phone must report no loss, Asterisk must have received all of the phone's packets, and the media must not have
    moved to another address. Reports cover the whole call rather than single packets, so after a loss in either
    direction, the sound stays `sent`.
    """
    return line.heard_from and not line.moved and line.lost == 0 and line.lost_back == 0


# Each of these functions returns the sign that the sound was played, or the reason why it was not.


def _called_by_dial(line: Sounded, duration_ms: float) -> KnownBy | str:
    wanted = _wanted(line, duration_ms)
    if line.sent is not None and line.sent < wanted:
        return _too_few(line, wanted)
    if line.status in _NOT_PLAYED:
        return _NOT_PLAYED[line.status]
    # A wide-band codec plays the file of 16 kHz, which has a packet of silence more.
    exactly = line.status != EARLY and line.sent in (wanted, wanted + 1)
    return KnownBy.PACKETS if exactly else _by_time(line, duration_ms)


def _caller_by_dial(line: Sounded, duration_ms: float, called_ms: float | None) -> KnownBy | str:
    if line.status == LEFT:
        return "the caller hung up, or another phone took the caller's place"
    if line.through_local:
        return "the caller is behind a Local channel, which may not have passed the sound on"
    not_shorter = called_ms is not None and duration_ms <= called_ms + TOLERANCE_MS
    if called_ms is not None and not_shorter and line.sent == packets(called_ms) and line.status != EARLY:
        return KnownBy.TIME
    return _by_time(line, duration_ms)


def _by_playback(line: Sounded, duration_ms: float) -> KnownBy | str:
    wanted = _wanted(line, duration_ms)
    if line.status == HANGUP:
        return KnownBy.PACKETS if line.sent is not None and line.sent >= wanted else _hung_up(line, wanted)
    if line.status != SUCCESS:
        return f"the playback ended as {line.status!r}"
    timed = _by_time(line, duration_ms)
    if timed is not KnownBy.TIME:
        return timed
    if line.sent is None:
        return KnownBy.PLAYBACK
    return KnownBy.PACKETS if line.sent >= wanted else _too_few(line, wanted)


def _by_time(line: Sounded, duration_ms: float) -> KnownBy | str:
    elapsed_ms = line.elapsed_ms
    if elapsed_ms is None:
        return KnownBy.DIAL if line.played is Played.DIAL else "it is unknown how long it lasted"
    if elapsed_ms < duration_ms - TOLERANCE_MS:
        return f"it lasted {max(0, round(elapsed_ms))} ms by Asterisk's clock"
    return KnownBy.TIME


def _wanted(line: Sounded, duration_ms: float) -> int:
    """Number of packets that the sound has on this channel.

    If packets are longer than `PACKET_MS`, Asterisk sends only whole ones.
    """
    return packets(duration_ms) if line.packet_ms == PACKET_MS else int(duration_ms // line.packet_ms)


def _too_few(line: Sounded, wanted: int) -> str:
    return f"{line.sent} of {wanted} packets were sent"


def _hung_up(line: Sounded, wanted: int) -> str:
    return f"the call ended during the sound: {line.sent or 0} of {wanted} packets were sent"
