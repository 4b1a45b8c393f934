"""The life of one sound on one channel. All transitions are in `TABLE`; no I/O here.

The application turns what happens into a `Signal`, and carries out the `Action`s it gets back.

    WAITING ─entered─▶ SOUNDING ─finished─▶ SEALING ─sealed─▶ OVER (released as heard)
                          │ failed, overdue ──────────────────▶ OVER (released as not heard)
                          │ gone ─────────────────────────────▶ OVER (nothing to release)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    WAITING = auto()
    SOUNDING = auto()
    SEALING = auto()
    """The sound was heard; its evidence is on the way to the disk."""
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
    UNSEALED = auto()
    """The evidence could not be written."""
    GONE = auto()
    """The channel hung up or left us."""


class Action(Enum):
    """What the application is to do."""

    PLAY = auto()
    STOP = auto()
    RECORD_HEARD = auto()
    RECORD_UNHEARD = auto()
    RECORD_CUT = auto()
    """The called party hung up during the sound."""
    RELEASE_HEARD = auto()
    RELEASE_UNHEARD = auto()
    """The hook sounds the notice by itself."""


TABLE: Final[Mapping[tuple[State, Signal], tuple[State, tuple[Action, ...]]]] = {
    (State.WAITING, Signal.ENTERED): (State.SOUNDING, (Action.PLAY,)),
    (State.WAITING, Signal.GONE): (State.OVER, (Action.RECORD_CUT,)),
    (State.SOUNDING, Signal.FINISHED): (State.SEALING, (Action.RECORD_HEARD,)),
    (State.SOUNDING, Signal.FAILED): (State.OVER, (Action.RECORD_UNHEARD, Action.RELEASE_UNHEARD)),
    (State.SOUNDING, Signal.OVERDUE): (State.OVER, (Action.STOP, Action.RECORD_UNHEARD, Action.RELEASE_UNHEARD)),
    (State.SOUNDING, Signal.GONE): (State.OVER, (Action.RECORD_CUT,)),
    (State.SEALING, Signal.SEALED): (State.OVER, (Action.RELEASE_HEARD,)),
    # It was heard, and the parties must not pay for our disk; the failure is logged as an error.
    (State.SEALING, Signal.UNSEALED): (State.OVER, (Action.RELEASE_HEARD,)),
    (State.SEALING, Signal.GONE): (State.OVER, ()),
}


def step(state: State, signal: Signal) -> tuple[State, tuple[Action, ...]]:
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
