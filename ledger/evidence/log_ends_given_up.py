"""Earlier logs' ends that were given up, and the acts that give them up.

A log whose key is lost can never sign its own end. A person gives up that end through an act in the node's current log.
If two persons are required, the second person's act names the first person's, and only then is the end given up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from idtone.core.errors import LedgerError
from idtone.core.persons import Person
from idtone.core.translation import Message

from .act_persons import person_of
from .leaf_rules import ReadLeaf
from .steps import Scalar, Step, StepKind

KINDS: Final = frozenset({StepKind.CONTINUED, StepKind.END_GIVEN_UP})
"""Kinds of steps to read from a log."""
LIMIT: Final = 100
"""Maximum number of such acts in one log. No node has this many logs, and readers of other logs accept no more."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ROOT: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class EndGivenUp:
    """The unsigned end of a log, given up by one or two persons.

    The log `origin` has `leaves` leaves with the root `root`, and its key signed only the first `signed`. `why` is the
    first person's reason. `at` is the time of the last act.
    """

    act: str
    at: datetime
    by: tuple[Person, ...]
    why: str
    origin: str
    leaves: int
    root: str
    signed: int
    persons: int

    @property
    def end(self) -> tuple[str, int, str, int]:
        """Origin, number of leaves, root, and number of signed leaves."""
        return self.origin, self.leaves, self.root, self.signed

    @property
    def names(self) -> str:
        return ", ".join(each.name for each in self.by)

    @property
    def words(self) -> Message:
        return Message(
            "its end was given up on {at}, by {by}: {why}; of {leaves} leaves the first {signed} are signed",
            at=self.at.isoformat(),
            by=self.names,
            why=self.why,
            leaves=self.leaves,
            signed=self.signed,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "log": self.origin,
            "at": self.at.isoformat(),
            "by": [each.name for each in self.by],
            "why": self.why,
            "leaves": self.leaves,
            "root": self.root,
            "signed": self.signed,
            "act": self.act,
        }


@dataclass
class EndsGivenUp:
    """Acts in a log that give up earlier logs' ends, in order.

    `counted` contains the acts in effect. `waiting` contains, by act id, the acts that another person must still
    confirm.
    """

    counted: list[EndGivenUp] = field(default_factory=list)
    waiting: dict[str, EndGivenUp] = field(default_factory=dict)
    continues: tuple[Scalar, ...] | None = None
    """The end (origin, leaves, root) that this log continues, according to its first leaf."""
    counts_less: bool = False
    """True if that log's key is compromised, so that leaves after this end do not count."""

    @classmethod
    def of(cls, acts: Iterable[Step]) -> EndsGivenUp:
        """Collect the ends given up by the given acts (`KINDS`)."""
        found = cls()
        for step in acts:
            found.add(step)
        return found

    def add(self, step: Step) -> None:
        """Add an act; ignore an act that is not allowed."""
        if step.kind is StepKind.CONTINUED and self.continues is None:
            self.continues = tuple(map(step.details.get, ("origin", "leaves", "root")))
            self.counts_less = bool(step.details.get("compromised"))
        if step.kind is not StepKind.END_GIVEN_UP or self.objection(step) is not None:
            return
        given, request = _read(step), step.details.get("request")
        if request is not None:
            first = self.waiting.pop(str(request))
            self.counted.append(EndGivenUp(given.act, given.at, (*first.by, *given.by), first.why, *given.end, 2))
        elif given.persons == 1:
            self.counted.append(given)
        else:
            self.waiting[given.act] = given

    def add_leaf(self, read: ReadLeaf) -> None:
        """Add the act in a leaf.

        A leaf with a step of any other kind is ignored.
        """
        if read.kinds[0] in KINDS and read.act is not None:
            self.add_act(read.call_id, read.kinds[0], read.times[0], read.act)

    def add_act(self, act_id: str, kind: str, at: int, details: Mapping[str, Any]) -> None:
        """Add an act from its parts.

        `at` is in µs since 1970.
        """
        with suppress(LedgerError, OverflowError):  # a step that no ledger could contain
            self.add(Step(act_id, StepKind(kind), _EPOCH + timedelta(microseconds=at), details))

    def objection(self, step: Step, two_persons: bool = False) -> str | None:
        """Reason why an act is not allowed, given the earlier acts; None if it is allowed.

        `two_persons` means that the settings require two persons to give up an end.
        """
        try:
            given = _read(step)
        except (ValueError, KeyError, TypeError) as error:
            return f"it is not what an act of this kind says ({type(error).__name__})"
        if self.continues and given.origin == self.continues[0] and given.end[:3] != self.continues:
            return f"the log continues another end of {given.origin}"
        if any(each.origin == given.origin for each in self.counted):
            return f"the end of {given.origin} is given up already"
        if len(self.counted) + len(self.waiting) >= LIMIT:
            return f"a log has at most {LIMIT} acts that give up an end"
        if two_persons and given.persons != 2:
            return "giving up the end of a log takes two persons here (ledger.exports)"
        request = step.details.get("request")
        if request is None:
            same = [each for each in self.waiting.values() if each.end == given.end]
            return f"{same[0].names} has given this up already; another person has to confirm it" if same else None
        first = self.waiting.get(str(request))
        if first is None or first.end != given.end or given.persons != 2:
            return f"there is no act {request} that gives up the same"
        if not given.by[0].is_another_than(first.by[0]):
            return f"{first.names} has given this up first; another person has to confirm it"
        return None

    def of_log(self, origin: str) -> EndGivenUp | None:
        return next((each for each in self.counted if each.origin == origin), None)

    def awaiting_confirmation(self, end: tuple[str, int, str, int]) -> EndGivenUp | None:
        """The first person's act for an end that another person must still confirm; otherwise None."""
        return next((each for each in self.waiting.values() if each.end == end), None)


def act_words(step: Step) -> str:
    """Describe an act that gives up the end of a log. Empty for any other step."""
    if step.kind is not StepKind.END_GIVEN_UP:
        return ""
    try:
        given = _read(step)
    except (ValueError, KeyError, TypeError):
        return Message("it gives up the end of a log, in a form that no ledger writes")
    words = Message(
        "{by} gives up the end of {log} on {at}: {why}; of {leaves} leaves the first {signed} are signed",
        by=given.names,
        log=given.origin,
        at=given.at.isoformat(),
        why=given.why,
        leaves=given.leaves,
        signed=given.signed,
    )
    return words if given.persons == 1 else Message("{words}; it takes two persons, and this is one", words=words)


def _read(step: Step) -> EndGivenUp:
    details: Mapping[str, Scalar] = step.details
    root, why = details["root"], details["why"]
    origin, by = str(details["origin"]), (person_of(details),)
    if not (isinstance(root, str) and _ROOT.fullmatch(root) and isinstance(why, str)):
        raise ValueError(root)
    if not f"{origin}{why}{by[0].name}".isprintable():  # a foreign log must not write arbitrary text on the terminal
        raise ValueError(origin)
    leaves, signed, persons = map(_whole, (details["leaves"], details["signed"], details["persons"]))
    if not (0 <= signed < leaves and persons in (1, 2)):
        raise ValueError(signed)
    return EndGivenUp(step.call_id, step.at, by, why, origin, leaves, root, signed, persons)


def _whole(value: Scalar) -> int:
    if type(value) is not int:
        raise TypeError(value)
    return value
