"""The life of one sound on one channel. All transitions are in `TABLE`; no I/O here.

The application turns what happens into a `Signal`, and carries out the `Action`s it gets back.

    WAITING ─entered─▶ SOUNDING ─sealed─▶ SEALED ─finished─▶ OVER (released as heard)
                          │ finished ──▶ SEALING ─sealed──▶ OVER (released as heard)
                          │
                          └ in any of these: failed, overdue ─▶ OVER (released as not heard); gone ─▶ OVER

Sealed means: the evidence that the sound began is on the disk. Without it nobody is connected; since it
gets there while the sound plays, nobody waits for it either, but of a sound of milliseconds (docs/adr/0003).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    WAITING = auto()
    SOUNDING = auto()
    SEALED = auto()
    """Sounding, and the evidence of it is on the disk."""
    SEALING = auto()
    """Heard to the end, before the evidence of its beginning was on the disk."""
    OVER = auto()


class Signal(Enum):
    """What can happen to a channel that is being sounded."""

    ENTERED = auto()
    FINISHED = auto()
    """The playback ended by itself and lasted as long as the sound."""
    FAILED = auto()
    """Asterisk could not play it, or it ended before its time."""
    OVERDUE = auto()
    """Our own timer: the end of the playback was never told."""
    SEALED = auto()
    """The evidence is on the disk, or will never be: then the failure is logged as an error, and the parties do not
    pay for our disk."""
    GONE = auto()
    """The channel hung up or left us."""


class Action(Enum):
    """What the application is to do."""

    PLAY = auto()
    STOP = auto()
    HURRY = auto()
    """The channel waits for the evidence, which lingers for others to go to the disk with it."""
    RECORD_HEARD = auto()
    RECORD_UNHEARD = auto()
    RECORD_CUT = auto()
    """The called party hung up during the sound."""
    RELEASE_HEARD = auto()
    RELEASE_UNHEARD = auto()
    """The hook sounds the notice by itself."""


_Transition = tuple[State, tuple[Action, ...]]

_HEARD: Final[_Transition] = (State.OVER, (Action.RELEASE_HEARD, Action.RECORD_HEARD))
_UNHEARD: Final[_Transition] = (State.OVER, (Action.RECORD_UNHEARD, Action.RELEASE_UNHEARD))
_OVERDUE: Final[_Transition] = (State.OVER, (Action.STOP, Action.RECORD_UNHEARD, Action.RELEASE_UNHEARD))
_CUT: Final[_Transition] = (State.OVER, (Action.RECORD_CUT,))

TABLE: Final[Mapping[tuple[State, Signal], _Transition]] = {
    (State.WAITING, Signal.ENTERED): (State.SOUNDING, (Action.PLAY,)),
    (State.WAITING, Signal.GONE): _CUT,
    (State.SOUNDING, Signal.SEALED): (State.SEALED, ()),
    (State.SOUNDING, Signal.FINISHED): (State.SEALING, (Action.HURRY,)),
    (State.SOUNDING, Signal.FAILED): _UNHEARD,
    (State.SOUNDING, Signal.OVERDUE): _OVERDUE,
    (State.SOUNDING, Signal.GONE): _CUT,
    (State.SEALED, Signal.FINISHED): _HEARD,
    (State.SEALED, Signal.FAILED): _UNHEARD,
    (State.SEALED, Signal.OVERDUE): _OVERDUE,
    (State.SEALED, Signal.GONE): _CUT,
    (State.SEALING, Signal.SEALED): _HEARD,
    (State.SEALING, Signal.OVERDUE): _HEARD,
    (State.SEALING, Signal.GONE): (State.OVER, (Action.RECORD_HEARD,)),
}


def step(state: State, signal: Signal) -> _Transition:
    """The next state and what to do; a signal that a state does not know changes nothing."""
    return TABLE.get((state, signal), (state, ()))


HEARD_TOLERANCE_S: Final = 0.02
"""One frame: Asterisk reports the end when it has sent the last frame, not when it was played out."""


def playback_signal(playback_state: str, asterisk_s: float, our_s: float, sound_s: float) -> Signal:
    """What the end of a playback means: `done` comes after a stop and a hangup too.

    Heard is what lasted as long as the sound (`sound_s`) both by Asterisk's clock, from start to end
    (`asterisk_s`), and by our monotonic one, from request to report (`our_s`): a stepped clock must not
    make a cut sound whole.
    """
    whole = playback_state == "done" and min(asterisk_s, our_s) >= sound_s - HEARD_TOLERANCE_S
    return Signal.FINISHED if whole else Signal.FAILED
