"""Parses the nodes' states from their reports in PostgreSQL.

A report comes from another machine, which may run another version of idtone. Unknown fields are ignored. An invalid
field makes only that node unreadable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from idtone.core.translation import template
from idtone.ledger.replication.node_reports import NodeReport, NodeReports

KNOWN_FORMAT: Final = 1
"""The format of `service.node_state` that this module reads."""
SILENT: Final = timedelta(seconds=5)
"""Time without a report after which a node is silent. It reports every second while its service runs."""
TEXT_LIMIT: Final = 500


def _printable(text: str) -> str:
    """The text without terminal control characters."""
    return "".join(each if each.isprintable() else "�" for each in text[:TEXT_LIMIT])


Text = Annotated[str, AfterValidator(_printable)]
Count = Annotated[int, Field(ge=0)]


Edition = tuple[datetime | None, int, str | None]
"""A registry's issue time, its version, and the SHA-256 of its suspensions."""


class _Reported(BaseModel):
    """Part of a node's state, with the field names from `service.node_state.STATE`."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Clock(_Reported):
    least_seconds: float
    most_seconds: float


class _Instance(_Reported):
    version: Text
    since: AwareDatetime
    hand_overs: Count = 0


class _Ari(_Reported):
    connected: bool
    asterisk: Text | None = None


class _Hook(_Reported):
    loaded: Text | None = None
    current: bool | None = None


class _Calls(_Reported):
    in_progress: Count
    decided: Count
    over: Count
    a_second: float | None = None
    with_sound: Count
    sent: Count
    confirmed: Count = 0


class _Registry(_Reported):
    version: Count
    trust: Text | None = None
    issued: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    suspensions_in_force: Count = 0
    suspensions_sha256: Text | None = None
    taken: AwareDatetime | None = None

    @property
    def edition(self) -> Edition:
        """The registry's edition, which is equal for equal content."""
        return self.issued, self.version, self.suspensions_sha256


class _Fallback(_Reported):
    current: bool
    trouble: Text = ""


class _WitnessTrouble(_Reported):
    name: Text
    trouble: Text


class _Ledger(_Reported):
    unwritten_steps: Count = 0
    room_days: float | None = None
    trouble: Text = ""
    witness_troubles: tuple[_WitnessTrouble, ...] = ()


class _Replication(_Reported):
    unreplicated_steps: int | None = None
    trouble: Text = ""


class SharedSettings(_Reported):
    """The fleet settings that a node uses.

    `overrides` are the keys that the node sets differently.
    """

    version: Count
    sha256: Text
    overrides: tuple[Text, ...] = ()


class NodeState(_Reported):
    """A node's own report of its state."""

    at: AwareDatetime
    running: bool
    clock: _Clock | None = None
    rivals: Count = 0
    instance: _Instance
    ari: _Ari
    hook: _Hook = _Hook()
    calls: _Calls
    registry: _Registry
    fallback: _Fallback
    ledger: _Ledger
    replication: Annotated[_Replication, BeforeValidator(lambda value: value or {})] = _Replication()
    settings: SharedSettings | None = None


class Condition(StrEnum):
    """A node's condition, as far as it is known."""

    SERVING = template("serving")
    WITHOUT_ASTERISK = template("no Asterisk")
    STOPPED = template("stopped")
    SILENT = template("silent")
    OTHER_FORMAT = template("another format")
    UNREADABLE = template("unreadable")
    STATELESS = template("no state")
    """The node runs an older idtone, or its first report is still in progress."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the fleet, with its condition and last reported state.

    `silent_for` is the time since its last report by PostgreSQL's clock, or None before its first report. `state` is
    the last reported state, even if the node is silent or stopped, or None if this version of idtone cannot read it.
    `raw` is the state as reported.
    """

    name: str
    origin: str
    condition: Condition
    heard: datetime | None
    silent_for: timedelta | None
    state: NodeState | None
    raw: object | None = None
    trouble: str = ""
    """Why the state cannot be read."""

    @property
    def present(self) -> NodeState | None:
        """The node's current state; None if it is not reporting now."""
        return self.state if self.condition in (Condition.SERVING, Condition.WITHOUT_ASTERISK) else None


@dataclass(frozen=True)
class Fleet:
    """All nodes of the fleet, by name.

    `now` is the time on PostgreSQL's clock. `unreadable` names the PostgreSQL schemas that cannot be read.
    """

    now: datetime
    nodes: tuple[Node, ...]
    unreadable: tuple[str, ...] = field(default=())

    @cached_property
    def present(self) -> Sequence[tuple[Node, NodeState]]:
        """The nodes that are reporting now, with their states."""
        return [(node, state) for node in self.nodes if (state := node.present)]


def fleet_of(reports: NodeReports) -> Fleet:
    return Fleet(reports.now, tuple(node_of(each, reports.now) for each in reports.reports), reports.unreadable)


def node_of(report: NodeReport, now: datetime) -> Node:
    silent_for = None if report.heard is None else max(timedelta(0), now - report.heard)
    name, origin = _printable(report.node), _printable(report.origin)

    def node(condition: Condition, state: NodeState | None = None, trouble: str = "") -> Node:
        return Node(name, origin, condition, report.heard, silent_for, state, report.state, trouble)

    if report.state is None:
        return node(Condition.STATELESS)
    if (form := _format(report.state)) != KNOWN_FORMAT:
        return node(Condition.OTHER_FORMAT, trouble=_printable(str(form)))
    try:
        state = NodeState.model_validate(report.state)
    except ValidationError as error:
        first = error.errors()[0]
        return node(Condition.UNREADABLE, trouble=".".join(map(str, first["loc"])))
    if not state.running:
        return node(Condition.STOPPED, state)
    if silent_for is None or silent_for > SILENT:
        return node(Condition.SILENT, state)
    return node(Condition.SERVING if state.ari.connected else Condition.WITHOUT_ASTERISK, state)


def _format(state: Any) -> object:
    return state.get("format") if isinstance(state, dict) else None


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals over the nodes that are reporting now.

    `sent_ratio` is None if no call had a sound. `calls_a_second` is None until it is known.
    """

    nodes: int
    reporting: int
    in_progress: int
    calls_a_second: float | None
    decided: int
    over: int
    with_sound: int
    sent: int
    confirmed: int
    unreplicated_steps: int

    @property
    def sent_ratio(self) -> float | None:
        return self.sent / self.with_sound if self.with_sound else None


def totals(fleet: Fleet) -> Totals:
    calls = [state.calls for _, state in fleet.present]
    rates = [each.a_second for each in calls if each.a_second is not None]
    behind = [state.replication.unreplicated_steps or 0 for _, state in fleet.present]
    return Totals(
        len(fleet.nodes),
        len(calls),
        sum(each.in_progress for each in calls),
        sum(rates) if rates else None,
        sum(each.decided for each in calls),
        sum(each.over for each in calls),
        sum(each.with_sound for each in calls),
        sum(each.sent for each in calls),
        sum(each.confirmed for each in calls),
        sum(behind),
    )
