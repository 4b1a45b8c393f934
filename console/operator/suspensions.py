"""Suspensions in the registry in use, with this node's confirmations."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from idtone.core.calls import Reason
from idtone.core.decision import time_by
from idtone.core.errors import IdtoneError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import Person
from idtone.core.settings.settings import Settings
from idtone.core.translation import Message, template
from idtone.ledger.store.sqlite import path_of
from idtone.registry.model import SuspensionEntry, SuspensionKind
from idtone.registry.suspended_numbers import scope_of
from idtone.registry.suspensions.own_suspension import OwnSuspension
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from idtone.registry.suspensions.suspension_states import DUTY_WORDS, SuspensionState
from idtone.service.suspension_confirmations import ConfirmedSuspensions, read_confirmed

from ..access.rights import Right
from ..listing import Listing, listing, listing_of_cut
from ..page import Page, Visit
from ..stop_states import Stage, StopFacts, StopState, own_stages, stages
from .masked_span import masked_span

PATH: Final = "/suspensions"
STOPS: Final = f"{PATH}/stops"
KINDS: Final = {
    SuspensionKind.STOP: template("calls are refused"),
    SuspensionKind.NO_NEW_NUMBERS: template("gets no new numbers"),
}


@dataclass(frozen=True, slots=True)
class SuspensionRow:
    scope: str
    """The masked numbers or the member."""
    kind: str
    since: datetime
    until: datetime | None
    reference: str
    authority: str
    stages: Sequence[Stage]
    """The suspension's stages on this node, whose registry is always a published one."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Effects of suspensions since the service started."""

    since: datetime
    ended: Mapping[str, int]
    """Number of calls in progress that each suspension ended, by its reference."""
    refused: int
    spoofed: int
    """Number of calls refused because their number never originates calls."""


@dataclass(frozen=True, slots=True)
class OwnRow:
    """One of this node's own suspensions as a table row."""

    id: str
    stages: Sequence[Stage]
    scope: str
    reference: str
    by: str
    calls_ended: int
    duties: tuple[tuple[str, str, bool], ...]
    """Each open duty, as its text, its due date, and True if it is overdue."""
    waiting: tuple[str, ...]
    """Other nodes that have not confirmed the suspension."""


def stop_path(suspension: str) -> str:
    """Address of one of this node's own stops."""
    return f"{STOPS}/{quote(suspension)}"


async def show(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    read = await visit.console.registry.look()
    told, (own, trouble) = await visit.in_thread(_on_disk, visit.console.settings)
    now = time_by(read.index, datetime.now(UTC))
    entries = read.document.suspensions
    in_force = [entry for entry in entries if entry.in_force(now)]
    coming = [entry for entry in entries if entry.since > now]
    over = len(entries) - len(in_force) - len(coming)
    feed = visit.console.live.newest.feed
    is_signed = read.index.signed is not None
    return visit.render(
        "suspensions.html",
        status,
        problem=problem,
        may_stop=visit.may(Right.STOP_NUMBERS),
        read=read,
        told=told,
        over=over,
        total=len(in_force),
        in_force=_listed(visit, in_force, told, now, "force"),
        coming=_listed(visit, coming, told, now, "coming"),
        effect=effect_of(feed) if feed else None,
        refused_now=feed["registry"]["suspensions_in_force"] if feed else None,
        own=listing(visit, own, OWN_COLUMNS, name="own"),
        own_trouble=trouble,
        is_signed=is_signed,
        at=datetime.now(UTC),
        never=read.index.never_originating,
    )


def _on_disk(settings: Settings) -> tuple[ConfirmedSuspensions, tuple[list[OwnRow], str]]:
    """This node's confirmations, and the result of `_own`. Raises LedgerError."""
    return read_confirmed(path_of(settings.ledger.own_url())), _own(settings)


def _own(settings: Settings) -> tuple[list[OwnRow], str]:
    """The node's own suspensions, newest first, and an error text, which is empty on success."""
    now = datetime.now(UTC)
    try:
        found = read_suspensions(suspensions_path(settings)).suspensions
    except IdtoneError as error:
        return [], str(error)
    return [
        OwnRow(
            one.id,
            own_stages(one, now),
            masked_numbers(one),
            one.reference,
            ", ".join(dict.fromkeys(act.by for act in (one.asked, one.approved) if act)),
            one.calls_ended,
            tuple((DUTY_WORDS[duty.kind], duty.due.isoformat(), duty.is_overdue(now)) for duty in one.open_duties()),
            tuple(one.waiting_nodes()),
        )
        for one in reversed(found)
    ], ""


def asked_of(one: OwnSuspension, me: Person) -> tuple[str, bool]:
    """The act that is waiting for a second person, and True if `me` requested it.

    The act is `stop`, `lift`, or an empty string.
    """
    if one.state is SuspensionState.ASKED:
        return "stop", not me.is_another_than(one.asked.person)
    if one.lift_asked and one.stops:
        return "lift", not me.is_another_than(one.lift_asked.person)
    return "", False


def masked_numbers(one: OwnSuspension) -> str:
    words = masked_span(NumberSpan(*one.numbers[0]))
    return Message("{first} and {more:,} more", first=words, more=one.count - 1) if len(one.numbers) > 1 else words


COLUMNS: Final[Mapping[str, Callable[[SuspensionEntry], object]]] = {
    "kind": lambda entry: entry.kind,
    "since": lambda entry: entry.since,
    "until": lambda entry: entry.until,
    "reference": lambda entry: entry.reference,
    "authority": lambda entry: entry.authority,
}
"""Sort keys by column. Numbers are excluded, because their order would reveal them."""
OWN_COLUMNS: Final[Mapping[str, Callable[[OwnRow], object]]] = {
    "id": lambda row: row.id,
    "state": lambda row: row.stages[-1].state,
    "reference": lambda row: row.reference,
    "by": lambda row: row.by,
    "ended": lambda row: row.calls_ended,
}


def _listed(
    visit: Visit, entries: Iterable[SuspensionEntry], told: ConfirmedSuspensions, now: datetime, name: str
) -> Listing[SuspensionRow]:
    newest_first = sorted(entries, key=lambda entry: entry.since, reverse=True)
    found = listing(visit, newest_first, COLUMNS, name=name)
    return listing_of_cut(visit, rows(found.rows, told, now), found.total, found.asked, name)


def rows(entries: Iterable[SuspensionEntry], told: ConfirmedSuspensions, now: datetime) -> list[SuspensionRow]:
    return [
        SuspensionRow(
            _scope(entry),
            KINDS[entry.kind],
            entry.since,
            entry.until,
            entry.reference,
            entry.authority or "",
            _stages(entry, told, now),
        )
        for entry in entries
    ]


def _stages(entry: SuspensionEntry, told: ConfirmedSuspensions, now: datetime) -> tuple[Stage, ...]:
    """The stages of a suspension.

    The confirmation has no time, because the confirmations file does not record times for single entries.
    """
    facts = StopFacts({StopState.PUBLISHED: None}, begins=entry.since, until=entry.until)
    found = stages(facts, now)
    if entry.kind is SuspensionKind.STOP and entry.in_force(now) and told.has(entry):
        return (*found, Stage(StopState.IN_FORCE))
    return found


def _scope(entry: SuspensionEntry) -> str:
    scope = scope_of(entry)
    if isinstance(scope, str):
        return Message("all numbers of member {member}", member=scope)
    assert scope is not None, "the registry's rules demand a scope"
    return masked_span(scope)


def effect_of(feed: Mapping[str, Any]) -> Effect:
    refused, spoofed = (
        sum(each["calls"] for each in feed["calls"]["decisions"] if each["reason"] == reason)
        for reason in (Reason.NUMBER_SUSPENDED, Reason.NUMBER_NEVER_ORIGINATES)
    )
    return Effect(
        datetime.fromisoformat(feed["instance"]["since"]), feed["calls"].get("suspended", {}), refused, spoofed
    )


PAGES = (Page(PATH, show, Right.LOOK, title=template("Suspensions")),)
