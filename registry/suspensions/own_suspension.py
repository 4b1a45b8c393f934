"""A suspension by this node's operator: its states, and the acts that each state allows.

    asked ──▶ approved ──▶ in force ──▶ taken over (the association's own suspension is in force)
      │                       │
      ▼                       ▼
    withdrawn               lifted

If one person is enough, the order is approved at once. `in force` means that the service, or the command while no
service runs, has applied the stop; each node of a fleet confirms that for itself. A stop has consequences: the end of
the contract (契約解除) and the report of the contractor. Each stays open as a duty until a person closes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from idtone.core.errors import UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import AccountKnownBy, Person
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model

from ..model import day_begins
from .suspension_states import DUTY_WORDS, STATE_WORDS, DutyKind, SuspensionState

ID_BYTES: Final = 4
LEAST_ID: Final = 6
"""Minimum number of characters of an id that a person has to enter."""


class Act(Model):
    """An action on a suspension: who took it, when and, if required, why."""

    at: AwareDatetime
    by: str
    by_uid: int
    by_way: AccountKnownBy
    why: str = ""

    @classmethod
    def of(cls, person: Person, at: datetime, why: str = "") -> Act:
        return cls(at=at, by=person.name, by_uid=person.uid, by_way=person.known_by, why=why)

    @property
    def person(self) -> Person:
        return Person(self.by_uid, self.by, self.by_way)


class Duty(Model):
    """A duty of the operator, to be done by the day `due` in Japan.

    `on` is the day on which it was done, and `document` proves that.
    """

    kind: DutyKind
    due: date
    closed: Act | None = None
    on: date | None = None
    document: str = ""

    def is_overdue(self, now: datetime) -> bool:
        return self.closed is None and now >= day_begins(self.due + timedelta(days=1))


class NodeConfirmation(Model):
    """Another node's report on a suspension. `in_force` is None if that node has not confirmed it."""

    node: str
    in_force: AwareDatetime | None = None
    by_service: bool = False
    over: AwareDatetime | None = None
    taken_over: AwareDatetime | None = None
    calls_ended: int = 0


Span = tuple[int, int]
"""First and last number, as the integers of their E.164 digits."""


class OwnSuspension(Model):
    """A suspension by this node's operator.

    `numbers` are the numbers of one act: a single number or all of a customer's numbers. `requested` is the time of the
    police request.

    `in_force` and `over` are the times at which this node began and stopped refusing the calls. `by_service` is True if
    the service confirmed the suspension. Otherwise, the command did, for the calls that the hook decides. `covered` are
    the numbers for which the association's own suspension is in force. `home` is the node on which the suspension was
    ordered, or empty for this node. `elsewhere` holds the other nodes' confirmations.
    """

    id: str
    numbers: Annotated[tuple[Span, ...], Field(repr=False, min_length=1)]
    customer: str = ""
    reference: str
    authority: str = ""
    requested: AwareDatetime | None = None
    persons: int = 1
    asked: Act
    approved: Act | None = None
    in_force: AwareDatetime | None = None
    by_service: bool = False
    calls_ended: int = 0
    covered: Annotated[tuple[Span, ...], Field(repr=False)] = ()
    taken_over: AwareDatetime | None = None
    withdrawn: Act | None = None
    lift_asked: Act | None = None
    lifted: Act | None = None
    over: AwareDatetime | None = None
    duties: tuple[Duty, ...] = ()
    home: str = ""
    elsewhere: tuple[NodeConfirmation, ...] = ()

    @property
    def state(self) -> SuspensionState:
        if self.withdrawn:
            return SuspensionState.WITHDRAWN
        if self.lifted:
            return SuspensionState.LIFTED
        if self.taken_over:
            return SuspensionState.TAKEN_OVER
        if self.in_force:
            return SuspensionState.IN_FORCE
        return SuspensionState.APPROVED if self.approved else SuspensionState.ASKED

    @property
    def words(self) -> Message:
        """Description of the state."""
        return Message(STATE_WORDS[self.state])

    @property
    def stops(self) -> bool:
        """True if calls with the numbers must be refused because of this suspension."""
        return self.state in (SuspensionState.APPROVED, SuspensionState.IN_FORCE)

    @property
    def is_live(self) -> bool:
        """True if the suspension was neither withdrawn nor lifted.

        It then stops calls on some node, was taken over by the association, or is waiting for approval.
        """
        return not self.withdrawn and not self.lifted

    def waiting_nodes(self) -> list[str]:
        """Other nodes that have not confirmed the suspension or its end."""
        if self.lifted:
            return [each.node for each in self.elsewhere if each.in_force and not each.over]
        if not self.approved or self.withdrawn:
            return []
        return [each.node for each in self.elsewhere if not each.in_force and not each.taken_over]

    @property
    def count(self) -> int:
        """Number of telephone numbers in the suspension."""
        return sum(last - first + 1 for first, last in self.numbers)

    def spans(self) -> Iterator[NumberSpan]:
        """Number ranges that the suspension stops, excluding those that the association suspends itself."""
        if self.stops:
            yield from without((NumberSpan(*each) for each in self.numbers), self.covered)

    def open_duties(self) -> list[Duty]:
        return [duty for duty in self.duties if duty.closed is None]

    @property
    def is_open(self) -> bool:
        """True if calls are refused or if an approval, the end of the refusals or a duty is pending."""
        waits = self.stops or self.state is SuspensionState.ASKED or (self.lifted is not None and self.over is None)
        return waits or bool(self.open_duties())


class OwnSuspensions(Model):
    """Content of a node's suspension file, oldest suspension first."""

    format: int = 1
    suspensions: tuple[OwnSuspension, ...] = ()

    def find(self, beginning: str) -> OwnSuspension:
        """The only suspension whose id starts with the given text. Raises UsageError."""
        found = [each for each in self.suspensions if len(beginning) >= LEAST_ID and each.id.startswith(beginning)]
        if len(found) != 1:
            several = Message("several suspensions of this node begin so; write more of the id")
            none = Message("this node has no suspension {id!r}; look at `idtone suspensions list`", id=beginning)
            raise UsageError(several if found else none)
        return found[0]

    def put(self, changed: OwnSuspension) -> OwnSuspensions:
        """Copy of the file with a suspension replaced or, if it is new, appended."""
        if all(each.id != changed.id for each in self.suspensions):
            return self.model_copy(update={"suspensions": (*self.suspensions, changed)})
        kept = tuple(changed if each.id == changed.id else each for each in self.suspensions)
        return self.model_copy(update={"suspensions": kept})


def without(spans: Iterable[NumberSpan], gone: Iterable[Span]) -> list[NumberSpan]:
    """Parts of the spans outside all of `gone`."""
    left = list(spans)
    for each in gone:
        left = [part for span in left for part in span.without(NumberSpan(*each))]
    return left


# -- the acts -------------------------------------------------------------------------------------------------------


def ordered(
    numbers: Iterable[NumberSpan],
    reference: str,
    by: Act,
    *,
    persons: int = 1,
    customer: str = "",
    authority: str = "",
    requested: datetime | None = None,
) -> OwnSuspension:
    """Create a suspension. If one person is enough, it is approved immediately."""
    spans = tuple((span.first, span.last) for span in sorted(set(numbers), key=lambda span: span.first))
    return OwnSuspension(
        id=f"s-{secrets.token_hex(ID_BYTES)}",
        numbers=spans,
        customer=customer,
        reference=reference,
        authority=authority,
        requested=requested,
        persons=persons,
        asked=by,
        approved=by if persons == 1 else None,
    )


def approved(one: OwnSuspension, by: Act) -> OwnSuspension:
    """Approve a suspension or its requested end. Raises UsageError, including if the same person requested it."""
    if one.state is SuspensionState.ASKED:
        _another(by, one.asked)
        return one.model_copy(update={"approved": by})
    if one.lift_asked and not one.lifted and one.stops:
        _another(by, one.lift_asked)
        return one.model_copy(update={"lifted": by})
    raise UsageError("{id} is {state}; nothing of it waits for an approval", id=one.id, state=one.words)


def _another(by: Act, asked: Act) -> None:
    # By name too: one person's accounts on two nodes may have different user ids.
    if by.by == asked.by or not by.person.is_another_than(asked.person):
        raise UsageError("{name} has asked for this; another person has to approve it", name=by.by)


def lifted(one: OwnSuspension, by: Act, persons: int = 1) -> OwnSuspension:
    """Lift a suspension. Raises UsageError.

    If two people are needed, this only requests the lift. A suspension that was never approved is withdrawn.
    """
    if one.state is SuspensionState.ASKED:
        return one.model_copy(update={"withdrawn": by})
    if not one.stops:
        raise UsageError("{id} is {state} already; no call is refused because of it", id=one.id, state=one.words)
    return one.model_copy(update={"lifted" if persons == 1 else "lift_asked": by})


def put_to_use(
    one: OwnSuspension, at: datetime, by_service: bool, terms: Iterable[tuple[DutyKind, date]]
) -> OwnSuspension:
    """Mark a suspension as confirmed by this node.

    `terms` are the due days of its duties, which only the node that ordered the suspension sets.
    """
    if one.state is not SuspensionState.APPROVED:
        return one
    duties = one.duties or tuple(Duty(kind=kind, due=due) for kind, due in terms if not one.home)
    return one.model_copy(update={"in_force": at, "by_service": by_service, "duties": duties})


def covered(one: OwnSuspension, in_force: Iterable[NumberSpan], at: datetime) -> OwnSuspension:
    """Record that the association has suspended some of the numbers itself.

    The association's suspension then refuses calls with those numbers, instead of this suspension.
    """
    if not one.stops:
        return one
    own = [NumberSpan(*each) for each in one.numbers]
    met = [
        (max(span.first, each.first), min(span.last, each.last))
        for each in in_force
        for span in own
        if span.overlaps(each)
    ]
    found = tuple(sorted({*one.covered, *met}))
    if found == one.covered:
        return one
    changes: dict[str, object] = {"covered": found}
    if not without(own, found):
        changes["taken_over"] = at
    return one.model_copy(update=changes)


def closed(one: OwnSuspension, kind: DutyKind, by: Act, on: date, document: str) -> OwnSuspension:
    """Close a duty of a suspension. Raises UsageError."""
    if all(duty.kind is not kind for duty in one.open_duties()):
        raise UsageError("{id} has no open duty {kind}", id=one.id, kind=Message(DUTY_WORDS[kind]))
    done = {"closed": by, "on": on, "document": document}
    duties = tuple(each.model_copy(update=done) if each.kind is kind else each for each in one.duties)
    return one.model_copy(update={"duties": duties})
