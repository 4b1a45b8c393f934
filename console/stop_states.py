"""Progress of stops and their ends: asked, approved, signed, published, in force on n of m nodes.

Pages show the last stage as the state. Each stage requires a known fact, so a request by only one person is never `in
force`, and neither is an unpublished stop.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from idtone.core.translation import Message, template
from idtone.registry.suspensions.own_suspension import OwnSuspension
from idtone.registry.suspensions.suspension_states import STATE_WORDS, SuspensionState


class StopState(StrEnum):
    """The states of a stop, in order."""

    ASKED = "asked"
    APPROVED = "approved"
    SIGNED = "signed"
    PUBLISHED = "published"
    IN_FORCE = "in-force"
    TAKEN_OVER = "taken-over"
    WITHDRAWN = "withdrawn"
    END_ASKED = "end-asked"
    END_APPROVED = "end-approved"
    END_SIGNED = "end-signed"
    END_PUBLISHED = "end-published"
    ENDED = "ended"
    OVER = "over"
    """The period for which the stop was ordered has ended."""


WORDS: Final[Mapping[StopState, str]] = {
    StopState.ASKED: STATE_WORDS[SuspensionState.ASKED],
    StopState.APPROVED: template("approved"),
    StopState.SIGNED: template("signed with the keys"),
    StopState.PUBLISHED: template("published"),
    StopState.IN_FORCE: template("in force on {count} of {nodes} nodes"),
    StopState.TAKEN_OVER: STATE_WORDS[SuspensionState.TAKEN_OVER],
    StopState.WITHDRAWN: STATE_WORDS[SuspensionState.WITHDRAWN],
    StopState.END_ASKED: template("end asked, waits for the second person"),
    StopState.END_APPROVED: template("end approved"),
    StopState.END_SIGNED: template("end signed with the keys"),
    StopState.END_PUBLISHED: template("end published"),
    StopState.ENDED: template("ended on {count} of {nodes} nodes"),
    StopState.OVER: template("its time is over"),
}
PAST_WORDS: Final[Mapping[StopState, str]] = {
    StopState.ASKED: template("stop asked for"),
    StopState.END_ASKED: template("end asked for"),
}
"""Text for stages that no longer wait for a second person because a later one has begun."""
HERE: Final = template("in force on this node")
_DONE: Final = frozenset({StopState.WITHDRAWN, StopState.TAKEN_OVER, StopState.OVER})
"""Final states: the stop no longer refuses calls, or the association has taken it over."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage in a stop's progress. `since` is None if the time is unknown.

    If nodes confirm the state, `count` of `nodes` have done so. If `nodes` is 0, the stage applies only to this node.
    """

    state: StopState
    since: datetime | None = None
    count: int = 0
    nodes: int = 0

    @property
    def words(self) -> Message:
        if self.state is StopState.IN_FORCE and not self.nodes:
            return Message(HERE)
        return Message(WORDS[self.state], count=self.count, nodes=self.nodes)

    @property
    def past_words(self) -> Message:
        return Message(PAST_WORDS[self.state]) if self.state in PAST_WORDS else self.words

    @property
    def tone(self) -> str:
        """The stage's color: `good`, `warning` (the state will change), or `quiet` (it is past)."""
        if self.state in _DONE:
            return "quiet"
        if self.state in (StopState.IN_FORCE, StopState.ENDED) and self.count == self.nodes:
            return "good" if self.state is StopState.IN_FORCE else "quiet"
        return "warning"


@dataclass(frozen=True, slots=True)
class StopFacts:
    """Known facts about a suspension.

    `reached` maps the states that people have brought about to their times, or to None if the time is unknown.
    `confirmed` maps each node to the time since which it has refused the calls, or to None if it has not confirmed
    that. It is empty if nodes do not confirm this kind of stop. `released` maps those nodes to the time since which
    they no longer refuse the calls.
    """

    reached: Mapping[StopState, datetime | None] = field(default_factory=dict)
    confirmed: Sequence[datetime | None] = ()
    released: Sequence[datetime | None] = ()
    begins: datetime | None = None
    until: datetime | None = None


def stages(facts: StopFacts, now: datetime) -> tuple[Stage, ...]:
    """The stages that the stop has reached, in order. The last one is its state."""
    return tuple(sorted(_stages(facts, now), key=lambda each: _PLACES[each.state]))


_PLACES: Final = {state: place for place, state in enumerate(StopState)}
_BEFORE_ORDER: Final = frozenset({StopState.ASKED, StopState.WITHDRAWN})


def _stages(facts: StopFacts, now: datetime) -> Iterator[Stage]:
    for state, since in facts.reached.items():
        yield Stage(state, since)
    is_ordered = bool(facts.reached.keys() - _BEFORE_ORDER)
    begins = facts.begins
    if is_ordered and (begins is None or begins <= now):
        if told := [each for each in facts.confirmed if each]:
            since = max(told) if begins is None else max(*told, begins)
            yield Stage(StopState.IN_FORCE, since, len(told), len(facts.confirmed))
        if told := [each for each in facts.released if each]:
            yield Stage(StopState.ENDED, max(told), len(told), len(facts.released))
    if facts.until is not None and facts.until <= now and StopState.WITHDRAWN not in facts.reached:
        yield Stage(StopState.OVER, facts.until)


def own_stages(one: OwnSuspension, now: datetime) -> tuple[Stage, ...]:
    """The stages of an operator's own stop, on this node and the rest of the fleet."""
    acts = {
        StopState.ASKED: one.asked.at if one.persons > 1 else None,
        StopState.APPROVED: one.approved and one.approved.at,
        StopState.TAKEN_OVER: one.taken_over,
        StopState.WITHDRAWN: one.withdrawn and one.withdrawn.at,
        StopState.END_ASKED: one.lift_asked and one.lift_asked.at,
        StopState.END_APPROVED: one.lifted and one.lifted.at,
    }
    reached = {state: at for state, at in acts.items() if at}
    nodes = [(one.in_force, one.over), *((each.in_force, each.over) for each in one.elsewhere)]
    confirmed = [in_force for in_force, _ in nodes]
    released = [over for in_force, over in nodes if in_force or over] if one.lifted else []
    return stages(StopFacts(reached, confirmed, released), now)
