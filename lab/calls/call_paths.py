"""Paths through a forwarded call as data: the parties' acts in order, and the faults of the service and Asterisk.

All of them are drawn from a seed, so that a path can be repeated.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from lab.endings import Event, Step
from lab.lab import LICENSED, SUSPENDED

Thing = TypeVar("Thing")

STANDINGS: Final = {"licensed": LICENSED, "expired": "0352345678", "suspended": SUSPENDED}
"""State of a forwarding number in the lab's registry → an example."""
HEARING: Final = ("called", "caller", "both")
INTERFACES: Final = ("ari", "agi")
DIRECTIONS: Final = ("incoming", "outgoing")


class Move(StrEnum):
    """An act of a party that does not end the call. An act that ends it is an `Event`."""

    RING = "it rings"
    PROGRESS = "early media"
    ANSWER = "the called party answers"
    WAIT = "the caller waits for the answer"
    CALLER_KEY = "the caller presses a key"
    CALLED_KEY = "the called party presses a key"
    CALLER_HOLDS = "the caller holds"
    CALLER_RESUMES = "the caller takes up again"
    CALLED_HOLDS = "the called party holds"
    CALLED_RESUMES = "the called party takes up again"


HOLDS: Final = {Move.CALLER_HOLDS: "caller", Move.CALLED_HOLDS: "called"}
_REFUSALS: Final = (Event.BUSY, Event.DECLINED, Event.CONGESTION, Event.NO_ANSWER)
_TALK: Final = (
    Move.WAIT, Move.CALLER_KEY, Move.CALLED_KEY, Move.CALLER_HOLDS, Move.CALLER_RESUMES, Move.CALLED_HOLDS,
    Move.CALLED_RESUMES,
)  # fmt: skip

GOES_TO: Final[Mapping[Move, Step]] = {
    Move.RING: Step.RINGING,
    Move.PROGRESS: Step.EARLY_MEDIA,
    Move.ANSWER: Step.ANSWERED,
}
"""Move → the step that it leads to. All other moves leave the call at its step."""

POSSIBLE: Final[Mapping[Step, Mapping[Move | Event, int]]] = {
    Step.DIALLING: {
        Move.RING: 16,
        Move.PROGRESS: 4,
        Move.ANSWER: 6,
        Event.CALLER_HANGS_UP: 1,
        **dict.fromkeys(_REFUSALS, 1),
    },
    Step.RINGING: {Move.PROGRESS: 2, Move.ANSWER: 20, Event.CALLER_HANGS_UP: 1, **dict.fromkeys(_REFUSALS, 1)},
    Step.EARLY_MEDIA: {Move.ANSWER: 20, Event.CALLER_HANGS_UP: 1, **dict.fromkeys(_REFUSALS, 1)},
    Step.ANSWERED: {**dict.fromkeys(_TALK, 1), Event.CALLER_HANGS_UP: 4, Event.CALLED_HANGS_UP: 4},
}
"""Step → possible next acts with their weights. An event ends the call."""

PAUSES_MS: Final[Mapping[int, int]] = {0: 2, 20: 3, 60: 3, 150: 3, 300: 3, 430: 2, 460: 2, 700: 2, 1200: 1}
"""Pauses before a move with their weights. Moves are close together around the end of the sound."""


class InjectedFault(StrEnum):
    """A fault of the service, of its connection to Asterisk, or of Asterisk."""

    KILLED = "the service is killed (SIGKILL)"
    STOPPED = "the service is stopped (SIGTERM) and started again"
    UPGRADED = "the next instance takes over (SIGHUP)"
    STANDS_STILL = "the service stands still for a moment (SIGSTOP, SIGCONT)"
    FROZEN = "the service is frozen (SIGSTOP) and replaced"
    SECOND = "a second instance is started"
    CUT = "the line to Asterisk is cut"
    DEAD = "the line to Asterisk swallows everything"
    DIALPLAN_RELOADED = "the dialplan is reloaded"
    RELOADED = "Asterisk is reloaded"


@dataclass(frozen=True, slots=True)
class PathStep:
    pause_ms: int
    what: Move | Event

    def __str__(self) -> str:
        return f"+{self.pause_ms} ms {self.what}"


@dataclass(frozen=True, slots=True)
class CallPath:
    """One call. The last step ends it, unless something else has ended it before."""

    name: str
    """Seed, round and path, which suffice to repeat it."""
    begins_s: float
    """Seconds from the beginning of its round."""
    standing: str
    interface: str
    direction: str
    legs: tuple[PathStep, ...]

    def __str__(self) -> str:
        legs = ", ".join(map(str, self.legs))
        return f"{self.name}: {self.standing}, {self.interface}, {self.direction}, at {self.begins_s:.2f} s; {legs}"


@dataclass(frozen=True, slots=True)
class Round:
    """Simultaneous calls under one policy."""

    notify: Mapping[str, str]
    """Direction → the party that hears the sound."""
    answered_first: bool
    paths: tuple[CallPath, ...]
    mishaps: tuple[tuple[float, InjectedFault], ...]
    """Faults in order, each with its time in seconds from the beginning."""

    @property
    def policy(self) -> str:
        """The policy as settings (YAML)."""
        who = ", ".join(f"{direction}: {party}" for direction, party in self.notify.items())
        return f"notify: {{{who}}}, caller_hears: {'answered' if self.answered_first else 'early-media'}"

    def __str__(self) -> str:
        mishaps = "; ".join(f"at {at_s:.2f} s {mishap}" for at_s, mishap in self.mishaps)
        return f"{self.policy}; {mishaps or 'undisturbed'}"


def draw_round(seed: int, number: int, paths: int, within_s: float, mishaps: int) -> Round:
    """Round `number` of a seed, which depends only on these arguments."""
    dice = random.Random(f"{seed}/{number}")
    return Round(
        {direction: dice.choice(HEARING) for direction in DIRECTIONS},
        dice.random() < 0.5,
        tuple(_draw_path(dice, f"{seed}/{number}/{each}", within_s) for each in range(paths)),
        tuple(sorted((dice.uniform(0, within_s), dice.choice(list(InjectedFault))) for _ in range(mishaps))),
    )


def _draw_path(dice: random.Random, name: str, within_s: float) -> CallPath:
    begins_s, interface, direction = dice.uniform(0, within_s), dice.choice(INTERFACES), dice.choice(DIRECTIONS)
    standing = _weighted(dice, {"licensed": 8, "expired": 1, "suspended": 1})
    if dice.random() < 0.03:
        return CallPath(name, begins_s, standing, interface, direction, (PathStep(0, Event.UNREACHABLE),))
    legs: list[PathStep] = []
    step = Step.DIALLING
    while not legs or isinstance(legs[-1].what, Move):
        legs.append(PathStep(_weighted(dice, PAUSES_MS), _weighted(dice, POSSIBLE[step])))
        step = GOES_TO.get(legs[-1].what, step) if isinstance(legs[-1].what, Move) else step
    return CallPath(name, begins_s, standing, interface, direction, tuple(legs))


def draw_storm(seed: int, number: int, kills: int, calls_per_s: float) -> Round:
    """A round of answered calls at an even rate, while the service is killed `kills` times.

    Some conversations are short, others long.
    """
    dice = random.Random(f"storm/{seed}/{number}")
    moments = [dice.uniform(0.3, 1.5)]
    while len(moments) < kills:
        moments.append(moments[-1] + dice.uniform(0.5, 5.0))
    paths = []
    for each in range(round((moments[-1] + 1) * calls_per_s)):
        talk_ms = round(1000 * dice.choice((0.2, 0.5, 1.0, 4.0)))
        legs = (
            PathStep(0, Move.RING),
            PathStep(20, Move.ANSWER),
            PathStep(0, Move.WAIT),
            PathStep(talk_ms, dice.choice(ENDS_OF_TALK)),
        )
        path = CallPath(
            f"{seed}/{number}/{each}",
            each / calls_per_s,
            "licensed",
            INTERFACES[each % 2],
            dice.choice(DIRECTIONS),
            legs,
        )
        paths.append(path)
    notify = {direction: dice.choice(HEARING) for direction in DIRECTIONS}
    return Round(notify, False, tuple(paths), tuple((at_s, InjectedFault.KILLED) for at_s in moments))


ENDS_OF_TALK: Final = (Event.CALLER_HANGS_UP, Event.CALLED_HANGS_UP)


def _weighted(dice: random.Random, things: Mapping[Thing, int]) -> Thing:
    return dice.choices(list(things), list(things.values()))[0]
